"""Aggregates over the elements of lists: who counts where, and what a gate took away."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from minimize.aggregates import measure_from
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey
from minimize.aggregates.tally import AggregateResult, AggregateTally
from minimize.arrow.pointers import Pointer
from minimize.errors import PolicyError
from minimize.records import Batch

TYPES = {
    "/apps/*/name": pa.string(),
    "/apps/*/kind": pa.string(),
    "/apps/*/size": pa.int64(),
    "owner": pa.string(),
    "weight": pa.int64(),
}
APP = pa.struct([("name", pa.string()), ("kind", pa.string()), ("size", pa.int64())])
SCHEMA = pa.schema([("device", pa.string()), ("owner", pa.string()), ("weight", pa.int64()), ("apps", pa.list_(APP))])


def record(device: str, *apps: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"device": device, "apps": list(apps), **values}


def app(name: str | None, size: int | None = None, kind: str | None = None) -> dict[str, Any]:
    return {"name": name, "size": size, "kind": kind}


def batch(*records: dict[str, Any]) -> Batch:
    raw = pa.RecordBatch.from_pylist(list(records), schema=SCHEMA)
    elements = [element for each in records for element in each["apps"] or []]
    released = {
        "owner": raw.column("owner"),
        "weight": raw.column("weight"),
        **{f"/apps/*/{name}": pa.array([each[name] for each in elements], APP.field(name).type) for name in APP.names},
    }
    return Batch(raw, released=released)


def definition(*keys: str, below: int = 1, **measures: tuple[Any, ...]) -> AggregateDefinition:
    group = {key.rpartition("/")[2]: GroupKey(key, TYPES[key]) for key in keys}
    found = {name: measure_from(*word) for name, word in measures.items()}
    measured = {name: BoundMeasure(measure, TYPES.get(measure.of or "")) for name, measure in found.items()}
    return AggregateDefinition("apps", group, measured, below, Pointer.parse("device"))


def tallied(what: AggregateDefinition, *batches: Batch) -> AggregateResult:
    tally = AggregateTally(what)
    for each in batches:
        tally.observe(each)
    return tally.settle()


def test_a_record_counts_once_in_each_of_its_distinct_values() -> None:
    data = batch(record("p", app("mail"), app("mail"), app("chat")), record("q", app("mail")))
    result = tallied(definition("/apps/*/name", n=("count",), d=("count_distinct", "device")), data)
    assert result.table.to_pylist() == [{"name": "chat", "n": 1, "d": 1}, {"name": "mail", "n": 2, "d": 2}]
    assert (result.rows_seen, result.rows_suppressed, result.records_lost) == (3, 0, 0)


def test_pairs_of_a_record_and_a_group_balance() -> None:
    data = batch(record("p", app("mail"), app("chat")), record("q", app("mail")), record("r"))
    result = tallied(definition("/apps/*/name", below=2, n=("count",)), data)
    assert result.table.to_pylist() == [{"name": "mail", "n": 2}]
    assert (result.rows_seen, result.rows_suppressed, result.groups_suppressed) == (3, 1, 1)
    assert result.records_lost == 1  # the one without an app


def test_a_record_without_an_element_is_in_no_group() -> None:
    empty = batch(record("p"), {"device": "q", "apps": None})
    result = tallied(definition("/apps/*/name", n=("count",)), empty, batch(record("r", app("mail"))))
    assert result.table.to_pylist() == [{"name": "mail", "n": 1}]
    assert result.records_lost == 2


def test_a_null_element_is_a_group_value() -> None:
    data = batch(record("p", app(None)))
    assert tallied(definition("/apps/*/name", n=("count",)), data).table.to_pylist() == [{"name": None, "n": 1}]


def test_an_element_that_a_gate_removed_is_in_no_group() -> None:
    data = batch(record("p", app("mail"), app(None)), record("q", app(None)))
    closed = {"/apps/*/name": pa.array([False, True, True])}
    result = tallied(definition("/apps/*/name", n=("count",)), data.with_(closed=closed))
    assert result.table.to_pylist() == [{"name": "mail", "n": 1}]
    assert result.records_lost == 1


def test_gated_elements_of_one_batch_leave_those_of_the_next_alone() -> None:
    first = batch(record("p", app(None))).with_(closed={"/apps/*/name": pa.array([True])})
    result = tallied(definition("/apps/*/name", n=("count",)), first, batch(record("q", app("mail"))))
    assert result.table.to_pylist() == [{"name": "mail", "n": 1}]


def test_a_record_key_and_an_element_key_may_be_combined() -> None:
    data = batch(record("p", app("mail"), owner="corporate"), record("q", app("mail"), owner="personal"))
    table = tallied(definition("owner", "/apps/*/name", n=("count",)), data).table
    assert table.to_pylist() == [
        {"owner": "corporate", "name": "mail", "n": 1},
        {"owner": "personal", "name": "mail", "n": 1},
    ]


def test_two_keys_of_one_list_are_pairs_of_the_same_element() -> None:
    data = batch(record("p", app("mail", kind="store"), app("chat", kind="own")))
    table = tallied(definition("/apps/*/name", "/apps/*/kind", n=("count",)), data).table
    assert [(row["name"], row["kind"]) for row in table.to_pylist()] == [("chat", "own"), ("mail", "store")]


def test_a_measure_over_the_same_list_takes_every_element() -> None:
    data = batch(record("p", app("mail", 1), app("mail", 5), app("chat", None)))
    table = tallied(definition("/apps/*/name", total=("sum", "/apps/*/size")), data).table
    assert table.to_pylist() == [{"name": "chat", "total": None}, {"name": "mail", "total": 6}]


def test_a_measure_over_the_record_takes_it_once_in_each_group() -> None:
    data = batch(record("p", app("mail"), app("mail"), app("chat"), weight=7))
    table = tallied(definition("/apps/*/name", total=("sum", "weight")), data).table
    assert table["total"].to_pylist() == [7, 7]


def test_a_measure_over_elements_may_be_grouped_by_record_fields() -> None:
    data = batch(
        record("p", app("mail", 1), app("chat", 2), owner="x"),
        record("q", owner="y"),
        record("r", app("a", 4), owner="x"),
    )
    table = tallied(definition("owner", below=1, total=("sum", "/apps/*/size"), n=("count",)), data).table
    assert table.to_pylist() == [{"owner": "x", "total": 7, "n": 2}, {"owner": "y", "total": None, "n": 1}]


def test_subjects_who_contribute_an_element_are_counted_not_those_of_the_group() -> None:
    data = batch(*(record(device, *([app("a", 1)] if device < "c" else []), owner="x") for device in "abcd"))
    assert tallied(definition("owner", below=3, total=("sum", "/apps/*/size")), data).table["total"].to_pylist() == [
        None
    ]
    assert tallied(definition("owner", below=2, total=("sum", "/apps/*/size")), data).table["total"].to_pylist() == [2]


def test_keys_of_two_lists_and_subjects_in_lists_are_refused() -> None:
    keys = {"a": GroupKey("/apps/*/name", pa.string()), "b": GroupKey("/nets/*/name", pa.string())}
    measures = {"m": BoundMeasure(measure_from("sum", "/nets/*/size"), pa.int64())}
    with pytest.raises(PolicyError) as caught:
        AggregateTally(AggregateDefinition("x", keys, measures, 1, Pointer.parse("/people/*/id")))
    assert [finding.code for finding in caught.value.findings] == ["A004", "A004", "A005"]
