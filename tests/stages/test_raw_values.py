"""Raw values that are set aside until all batches were seen: in order, repeatable, and without withheld values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.plan import Plan
from minimize.records import Batch
from minimize.stages.raw_values import (
    companion_values,
    field_place,
    filter_records,
    list_container,
    mask_closed_values,
    mask_values,
    masked_schema,
    spill_records,
    tidy_dictionary,
)
from tests.stages.make import APPS, gated, left, plan_of, records, settings

SCHEMA = pa.schema([("a", pa.int64()), ("m", pa.dictionary(pa.int32(), pa.string()))])


def batch(numbers: list[int | None], words: list[str | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), pa.array(words, SCHEMA.field("m").type)], schema=SCHEMA
    )


BATCHES = [batch([1, None], ["x", "y"]), batch([3], [None]), batch([4, 5], ["z", "x"])]


def test_batches_are_read_in_order_as_often_as_wanted() -> None:
    with spill_records(iter(BATCHES), SCHEMA) as again:
        for _ in range(3):
            rows = [row for one in again() for row in one.to_pylist()]
            assert rows == [row for one in BATCHES for row in one.to_pylist()]


def test_nothing_spilled_is_nothing_read() -> None:
    with spill_records(iter(()), SCHEMA) as again:
        assert list(again()) == []


def test_a_slice_is_spilled_without_the_rest() -> None:
    with spill_records(iter([BATCHES[0].slice(1, 1)]), SCHEMA) as again:
        (only,) = again()
        assert only.to_pylist() == [{"a": None, "m": "y"}]
        assert only.column("m").dictionary.to_pylist() == ["y"]


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with spill_records(iter(BATCHES), SCHEMA) as again:
        assert list(tmp_path.iterdir()) == []
        assert len(list(again())) == 3


COLUMNS = {"apps": APPS, "a": pa.string()}

FIELDS = {
    "a": {"type": "string", "do": "keep"},
    "/apps/*/name": {"type": "string", "do": "keep"},
    "/apps/*/managed": {"type": "boolean", "do": "keep"},
}

PLAN = plan_of(FIELDS, columns=COLUMNS)

RAW = records(COLUMNS, {"a": "x", "apps": [{"name": "p"}, {"name": "q"}]}, {"a": "y", "apps": [{"name": "r"}]})


def test_a_derived_field_belongs_to_the_place_of_its_innermost_input() -> None:
    both = replace(PLAN.fields["/apps/*/managed"], inputs=(Pointer.parse("a"), Pointer.parse("/apps/*/name")))
    assert field_place(both) == Pointer.parse("/apps/*/name")


def test_the_container_of_elements_is_their_list() -> None:
    assert list_container(Pointer.parse("/a/*/b/*")) == Pointer.parse("/a/*/b")


def test_a_removed_record_takes_its_elements_out_of_every_part() -> None:
    names = pa.array(["p", "q", "r"])
    batch = Batch(
        RAW,
        closed={"/apps/*/name": pa.array([True, True, False])},
        cases={"a": pa.array([0, -1], pa.int8())},
        gated_lists={"/apps/*": pa.array([True, False])},
        released={"/apps/*/name": names, "/apps/*/managed": names},
    )
    kept = filter_records(batch, np.array([False, True]), PLAN)
    assert kept.raw["a"].to_pylist() == ["y"]
    assert [kept.closed["/apps/*/name"].to_pylist(), kept.gated_lists["/apps/*"].to_pylist()] == [[False], [False]]
    assert kept.cases["a"].to_pylist() == [-1]
    assert {key: values.to_pylist() for key, values in kept.released.items()} == {
        "/apps/*/name": ["r"],
        "/apps/*/managed": ["r"],
    }


def test_where_every_record_stays_the_batch_is_the_same() -> None:
    batch = Batch(RAW)
    assert filter_records(batch, np.array([True, True]), PLAN) is batch


CLOSED = pa.array([True, False, False])


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["canary", "b", None]),
        pa.array(["canary", "b", None]).dictionary_encode(),
        pa.array([1, 2, None]),
        pa.array([["canary"], ["b"], None]),
        pa.array([{"a": "canary"}, {"a": "b"}, None]),
        pa.array([[("k", "canary")], [], None], pa.map_(pa.string(), pa.string())),
        pa.array([True, False, None]),
    ],
)
def test_closed_values_are_null_and_the_others_as_they_were(values: pa.Array) -> None:
    out = mask_values(values, CLOSED)
    assert out.type == values.type
    assert out.to_pylist() == [None, *values.to_pylist()[1:]]


def test_a_closed_text_is_in_no_buffer() -> None:
    out = mask_values(pa.array(["canary", "b", None]), CLOSED)
    assert all(b"canary" not in buffer.to_pybytes() for buffer in out.buffers() if buffer is not None)


def test_where_nothing_is_closed_nothing_is_copied() -> None:
    values = pa.array(["a"])
    assert mask_values(values, None) is values
    assert mask_values(values, pa.array([False])) is values


def test_a_dictionary_has_no_null_among_its_entries() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array([None, "a"]))
    assert tidy_dictionary(values).is_null().to_pylist() == [True, False, True]


def test_a_dictionary_far_wider_than_its_column_is_cut_down() -> None:
    values = pa.array([str(number) for number in range(100)]).dictionary_encode().slice(7, 2)
    assert tidy_dictionary(values).dictionary.to_pylist() == ["7", "8"]


def test_a_companion_is_aligned_with_each_element_and_null_if_closed() -> None:
    columns = {"apps": APPS, "o": pa.string()}
    raw = records(columns, {"o": "x", "apps": [{"name": "a"}, {"name": "b"}]}, {"o": "y", "apps": [{"name": "c"}]})
    place = leaf(raw, Pointer.parse("/apps/*/name"))
    batch = Batch(raw, closed={"o": pa.array([False, True])})
    assert companion_values(batch, "o", place).to_pylist() == ["x", "x", None]


WITHHELD_COLUMNS = {
    "owner": pa.string(),
    "user_name": pa.string(),
    "os": pa.struct([("name", pa.string()), ("serial", pa.string())]),
    "apps": APPS,
    "tags": pa.list_(pa.string(), 2),
    "labels": pa.map_(pa.string(), pa.string()),
}

WITHHELD_FIELDS: dict[str, Any] = {
    "owner": {"type": "string", "do": "keep"},
    "user_name": {"type": "string", "do": "keep", "feature": "names"},
    "/os/name": {"type": "string", "do": "keep"},
    "/os/serial": {"type": "string", "do": "keep", "collect_if": {"user_name": "open"}},
    "/apps/*/name": {"type": "string", "do": "keep", "collect_if": {"/apps/*/managed": True}},
    "/apps/*/managed": {"type": "boolean", "do": "drop"},
    "/tags/*": {"type": "string", "do": "keep", "collect_if": {"owner": "corporate"}},
    "labels": {"type": "map", "do": "size"},
}

WITHHELD_PLAN: Plan = plan_of(WITHHELD_FIELDS, columns=WITHHELD_COLUMNS, features={"names": {"about": "names"}})

ROWS: list[dict[str, Any]] = [
    {
        "owner": "personal",
        "user_name": "hidden user",
        "os": {"name": "x", "serial": "hidden serial"},
        "apps": [{"name": "mail", "managed": True}, {"name": "hidden app", "managed": False}],
        "tags": ["hidden tag", "hidden tag too"],
        "labels": [("a", "1")],
    },
    {"owner": "corporate", "apps": [], "tags": ["a", "b"], "os": {"name": "y", "serial": None}},
    {"tenant_id": None, "owner": None, "apps": None, "labels": []},
]


def bytes_of(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_values_closed_by_the_gate_are_not_set_aside() -> None:
    aside = mask_closed_values(gated(WITHHELD_PLAN, records(WITHHELD_COLUMNS, *ROWS)), WITHHELD_PLAN)
    assert b"hidden" not in bytes_of(aside)
    assert b"mail" in bytes_of(aside)


def test_open_values_are_set_aside() -> None:
    said = settings({"setting": "names", "value": "on"})
    aside = mask_closed_values(gated(WITHHELD_PLAN, records(WITHHELD_COLUMNS, *ROWS), said), WITHHELD_PLAN)
    assert b"hidden user" in bytes_of(aside)


@pytest.mark.parametrize("value", ["on", "off"])
def test_the_same_leaves_as_if_nothing_had_been_set_aside(value: str) -> None:
    said = settings({"setting": "names", "value": value})
    raw = records(WITHHELD_COLUMNS, *ROWS, {"user_name": "open", "os": {"name": None, "serial": "s"}})
    aside = mask_closed_values(gated(WITHHELD_PLAN, raw, said), WITHHELD_PLAN)
    assert left(WITHHELD_PLAN, aside, said) == left(WITHHELD_PLAN, raw, said)


def test_its_schema_is_known_before() -> None:
    raw = records(WITHHELD_COLUMNS, *ROWS)
    assert mask_closed_values(gated(WITHHELD_PLAN, raw), WITHHELD_PLAN).schema == masked_schema(
        raw.schema, WITHHELD_PLAN
    )
    assert masked_schema(raw.schema, WITHHELD_PLAN).names == [
        *("tenant_id", "device_id", "event_time"),
        *WITHHELD_COLUMNS,
    ]


def test_the_subject_of_a_setting_is_set_aside_even_if_a_gate_closes_it() -> None:
    fields = {
        "device_id": {"type": "string", "do": "keep", "collect_if": {"owner": "x"}},
        "owner": WITHHELD_FIELDS["owner"],
    }
    plan = plan_of(fields, columns={"owner": pa.string()})
    aside = mask_closed_values(gated(plan, records({"owner": pa.string()}, {"device_id": "d", "owner": "y"})), plan)
    assert aside["device_id"].to_pylist() == ["d"]
