""""""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minimize.errors import Finding
from minimize.policy.lint import lint
from minimize.policy.pipeline import Pipeline

LintOf = Callable[..., list[Finding]]
FIELDS = """\
subject: device
time: w
retention: 30d
fields:
  w: {type: timestamp, do: {truncate_time: {to: day}}}
  device: {type: string, role: identifier}
  os: {type: string, do: keep}
  raw: {type: integer, do: keep}
  binned: {type: integer, do: {bin: {width: 10}}}
  clipped: {type: integer, do: {clip: {min: 0, max: 9}}}
  measured: {type: integer, do: drop, in_aggregates: {clip: {min: 0, max: 9}}}
  unclipped: {type: integer, do: drop, in_aggregates: keep}
"""


def told(found: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.severity, finding.field) for finding in found]


def aggregate(measure: str, more: str = "suppress: {below: 10}", name: str = "a", keys: str = "{os: os}") -> str:
    return f"  {name}: {{group_by: {keys}, measures: {{n: {measure}}}, {more}}}\n"


@pytest.mark.parametrize(
    ("measure", "code"),
    [
        ("{mean: raw}", "L060"),
        ("{sum: raw}", "L060"),
        ("{sum: unclipped}", "L060"),
        ("{mean: binned}", None),
        ("{sum: clipped}", None),
        ("{mean: measured}", None),
        ("{min: raw}", "L062"),
        ("{max: clipped}", "L062"),
        ("{max: binned}", None),
        ("{max: measured}", "L062"),
        ("{quantile: {of: measured, q: 0.5}}", None),
        ("{quantile: {of: raw, q: 0.5}}", None),
        ("{quantile: {of: raw, q: 1}}", "L068"),
        ("{quantile: {of: binned, q: 0.0}}", "L068"),
        ("{quantile: {of: raw, q: 0.999}}", None),
        ("count", None),
        ("{count_distinct: device}", None),
    ],
)
def test_measures_are_judged_by_what_they_see(pipeline_lint_of: LintOf, measure: str, code: str | None) -> None:
    found = told(pipeline_lint_of("aggregates:\n" + aggregate(measure), FIELDS))
    assert found == ([] if code is None else [(code, "error", "a")])


def test_a_finding_stands_at_the_line_of_the_aggregate(pipeline_lint_of: LintOf) -> None:
    found = pipeline_lint_of("aggregates:\n  a:\n    group_by: {os: os}\n    measures: {n: {mean: raw}}\n", FIELDS)
    assert [(f.code, f.line) for f in found] == [("L061", 7), ("L060", 9)]


@pytest.mark.parametrize(("retention", "expected"), [("365d", []), ("400d", []), ("401d", ["L074"]), ("7d", [])])
def test_an_aggregate_that_is_kept_for_very_long_is_told(
    pipeline_lint_of: LintOf, retention: str, expected: list[str]
) -> None:
    more = f"suppress: {{below: 10}}, retention: {retention}"
    found = pipeline_lint_of("aggregates:\n" + aggregate("count", more), FIELDS)
    assert [finding.code for finding in found] == expected


@pytest.mark.parametrize(
    "more", ["suppress: {below: 9}", "suppress: {counting: device, below: 2}", "round: {counts_to: 5}"]
)
def test_low_or_missing_thresholds_are_told(pipeline_lint_of: LintOf, more: str) -> None:
    found = told(pipeline_lint_of("aggregates:\n" + aggregate("count", more), FIELDS))
    assert found == [("L061", "warning", "a")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [("suppress: {below: 10}, round: {counts_to: 5}", [("L066", "warning", "a")]), ("suppress: {below: 10}", [])],
)
def test_an_exact_figure_beside_rounded_counts_is_told(
    pipeline_lint_of: LintOf, more: str, expected: list[tuple[str, str, str]]
) -> None:
    text = "aggregates:\n" + aggregate("{mean: clipped}", more)
    assert told(pipeline_lint_of(text, FIELDS)) == expected


@pytest.mark.parametrize(
    ("counting", "expected"),
    [
        ("owner", ("L067", "warning", "a")),
        ("os", ("L095", "error", "a")),
        ("event", ("L095", "error", "a")),
        ("row", ("L095", "error", "a")),
    ],
)
def test_counting_something_else_than_the_subject_is_told(
    pipeline_lint_of: LintOf, counting: str, expected: tuple[str, str, str]
) -> None:
    fields = (
        f"record: event\n{FIELDS.rstrip()}\n  owner: {{type: string, role: identifier, identifies: user, do: drop}}\n"
        "  event: {type: string, role: identifier, do: drop}\n  row: {type: string, role: identifier, do: drop}\n"
    )
    text = "aggregates:\n" + aggregate("count", f"suppress: {{below: 10, counting: {counting}}}")
    assert told(pipeline_lint_of(text, fields)) == [expected]


@pytest.mark.parametrize(("key", "is_told"), [("device", True), ("clipped", False), ("os", False)])
def test_groups_that_name_somebody_are_told(pipeline_lint_of: LintOf, key: str, *, is_told: bool) -> None:
    text = f"aggregates:\n  a: {{group_by: {{k: {key}}}, measures: {{n: count}}, suppress: {{below: 10}}}}\n"
    fields = FIELDS.replace("role: identifier}", "role: identifier, do: {pseudonymize: {key: device}}}")
    assert [each.code for each in pipeline_lint_of(text, fields) if each.code == "L073"] == ["L073"] * is_told


@pytest.fixture(name="codes")
def _codes(
    pipeline_in: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], list[str]]:
    """What is said of an output, where nothing names a ledger."""
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    monkeypatch.chdir(tmp_path)

    def codes(output: str) -> list[str]:
        job = pipeline_in("").model_copy(update={"output": output, "path": tmp_path / "pipeline.yaml"})
        return [finding.code for finding in lint(job) if finding.code == "L071"]

    return codes


def test_an_output_in_a_bucket_wants_a_ledger_elsewhere(
    codes: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert codes("s3://house/out") == ["L071"]
    assert codes("../out") == []
    (tmp_path / "minimize.yaml").write_text("ledger: organization.db\n")
    assert codes("s3://house/out") == []


def test_a_ledger_of_the_environment_will_do(
    codes: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", "/srv/organization.db")
    assert codes("gs://house/out") == []
