"""Figures with noise and exact statistics: what a plan knows of them, and what it refuses."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from minimize import plan_for
from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import NoiseTerms, SubjectLimits
from minimize.errors import Finding, PolicyError, RefusedError
from minimize.plan.columns import columns_markdown
from tests.plan.make import PIPELINE, body, pipeline_plan
from tests.project import write_yaml

CLIP = {"clip": {"min": 0, "max": 100}}
EXACT = {"exact": {"because": "contract, annex 3"}}
DATED = {"path": "in/{date}/*.ndjson", "format": "ndjson"}


def table(measures: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"group_by": {"tenant": "tenant_id"}, "measures": measures, **more}


def battery(do: Any, **more: Any) -> dict[str, Any]:
    return {"battery": {"type": "double", "do": do, **more}}


def faults(folder: Path, extra: dict[str, Any] | None = None, **more: Any) -> list[Finding]:
    with pytest.raises(PolicyError) as caught:
        pipeline_plan(folder, extra, **{"source": DATED, **more})
    return list(caught.value.findings)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def test_noise_is_the_default(tmp_path: Path) -> None:
    plan = pipeline_plan(tmp_path, aggregates={"a": table({"n": "count"})})
    definition = plan.aggregates["a"].definition
    assert (definition.noise, definition.limits) == (NoiseTerms("2", 3), SubjectLimits(1, 1, is_stated=False))
    assert definition.source == "in"
    assert "noise" in plan.keys


def test_the_terms_of_a_table_are_those_of_its_pipeline(tmp_path: Path) -> None:
    terms = {"noise": {"sd": 1.5, "releases": 2}, "per_subject": {"rows": 24, "values": 3}}
    definition = pipeline_plan(tmp_path, aggregates={"a": table({"n": "count"}, **terms)}).aggregates["a"].definition
    assert (definition.noise, definition.limits) == (NoiseTerms("1.5", 2), SubjectLimits(24, 3, is_stated=True))


def test_exact_figures_have_no_noise_and_need_no_key_for_it(tmp_path: Path) -> None:
    plan = pipeline_plan(tmp_path, source=DATED, aggregates={"a": table({"n": "count"}, **EXACT)})
    assert plan.aggregates["a"].definition.noise is None
    assert "noise" not in plan.keys


@pytest.mark.parametrize(
    ("field", "bounds"),
    [
        (battery(CLIP), (0, 100)),
        (battery("drop", in_aggregates=CLIP), (0, 100)),
        (battery([CLIP, {"bin": {"width": 30}}]), (0, 90)),
        (battery([CLIP, {"bin": {"width": 30, "as": "middle"}}]), (15, 105)),
        (battery([CLIP, {"round": {"to": 30}}]), (0, 90)),
        (
            battery(None, cases=[{"if": {"owner_type": "x"}, "do": {"clip": {"min": -5, "max": 5}}}], otherwise=CLIP),
            (-5, 100),
        ),
    ],
)
def test_bounds_come_from_the_steps_of_a_field(tmp_path: Path, field: dict[str, Any], bounds: tuple[int, int]) -> None:
    field["battery"] = {key: value for key, value in field["battery"].items() if value is not None}
    plan = pipeline_plan(tmp_path, field, aggregates={"a": table({"s": {"sum": "battery"}})})
    low, high = map(Decimal, bounds)
    assert plan.aggregates["a"].definition.measures["s"].bounds == ValueBounds(low, high)


@pytest.mark.parametrize("measure", ["sum", "mean"])
@pytest.mark.parametrize(
    "do", ["keep", {"round": {"to": 5}}, {"bin": {"width": 10}}, {"clip": {"max": 9}}, {"clip": {"min": 5, "max": 5}}]
)
def test_a_sum_or_mean_needs_bounds(tmp_path: Path, measure: str, do: Any) -> None:
    (fault,) = faults(tmp_path, battery(do), aggregates={"a": table({"s": {measure: "battery"}})})
    assert (fault.code, fault.field) == ("P130", "battery")
    assert "clip: {min: …, max: …}" in fault.hint
    assert "quantile" in fault.hint


def test_an_exact_sum_needs_no_bounds(tmp_path: Path) -> None:
    aggregates = {"a": table({"s": {"sum": "battery"}}, **EXACT)}
    assert pipeline_plan(tmp_path, battery({"round": {"to": 5}}), source=DATED, aggregates=aggregates).aggregates


@pytest.mark.parametrize("measure", ["min", "max"])
def test_a_minimum_or_maximum_has_no_noise(tmp_path: Path, measure: str) -> None:
    with pytest.raises(RefusedError) as caught:
        pipeline_plan(tmp_path, battery({"bin": {"width": 10}}), aggregates={"a": table({"m": {measure: "battery"}})})
    (refusal,) = caught.value.findings
    assert refusal.code == "R024"
    assert refusal.message == f"measure m of a: a {measure} is one person's value, which noise cannot hide"
    assert refusal.hint == "Use a quantile over a `bin`, such as `quantile: {of: battery, q: 0.9}`."


@pytest.mark.parametrize("do", ["keep", CLIP])
def test_a_quantile_needs_generalized_values(tmp_path: Path, do: Any) -> None:
    quantile = {"quantile": {"of": "battery", "q": 0.5}}
    (fault,) = faults(tmp_path, battery(do), aggregates={"a": table({"m": quantile})})
    assert fault.code == "P131"
    assert "bin" in fault.hint


@pytest.mark.parametrize(("count", "expected"), [(5, []), (6, ["P132"])])
def test_a_field_has_five_quantiles_at_most(tmp_path: Path, count: int, expected: list[str]) -> None:
    measures = {f"q{n}": {"quantile": {"of": "battery", "q": n / 10}} for n in range(1, count + 1)}
    measures["again"] = measures["q1"]
    aggregates = {"a": table(measures)}
    if expected:
        assert codes(faults(tmp_path, battery({"bin": {"width": 10}}), aggregates=aggregates)) == expected
    else:
        assert pipeline_plan(tmp_path, battery({"bin": {"width": 10}}), aggregates=aggregates).aggregates


@pytest.mark.parametrize("other", [{}, EXACT])
def test_an_exact_table_is_alone_in_its_pipeline(tmp_path: Path, other: dict[str, Any]) -> None:
    aggregates = {"a": table({"n": "count"}, **EXACT), "b": table({"n": "count"}, **other)}
    (fault,) = faults(tmp_path, aggregates=aggregates)
    assert fault.code == "P133"
    assert "b is made from the same source" in fault.message


def write_other(folder: Path, path: str, **more: Any) -> None:
    """Another pipeline below the same `minimize.yaml`."""
    (folder / "minimize.yaml").write_text("ledger: ledger.db\n")
    (folder / "other").mkdir()
    source = {"path": path, "format": "ndjson"}
    body = {**PIPELINE, "pipeline": "other", "source": source, "aggregates": {"b": table({"n": "count"}, **more)}}
    write_yaml(folder / "other" / "pipeline.yaml", body)


@pytest.mark.parametrize(
    ("own", "others", "path", "expected"),
    [
        (EXACT, {}, "../in/{date}/*.ndjson", ["P133"]),
        ({}, EXACT, "../in/{date}/*.ndjson", ["P133"]),
        (EXACT, EXACT, "../in/{date}/*.ndjson", ["P133"]),
        (EXACT, {}, "../in/{date}/*.csv", ["P133"]),  # the same folder
        (EXACT, {}, "../in", ["P133"]),
        (EXACT, {}, "../elsewhere/{date}/*.ndjson", []),
        ({}, {}, "../in/{date}/*.ndjson", []),
    ],
)
def test_an_exact_table_is_alone_in_the_tree(
    tmp_path: Path, own: dict[str, Any], others: dict[str, Any], path: str, expected: list[str]
) -> None:
    write_other(tmp_path, path, **others)
    aggregates = {"a": table({"n": "count"}, **own)}
    if expected:
        (fault,) = faults(tmp_path, aggregates=aggregates)
        assert fault.code == "P133"
        assert "b of the pipeline other" in fault.message
    else:
        assert pipeline_plan(tmp_path, source=DATED, aggregates=aggregates).aggregates


def test_a_pipeline_that_a_receipt_keeps_is_no_other_pipeline(tmp_path: Path) -> None:
    write_other(tmp_path, str(tmp_path / "in/{date}/*.ndjson"))
    kept = tmp_path / "out" / "runs" / "1"
    kept.parent.mkdir(parents=True)
    (tmp_path / "other").rename(kept)
    source = {**DATED, "path": str(tmp_path / "in/{date}/*.ndjson")}
    assert pipeline_plan(tmp_path, source=source, aggregates={"a": table({"n": "count"}, **EXACT)}).aggregates


def test_exact_figures_need_batch_dates(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, source=PIPELINE["source"], aggregates={"a": table({"n": "count"}, **EXACT)})
    assert fault.code == "P134"
    assert "{date}" in fault.hint


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"n": "count", "d": {"count_distinct": "device_id"}, "s": {"sum": "battery"}}, []),
        ({"m": {"mean": "battery"}}, ["P136"]),
        ({"d": {"count_distinct": "owner_type"}}, ["P136"]),
    ],
)
def test_a_roll_up_adds_up(tmp_path: Path, measures: dict[str, Any], expected: list[str]) -> None:
    aggregates = {"a": table(measures, rollups=[[]], **EXACT)}
    if expected:
        assert codes(faults(tmp_path, battery(CLIP), aggregates=aggregates)) == expected
    else:
        assert pipeline_plan(tmp_path, battery(CLIP), source=DATED, aggregates=aggregates).aggregates


TIMED = {"group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id"}, "measures": {"n": "count"}, **EXACT}


@pytest.mark.parametrize(
    ("rollups", "expected"),
    [([["day"]], []), ([["tenant"]], ["P137"]), ([["day"], []], ["P137"])],
)
def test_a_roll_up_ends_with_the_rows_of_its_table(
    tmp_path: Path, rollups: list[list[str]], expected: list[str]
) -> None:
    aggregates = {"a": {**TIMED, "rollups": rollups}}
    if expected:
        (fault,) = faults(tmp_path, aggregates=aggregates)
        assert [fault.code] == expected
        assert "Add day to each roll-up" in fault.hint
    else:
        assert {*pipeline_plan(tmp_path, source=DATED, aggregates=aggregates).aggregates} == {"a", "a_by_day"}


def test_a_roll_up_is_a_table_of_the_output(tmp_path: Path) -> None:
    keys = {"tenant": "tenant_id", "owner": "owner_type"}
    aggregates = {"a": table({"n": "count"}, rollups=[["tenant"], []], **EXACT) | {"group_by": keys}}
    plan = pipeline_plan(tmp_path, source=DATED, aggregates=aggregates)
    assert {name: [*each.definition.keys] for name, each in plan.aggregates.items()} == {
        "a": ["tenant", "owner"],
        "a_by_tenant": ["tenant"],
        "a_total": [],
    }
    assert plan.outputs["a_total"].schema.names == ["n"]


def test_a_key_that_a_record_has_several_times_is_not_for_exact_figures(tmp_path: Path) -> None:
    apps = {"/apps/*/name": {"type": "string", "do": "keep"}}
    aggregates = {"a": table({"n": "count"}, group_by={"app": "/apps/*/name"}, **EXACT)}
    with pytest.raises(PolicyError) as caught:
        nested_plan(tmp_path, apps, aggregates)
    assert codes(list(caught.value.findings)) == ["P135"]
    del aggregates["a"]["exact"]
    assert nested_plan(tmp_path, apps, aggregates).aggregates


def nested_plan(folder: Path, extra: dict[str, Any], aggregates: dict[str, Any]) -> Any:
    """The plan for a source of the types that the policy names."""
    write_yaml(folder / "policy.yaml", body(extra))
    write_yaml(folder / "pipeline.yaml", {**PIPELINE, "source": DATED, "aggregates": aggregates})
    return plan_for(folder)


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("count", "its standard deviation is 8.5 |"),
        ({"count_distinct": "device_id"}, "its standard deviation is 2.8 |"),
        ({"count_distinct": "owner_type"}, "its standard deviation is 5.7 |"),
        ({"mean": "battery"}, "its standard deviation is 850, divided by the number of values |"),
        ({"sum": "battery"}, "its standard deviation is 950 |"),
        ({"share": {"of": "owner_type", "is": ["x"]}}, "2.8, divided by the number of subjects with a value |"),
        ({"histogram": "owner_type"}, "its standard deviation is 2.8 in each number of subjects |"),
    ],
)
def test_columns_state_the_noise_of_a_figure(tmp_path: Path, measure: Any, words: str) -> None:
    aggregates = {"a": table({"m": measure}, per_subject={"rows": 3, "values": 2})}
    page = columns_markdown(pipeline_plan(tmp_path, battery(CLIP), aggregates=aggregates))
    (line,) = (line for line in page.splitlines() if line.startswith("| m |"))
    assert words in line


def test_a_plan_states_the_effect_of_noise_and_why_figures_are_exact(tmp_path: Path) -> None:
    plan = pipeline_plan(tmp_path, aggregates={"a": table({"n": "count"})})
    assert "13 or more by the noisy number" in plan.to_json()["outputs"]["a"]["statistics"]
    plan = pipeline_plan(tmp_path, source=DATED, aggregates={"a": table({"n": "count"}, **EXACT)})
    assert plan.to_json()["outputs"]["a"]["statistics"] == "statistics are exact, because: contract, annex 3"


def test_a_fault_of_a_table_with_its_own_retention_is_reported(tmp_path: Path) -> None:
    aggregates = {"a": table({"s": {"sum": "battery"}}, retention="60d")}
    assert codes(faults(tmp_path, battery("keep"), aggregates=aggregates)) == ["P130"]
