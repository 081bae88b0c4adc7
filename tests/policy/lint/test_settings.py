from __future__ import annotations

from collections.abc import Callable

import pytest

from minimize.errors import Finding

LintOf = Callable[..., list[Finding]]
HEAD = "tenant: t\ntime: w\nretention: 30d\n"
FIELDS = "fields:\n  t: {type: string, do: keep}\n  w: {type: timestamp, do: {truncate_time: {to: day}}}\n"
GATED = f"{HEAD}features: {{loc: {{holders: [admin]}}}}\nlevels: [low, high]\n{FIELDS}"
USED = GATED + "  f: {type: string, do: keep, feature: loc}\n  g: {type: string, do: keep, level: high}\n"


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found]


def test_a_sound_policy_has_no_findings(lint_of: LintOf) -> None:
    assert lint_of(USED, settings_rows=[("loc", "admin", "on"), ("level", "admin", "high")]) == []


def test_unused_features_and_levels_are_reported(lint_of: LintOf) -> None:
    found = lint_of(GATED)
    assert [(f.code, f.line) for f in found] == [("L030", 7), ("L031", 8)]


@pytest.mark.parametrize(
    "use",
    ["collect_if: {feature: loc, level: high}", "cases: [{if: {any: [{feature: loc}, {level: high}]}, do: keep}]"],
)
def test_a_condition_uses_features_and_levels(lint_of: LintOf, use: str) -> None:
    text = GATED + f"  f: {{type: string, {use}{'' if 'cases' in use else ', do: keep'}}}\n"
    assert codes(lint_of(text)) == []


def test_whole_records_use_features_and_levels(lint_of: LintOf) -> None:
    assert codes(lint_of("records: {feature: loc, collect_if: {level: high}}\n" + GATED)) == []


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("{type: string, do: drop, feature: loc}", "L032"),
        ("{type: string, do: keep, level: low}", "L032"),
        ("{type: string, do: keep, purposes: [quality_and_security]}", "L034"),
    ],
)
def test_a_gate_or_purpose_without_effect_is_reported(lint_of: LintOf, field: str, code: str) -> None:
    assert [(f.code, f.severity) for f in lint_of(USED + f"  x: {field}\n") if f.field == "x"] == [(code, "warning")]


def test_a_per_subject_feature_without_a_subject_is_never_on(lint_of: LintOf) -> None:
    used = USED.replace("holders: [admin]", "per_subject: true")
    assert [(f.code, f.severity, f.line) for f in lint_of(used)] == [("L047", "error", 7)]
    assert "L047" not in codes(lint_of("subject: f\n" + used))


def test_a_gate_without_a_tenant_never_opens(lint_of: LintOf) -> None:
    found = lint_of(
        "features: {loc: {}}\nretention: 1d\ntime: w\n" + FIELDS + "  f: {type: string, do: keep, feature: loc}\n"
    )
    assert [(f.code, f.severity) for f in found] == [("L033", "error")]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (("locc", "admin", "on"), ["L035"]),
        (("loc", "user", "on"), ["L036"]),
        (("loc", "user", "off"), []),
        (("loc", "admin", "yes"), ["L037"]),
        (("level", "admin", "medium"), ["L038"]),
        (("level", "admin", "low"), []),
    ],
)
def test_a_setting_without_effect_is_reported(lint_of: LintOf, row: tuple[str, str, str], found: list[str]) -> None:
    assert codes(lint_of(USED, settings_rows=[("loc", "admin", "on"), row, row])) == found


def test_a_setting_for_levels_has_no_effect_where_there_are_none(lint_of: LintOf) -> None:
    assert codes(lint_of(HEAD + FIELDS, settings_rows=[("level", "admin", "high")])) == ["L035"]


def test_an_unknown_setting_is_named_only_if_it_looks_like_a_name(lint_of: LintOf) -> None:
    rows = [("loc", "admin", "on"), ("alice@example.com", "admin", "on"), ("lok", "admin", "on")]
    found = [finding for finding in lint_of(USED, settings_rows=rows) if finding.code == "L035"]
    assert ["alice" in str(finding) for finding in found] == [False, False]
    assert [finding.hint for finding in found] == ["Use one of: loc.", "Did you mean `loc`?"]


@pytest.mark.parametrize("rows", [[], [("loc", "admin", "off")], [("loc", "user", "on")]])
def test_a_feature_without_an_opt_in_is_reported(lint_of: LintOf, rows: list[tuple[str, str, str]]) -> None:
    assert "L039" in codes(lint_of(USED, settings_rows=rows))


def test_a_pipeline_without_settings_opens_no_gate(pipeline_lint_of: LintOf) -> None:
    assert codes(pipeline_lint_of("", USED)) == ["L039"]


def test_settings_that_no_field_uses_are_reported(pipeline_lint_of: LintOf) -> None:
    found = pipeline_lint_of("settings: settings.csv\n", HEAD + FIELDS)
    assert [(f.code, f.line) for f in found] == [("L035", 6)]


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("time: w\n", [("L040", "warning")]),
        ("time: w\nretention: 31d\n", [("L041", "warning")]),
        ("time: w\nretention: 30d\n", []),
        ("time: w\nretention: 30d\nfuture: 7d\n", []),
        ("time: w\nretention: 30d\nfuture: 8d\n", [("L044", "warning")]),
        ("future: 24h\n", [("L040", "warning"), ("L045", "warning")]),
        ("retention: 30d\n", [("L042", "error")]),
        (
            "time: w\nretention: 1d\ntenant: t\nfeatures: {a: {retention: 2d}}\nrecords: {feature: a}\n",
            [("L043", "warning")],
        ),
    ],
)
def test_retention_is_judged(lint_of: LintOf, head: str, found: list[tuple[str, str]]) -> None:
    assert [(f.code, f.severity) for f in lint_of(head + FIELDS)] == found
