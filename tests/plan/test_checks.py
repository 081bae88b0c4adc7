from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, PolicyError
from minimize.plan import CaseBranch, Plan
from minimize.plan.checks import check_gates, gate_cycles
from minimize.policy.condition import FieldEquals
from minimize.policy.pipeline import RecordsModel
from tests.stages.make import APPS, Beside, plan_of, with_steps

KEEP = {"type": "string", "do": "keep"}
COLUMNS = {"a": pa.string(), "b": pa.string(), "apps": APPS}


def faults(plan: Plan) -> list[Finding]:
    try:
        check_gates(plan)
    except PolicyError as refused:
        return list(refused.findings)
    return []


def codes(plan: Plan) -> list[tuple[str, str | None]]:
    return [(finding.code, finding.field) for finding in faults(plan)]


def plan(**fields: Mapping[str, Any]) -> Plan:
    return plan_of({"a": KEEP, "b": KEEP, "/apps/*/name": KEEP, **fields}, columns=COLUMNS)


def conditioned(key: str, read: str) -> Plan:
    bound = plan(d={"type": "string", "from": ["a", "b"], "do": "presence"})
    field = bound.fields[key]
    changed = replace(field, branches=(CaseBranch(FieldEquals(read, ("x",)), ()), CaseBranch(None, None)))
    return replace(bound, fields={**bound.fields, key: changed})


def test_a_sound_plan_passes() -> None:
    assert faults(plan(c={**KEEP, "optional": True, "do": "drop"})) == []


def test_a_gate_that_reads_its_own_field_is_a_circle() -> None:
    bound = plan(a={**KEEP, "collect_if": {"a": "x"}})
    assert [finding.field for finding in gate_cycles(bound.policy)] == ["a"]


def test_a_circle_may_be_wide() -> None:
    fields = {name: {**KEEP, "collect_if": {other: "x"}} for name, other in ("ab", "bc", "ca")}
    bound = plan_of(fields, columns=dict.fromkeys("abc", pa.string()))
    assert codes(bound) == [("P120", "a"), ("P120", "b"), ("P120", "c")]


def test_conditions_that_meet_in_one_field_are_no_circle() -> None:
    fields = {"a": {**KEEP, "collect_if": {"c": "x"}}, "b": {**KEEP, "collect_if": {"a": "x", "c": "y"}}, "c": KEEP}
    assert list(gate_cycles(plan_of(fields, columns=dict.fromkeys("abc", pa.string())).policy)) == []


@pytest.mark.parametrize("read", ["d", "/apps/*/name", "nowhere"])
def test_a_condition_reads_declared_fields_of_its_own_record_or_element_as_they_came_in(read: str) -> None:
    assert codes(conditioned("a", read)) == [("P121", "a")]


def test_a_condition_of_an_element_may_read_the_record() -> None:
    assert faults(conditioned("/apps/*/name", "a")) == []


def test_a_condition_on_records_reads_no_element() -> None:
    pipeline = RecordsModel(collect_if=FieldEquals("/apps/*/name", ("x",)))
    assert codes(plan_of({"/apps/*/name": KEEP}, columns=COLUMNS, pipeline=pipeline)) == [("P121", None)]


def test_a_technique_reads_no_element_from_outside() -> None:
    assert codes(with_steps(plan(), "a", Beside(other="/apps/*/name"))) == [("P121", "a")]


def test_inputs_of_a_derived_field_share_one_container() -> None:
    bound = plan(d={"type": "string", "from": ["a", "b"], "do": "presence"})
    inner = replace(bound.fields["d"], inputs=(Pointer.parse("a"), Pointer.parse("/apps/*/name")))
    assert codes(replace(bound, fields={**bound.fields, "d": inner})) == [("P122", "d")]


def test_inputs_of_different_lists_go_together_nowhere() -> None:
    bound = plan(d={"type": "string", "from": ["a", "b"], "do": "presence"})
    inner = replace(bound.fields["d"], inputs=(Pointer.parse("/x/*/y"), Pointer.parse("/apps/*/name")))
    assert codes(replace(bound, fields={**bound.fields, "d": inner})) == [("P122", "d")]


def test_there_is_a_most_of_cases() -> None:
    bound = plan()
    many = replace(bound.fields["a"], branches=(CaseBranch(None, ()),) * 128)
    assert codes(replace(bound, fields={**bound.fields, "a": many})) == [("P123", "a")]
