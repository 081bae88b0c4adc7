"""Batches as somebody sees them: nested columns, columns that came later, and no hidden byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from minimize.access import ALL_TENANTS, AccessDecision, TenantSet, UserAccount
from minimize.errors import RefusedError
from minimize.policy.load import policy_from_mapping
from minimize.receipts import ReceiptFile
from minimize.server.request import read_request
from minimize.server.snapshot import OutputSnapshot
from minimize.server.view import ReadView, bind_view
from minimize.techniques import Technique
from minimize.techniques.map import Map
from minimize.techniques.presence import Presence
from minimize.techniques.truncate_time import TruncateTime
from tests.project import POLICY

AT = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = pa.timestamp("ms", "UTC")
NESTED = pa.struct([("name", pa.string()), ("size", pa.int64())])
SCHEMA = pa.schema(
    [("tenant", pa.string()), ("model", pa.string()), ("time", HOUR), ("app", NESTED), ("tags", pa.list_(pa.string()))]
)
ROWS: list[dict[str, Any]] = [
    {
        "tenant": ("a", "b", None)[number % 3],
        "model": f"hidden-{number}" if number % 3 else f"shown-{number}",
        "time": datetime(2026, 11, 24, number, 30, tzinfo=UTC),
        "app": {"name": f"app-{number % 3}", "size": number},
        "tags": [f"tag-{number % 3}"],
    }
    for number in range(9)
]
BATCH = pa.RecordBatch.from_pylist(ROWS, SCHEMA)


def facts(coded: bool = True) -> OutputSnapshot:
    names = frozenset({"tenant", "model"}) if coded else frozenset[str]()
    policy = policy_from_mapping(POLICY)
    return OutputSnapshot(
        (ReceiptFile("records/x.parquet", 9, ""),), SCHEMA, names, "tenant", (), {}, {"records/x.parquet": policy}
    )


def seen(
    tenants: TenantSet = ALL_TENANTS,
    columns: list[str] | None = None,
    where: Any = None,
    coded: bool = True,
    **views: Technique,
) -> ReadView:
    chains = {name: (step,) for name, step in views.items()}
    decision = AccessDecision(
        allowed=True,
        account=UserAccount("ann"),
        permission="dataset/read",
        decided_at=AT,
        reasons=(),
        tenants=tenants,
        columns=tuple(SCHEMA.names),
        views=chains,
    )
    ask = read_request("x", columns, where)
    return bind_view(facts(coded), decision, ask.columns, ask.where, AT)


def batch(coded: bool) -> pa.RecordBatch:
    if not coded:
        return BATCH
    arrays = [column.dictionary_encode() if pa.types.is_string(column.type) else column for column in BATCH.columns]
    return pa.RecordBatch.from_arrays(arrays, names=SCHEMA.names)


def rows(found: pa.RecordBatch | None) -> list[dict[str, Any]]:
    return [] if found is None else found.to_pylist()


@pytest.mark.parametrize("coded", [False, True])
def test_rows_outside_the_scope_and_without_a_tenant_are_removed(coded: bool) -> None:
    given = batch(coded)
    assert rows(seen(coded=coded).apply(given)) == ROWS
    assert rows(seen(TenantSet.from_names("a"), coded=coded).apply(given)) == [
        row for row in ROWS if row["tenant"] == "a"
    ]
    assert rows(seen(~TenantSet.from_names("a"), coded=coded).apply(given)) == [
        row for row in ROWS if row["tenant"] == "b"
    ]
    assert seen(TenantSet.from_names("c"), coded=coded).apply(given) is None


@pytest.mark.parametrize("coded", [False, True])
def test_no_byte_of_a_row_that_stays_leaves(coded: bool) -> None:
    found = seen(TenantSet.from_names("a"), ["model", "app", "tags"], coded=coded).apply(batch(coded))
    assert found is not None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_batch(found)
    content = sink.getvalue().to_pybytes()
    assert b"shown-0" in content
    assert not [word for word in (b"hidden", b"app-1", b"tag-2") if word in content]


def test_a_view_may_change_the_type_and_is_what_a_filter_sees() -> None:
    found = seen(model=Presence(), where={"model": True}).apply(batch(coded=True))
    assert {row["model"] for row in rows(found)} == {True}
    by_name = Map(values={"shown-0": "one"}, otherwise="rest")
    found = seen(columns=["time"], model=by_name, where={"model": "one"}).apply(batch(coded=True))
    assert len(rows(found)) == 1
    by_day = seen(time=TruncateTime(to="day"), where={"time": {">": "2026-11-24T00:00:00Z"}})
    assert by_day.apply(batch(coded=True)) is None
    with pytest.raises(RefusedError):
        seen(model=Presence(), where={"model": "shown-0"})


def test_a_view_that_a_column_cannot_have_shuts_it() -> None:
    with pytest.raises(RefusedError) as error:
        seen(app=TruncateTime(to="day"))
    assert error.value.code == "B004"


def test_nested_columns_leave_whole_and_are_not_chosen_by() -> None:
    assert rows(seen(columns=["app", "tags"]).apply(BATCH))[4] == {"app": ROWS[4]["app"], "tags": ["tag-1"]}
    for column in ("app", "tags"):
        with pytest.raises(RefusedError):
            seen(where={column: "x"})


def test_a_column_that_a_file_does_not_have_is_null_there() -> None:
    without = BATCH.drop_columns(["model", "app"])
    found = rows(seen(columns=["model", "app", "time"]).apply(without))
    assert [(row["model"], row["app"]) for row in found] == [(None, None)] * 9
    assert seen(where={"model": "shown-0"}).apply(without) is None
    assert len(rows(seen(where={"model": None}).apply(without))) == 9


def test_no_rows_have_the_same_schema_as_some() -> None:
    made = seen(model=Presence())
    assert made.empty_batch().schema == made.schema
    assert made.empty_batch().num_rows == 0
    some = made.apply(batch(coded=True))
    assert some is not None
    assert some.schema == made.schema


def test_the_result_states_the_technique_of_a_view() -> None:
    made = seen(time=TruncateTime(to="day"))
    assert made.schema.field("time").metadata == {b"minimize:view": b"truncate_time"}
