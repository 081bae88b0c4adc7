"""Techniques whose parameters change nothing: a lint code, and exact for figures over their results."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from minimize.linting import lint
from minimize.policy.fields import is_raw_in_aggregates, steps_of
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.report.output_report import create_report
from minimize.runs.inspection import lint as lint_pipeline
from minimize.stages.chains import run_chain
from minimize.techniques import Context, Technique
from tests.project import AGGREGATES, AT, Project, events

LOSSLESS = [
    ("integer", {"round": {"to": 1}}),
    ("integer", {"bin": {"width": 1}}),
    ("integer", {"bin": {"width": 1, "as": "label"}}),
    ("integer", {"bin": {"width": 1, "as": "middle"}}),
    ("date", {"truncate_time": {"to": "day"}}),
    ("decimal(6,2)", {"round": {"to": 0.01}}),
]
COARSER = [
    ("integer", {"round": {"to": 2}}),
    ("integer", {"bin": {"width": 2}}),
    ("double", {"round": {"to": 1}}),
    ("double", {"bin": {"width": 1}}),
    ("date", {"truncate_time": {"to": "month"}}),
    ("timestamp", {"truncate_time": {"to": "day"}}),
    ("decimal(6,2)", {"round": {"to": 0.1}}),
]
VALUES: dict[str, pa.Array] = {
    "integer": pa.array([0, 1, 2, 3, 7, -5], pa.int64()),
    "double": pa.array([0.0, 0.25, 0.5, 1.75]),
    "date": pa.array([0, 1, 40, 400], pa.date32()),
    "timestamp": pa.array([0, 1, 86_400_000_001], pa.timestamp("us", "UTC")),
    "decimal(6,2)": pa.array([Decimal("0.01"), Decimal("0.02"), Decimal("1.10")], pa.decimal128(6, 2)),
}


def policy(type_: str, do: Any) -> Policy:
    fields = {"a": {"type": type_, "do": do}}
    return policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields})


@pytest.mark.parametrize(("type_", "do"), LOSSLESS, ids=str)
def test_a_technique_that_changes_nothing_is_found_and_counts_as_exact(type_: str, do: Any) -> None:
    field = policy(type_, do).fields["a"]
    assert "L086" in [each.code for each in lint(policy(type_, do))]
    assert is_raw_in_aggregates(field)


@pytest.mark.parametrize(("type_", "do"), COARSER, ids=str)
def test_a_coarser_one_is_not_reported(type_: str, do: Any) -> None:
    assert "L086" not in [each.code for each in lint(policy(type_, do))]
    assert not is_raw_in_aggregates(policy(type_, do).fields["a"])


@pytest.mark.parametrize(("type_", "do"), [*LOSSLESS, *COARSER], ids=str)
def test_data_agrees_with_the_fact(type_: str, do: Any) -> None:
    """No two values have one result, exactly if the technique says so."""
    steps = [step for step in steps_of(policy(type_, do).fields["a"]) if isinstance(step, Technique)]
    results = run_chain(steps, VALUES[type_], Context("a", AT)).values
    assert steps[0].is_lossless(type_) == (len(results.unique()) == len(VALUES[type_].unique()))


def test_the_highest_of_such_a_field_is_an_error(project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": {"round": {"to": 1}}}})
    project.pipeline(aggregates={"t": AGGREGATES["per_model"] | {"measures": {"highest": {"max": "storage"}}}})
    assert "L062" in [each.code for each in lint_pipeline(project.folder)]
    project.policy({"storage": {"type": "integer", "do": {"round": {"to": 10}}}})
    assert "L062" not in [each.code for each in lint_pipeline(project.folder)]


@pytest.mark.parametrize(("step", "is_unchanged"), [(1, True), (10, False)])
def test_run_and_report_call_it_unchanged(step: int, is_unchanged: bool, project: Project) -> None:
    project.policy({"storage": {"type": "integer", "do": {"round": {"to": step}}}})
    project.pipeline(aggregates=None)
    project.records(events(60))
    receipt = project.run()
    summary = receipt.summary(10_000)
    treated, _, rest = summary.partition("transformed")[2].partition("\n")
    assert ("storage" in treated) != is_unchanged
    assert ("treated, but unchanged" in rest) == is_unchanged
    facts = create_report(project.out, at=receipt.at, keys=project.keys).facts
    (field,) = [each for each in facts.fields if each.key == "storage"]
    assert field.is_unchanged == is_unchanged
