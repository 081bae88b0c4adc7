from __future__ import annotations

from collections.abc import Callable

import pytest

from minimize.errors import Finding

LintOf = Callable[..., list[Finding]]
FIELDS = """\
retention: 30d
time: w
fields:
  w: {type: timestamp, do: {truncate_time: {to: day}}}
  kept: {type: string, do: keep}
  dropped: {type: boolean}
  device: {type: string, role: identifier, do: drop}
  password: {type: string, role: secret, do: drop}
  support: {type: integer, do: keep, purposes: [customer_support]}
  seen: {type: timestamp, do: {truncate_time: {to: day}}}
  hidden: {type: timestamp}
"""


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("{kept: a}", []),
        ("{dropped: true}", [("L051", "warning")]),
        ("{device: a}", [("L050", "error")]),
        ("{any: [{kept: a}, {password: [a, b]}]}", [("L050", "error")]),
        ("{support: 1}", []),
        ("{seen: {within: 7d}}", []),
        ("{hidden: {within: 7d}}", [("L051", "warning")]),
        ("{seen: {within: 7d, of: hidden}}", [("L051", "warning")]),
        ("{kept: 1}", [("L052", "warning")]),
        ("{support: '1'}", [("L052", "warning")]),
        ("{support: true}", [("L052", "warning")]),
        ("{dropped: 'true'}", [("L051", "warning"), ("L052", "warning")]),
    ],
)
@pytest.mark.parametrize("place", ["do: keep, collect_if: {}", "cases: [{{if: {}, do: keep}}]"])
def test_what_a_condition_reads_is_judged(
    lint_of: LintOf, condition: str, found: list[tuple[str, str]], place: str
) -> None:
    text = FIELDS + f"  f: {{type: string, {place.format(condition)}}}\n"
    assert [(f.code, f.severity) for f in lint_of(text) if f.field == "f"] == found


def test_a_field_that_this_purpose_drops_is_not_held(pipeline_lint_of: LintOf) -> None:
    found = pipeline_lint_of("", FIELDS + "  f: {type: string, do: keep, collect_if: {support: 1}}\n")
    assert [(f.code, f.field) for f in found] == [("L051", "f")]


def test_conditions_of_whole_records_are_judged(lint_of: LintOf, pipeline_lint_of: LintOf) -> None:
    assert [(f.code, f.line) for f in lint_of("records: {collect_if: {dropped: true}}\n" + FIELDS)] == [("L051", 4)]
    found = pipeline_lint_of("records: {collect_if: {device: a}}\n", FIELDS)
    assert [(f.code, f.line, (f.file or "").endswith("pipeline.yaml")) for f in found] == [("L050", 6, True)]
