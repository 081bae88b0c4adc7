from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from minimize.plan import CaseBranch
from minimize.records import Batch
from minimize.stages.chains import dropped_by_case
from minimize.stages.generalize import GeneralizeFields, Release
from tests.project import AT
from tests.stages.make import APPS, Said, gated, left, plan_of, records

LISTS = {"apps": APPS, "owner": pa.string()}
OWNER = {"owner": {"type": "string", "do": "keep"}}
MANAGED = {"/apps/*/managed": {"type": "boolean", "do": "drop"}}


def released(columns: dict[str, pa.DataType], fields: dict[str, Any], raw: pa.RecordBatch) -> pa.RecordBatch:
    plan = plan_of(fields, columns=columns)
    return Release(plan).columns(GeneralizeFields(plan, None, AT)(gated(plan, raw)))


def test_columns_come_out_in_the_order_of_the_policy_with_the_metadata_of_the_plan() -> None:
    columns = {"b": pa.string(), "a": pa.string()}
    fields = {name: {"type": "string", "do": "keep"} for name in "ab"}
    out = released(columns, fields, records(columns, {"a": "1", "b": "2"}))
    assert out.schema.names == ["tenant_id", "a", "b"]
    assert out.schema.field("a").metadata[b"minimize:technique"] == b"keep"


def test_a_schema_of_ones_own_brings_its_metadata() -> None:
    plan = plan_of({})
    schema = pa.schema([pa.field("tenant_id", pa.string(), metadata={"k": "v"})])
    out = Release(plan, schema=schema).columns(GeneralizeFields(plan, None, AT)(gated(plan, records({}, {}))))
    assert out.schema.field("tenant_id").metadata == {b"k": b"v"}


def test_removed_values_are_in_no_buffer() -> None:
    columns = {"owner": pa.string()}
    raw = records(columns, {"owner": "canary-one"}, {"owner": "corporate"})
    raw = raw.set_column(3, "owner", raw["owner"].dictionary_encode())
    fields = {"owner": {"type": "string", "do": "keep", "collect_if": {"owner2": "x"}}, "owner2": {"type": "string"}}
    columns = {**columns, "owner2": pa.string()}
    raw = raw.append_column("owner2", pa.array(["y", "x"]))
    sink = pa.BufferOutputStream()
    out = released(columns, fields, raw)
    with pa.ipc.new_stream(sink, out.schema) as writer:
        writer.write_batch(out)
    assert out["owner"].to_pylist() == [None, "corporate"]
    assert b"canary-one" not in sink.getvalue().to_pybytes()


def test_an_element_whose_condition_fails_is_removed_without_a_trace() -> None:
    fields = {
        **OWNER,
        **MANAGED,
        "/apps/*/name": {"type": "string", "do": "keep", "collect_if": {"owner": "corporate"}},
    }
    one = [{"name": "a", "managed": True}]
    rows: list[dict[str, Any]] = [
        {"owner": owner, "apps": apps} for owner in ("corporate", "personal") for apps in (one, [], None)
    ]
    out = left(plan_of(fields, columns=LISTS), records(LISTS, *rows))
    assert [row["apps"] for row in out] == [[{"name": "a"}], [], None, None, None, None]


def test_an_element_whose_case_drops_it_is_removed_too() -> None:
    name = {"type": "string", "cases": [{"if": {"/apps/*/managed": True}, "do": "keep"}], "otherwise": "drop"}
    rows: list[dict[str, Any]] = [
        {"apps": [{"name": "a", "managed": True}, {"name": "b", "managed": False}]},
        {"apps": [{"name": "c"}]},
    ]
    out = left(plan_of({**MANAGED, "/apps/*/name": name}, columns=LISTS), records(LISTS, *rows))
    assert [row["apps"] for row in out] == [[{"name": "a"}], None]


def test_without_cases_nothing_is_dropped_by_a_case() -> None:
    assert dropped_by_case((CaseBranch(None, None),), None) is None


def test_the_last_case_decides_where_none_held() -> None:
    cases = pa.array([0, 1, -1], pa.int8())
    branches = (CaseBranch(None, None), CaseBranch(None, ()), CaseBranch(None, None))
    dropped = dropped_by_case(branches, cases)
    assert dropped is not None
    assert dropped.to_pylist() == [True, False, True]


def test_a_value_that_is_withheld_for_two_reasons_is_withheld_once() -> None:
    plan = plan_of(
        {"x": {"type": "string", "cases": [{"if": {"tenant_id": "t"}, "do": "keep"}]}}, columns={"x": pa.string()}
    )
    batch = GeneralizeFields(plan, None, AT)(
        gated(plan, records({"x": pa.string()}, {"x": "1"}, {"x": "2", "tenant_id": "u"}))
    )
    shut = replace(
        batch, closed={"x": pa.array([True, False])}, released={**batch.released, "x": pa.nulls(2, pa.string())}
    )
    assert Release(plan).columns(shut)["x"].null_count == 2


def test_a_released_batch_is_valid_and_as_long_as_its_records() -> None:
    out = released(LISTS, OWNER, records(LISTS, {"owner": "a"}, {"owner": None}))
    out.validate(full=True)
    assert pc.count(out["owner"], mode="all").as_py() == 2


def test_an_empty_batch_gives_an_empty_batch_of_the_schema() -> None:
    plan = plan_of({**OWNER, "/apps/*/name": {"type": "string", "do": "keep"}}, columns=LISTS)
    batch: Batch = GeneralizeFields(plan, None, AT)(gated(plan, records(LISTS)))
    assert Release(plan).columns(batch).schema == plan.outputs["records"].schema


elements = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", None]), "managed": st.sampled_from([True, False, None])}
)
devices = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(["corporate", "personal", None]),
        "tenant_id": st.sampled_from(["on", "off"]),
        "apps": st.none() | st.lists(st.none() | elements, max_size=3),
    }
)
NAME = {
    "type": "string",
    "collect_if": {"any": [{"owner": "corporate"}, {"all": [{"feature": "inventory"}, {"/apps/*/managed": True}]}]},
}


@given(st.lists(devices, max_size=6), st.integers(0, 6))
def test_batches_do_not_matter_and_a_device_without_consent_looks_like_one_without_applications(
    drawn: list[dict[str, Any]], cut: int
) -> None:
    fields = {**OWNER, **MANAGED, "/apps/*/name": {**NAME, "do": "keep"}}
    plan = plan_of(fields, columns=LISTS, features={"inventory": {"about": "apps"}})
    said, raw = Said({"on": ["inventory"]}), records(LISTS, *drawn)
    rows = left(plan, raw, said)
    assert left(plan, raw.slice(0, cut), said) + left(plan, raw.slice(cut), said) == rows
    refused = [row["apps"] for row, device in zip(rows, drawn, strict=True) if not consents(device)]
    assert refused == [None] * len(refused)


def consents(device: dict[str, Any]) -> bool:
    return bool(device["owner"] == "corporate" or device["tenant_id"] == "on")
