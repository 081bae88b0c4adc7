from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError, SchemaError, SourceError
from minimize.records import Chunk
from minimize.sources.base import SourceRequest
from minimize.sources.memory import MemoryPart, MemorySourceFactory, memory_source, read_memory
from minimize.sources.schema_check import MEMORY_CHUNK_ROWS
from tests.sources.declared import declared

CANARY = "c4n4ry"


REQUEST = SourceRequest(
    (declared("id", "string", required=True), declared("n", "integer"), declared("/apps/*/name", "string")),
    (Pointer.parse("/pin"),),
    Pointer.parse("id"),
)
TABLE = pa.table(
    {
        "id": ["a", "b", None, "d"],
        "n": [1, 2, 3, 4],
        "apps": [[{"name": "A", "size": 1}], [], None, None],
        "pin": [None, "1234", None, None],
        "new": ["x", None, None, "y"],
    }
)


class Stream:
    """An object of another library that speaks the stream interface."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Array:
    """An object of another library that speaks the array interface."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self._batch.__arrow_c_array__(requested_schema)


KINDS: dict[str, Callable[[pa.Table], Any]] = {
    "table": lambda table: table,
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "reader": lambda table: table.to_reader(),
    "pandas": lambda table: table.to_pandas(),
    "pandas, shuffled index": lambda table: table.to_pandas().set_index(pd.Index([7, 7, 8, 9], name="n")),
    "polars": pl.from_arrow,
    "duckdb": lambda table: duckdb.arrow(table),
    "stream": Stream,
    "array": lambda table: Array(table.combine_chunks().to_batches()[0]),
}


def read(data: Any, request: SourceRequest = REQUEST) -> list[Chunk]:
    source = memory_source(data, request)
    chunks = [chunk for part in source.parts for chunk in part.read()]
    assert all(chunk.records.schema.equals(source.schema) for chunk in chunks)
    return chunks


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_is_read_with_the_same_result(kind: str) -> None:
    (chunk,) = read(KINDS[kind](TABLE))
    assert chunk.records.to_pylist() == [
        {"id": "a", "n": 1, "apps": [{"name": "A"}]},
        {"id": "d", "n": 4, "apps": None},
    ]
    assert [(reject.position, reject.field, reject.code) for reject in chunk.rejects] == [
        (1, "/pin", "forbidden_field"),
        (2, "/id", "missing_field"),
    ]
    assert {str(pointer): carry.records for pointer, carry in chunk.undeclared.items()} == {
        "/new": 2,
        "/apps/*/size": 1,
    }


def test_pandas_columns_of_every_kind_come_through_arrow() -> None:
    frame = pd.DataFrame(
        {
            "word": pd.Series(["a", None], dtype=object),
            "kind": pd.Categorical(["x", "y"]),
            "when": pd.Series(["2026-11-24", None], dtype="datetime64[ns]"),
            "size": pd.Series([1, None], dtype="Int64"),
            "note": pd.Series(["n", None], dtype="string"),
            3: [1.5, float("nan")],
        }
    )
    request = SourceRequest(
        (
            declared("word", "string"),
            declared("kind", "string"),
            declared("when", "timestamp"),
            declared("size", "integer"),
            declared("note", "string"),
            declared("3", "double"),
        )
    )
    (chunk,) = read(frame, request)
    assert [list(row.values())[:2] for row in chunk.records.to_pylist()] == [["a", "x"], [None, "y"]]
    assert [chunk.records.column(index).null_count for index in range(6)] == [1, 0, 1, 1, 1, 1]


def test_integers_that_pandas_made_doubles_are_refused_with_a_hint() -> None:
    with pytest.raises(SchemaError, match="Int64"):
        read(pd.DataFrame({"id": ["a", "b"], "n": [1, None], "apps": [[], []]}))


def test_a_column_of_mixed_types_is_named_and_its_values_are_not() -> None:
    frame = pd.DataFrame({"id": pd.Series([CANARY, 7, {"k": CANARY}], dtype=object)})
    with pytest.raises(SchemaError) as caught:
        memory_source(frame, REQUEST)
    assert [finding.field for finding in caught.value.findings] == ["id"]
    assert CANARY not in f"{caught.value!s}{caught.value.__context__!r}{caught.value.__cause__!r}"


def test_an_undeclared_column_is_neither_examined_nor_named() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "n": [1, 2], "apps": [[], []], CANARY: [None, 1], "x": [1, "y"]})
    (chunk,) = memory_source(frame, REQUEST).parts[0].read()
    assert [chunk.undeclared[Pointer((name,))].records for name in (CANARY, "x")] == [1, 2]


def test_the_printed_chunk_holds_no_value_and_no_column_name() -> None:
    frame = pd.DataFrame({"id": [CANARY, "b"], "n": [1, 2], "apps": [[], []], CANARY: [1, 2]})
    (chunk,) = memory_source(frame, REQUEST).parts[0].read()
    assert CANARY not in repr(chunk)
    assert CANARY not in repr(chunk.undeclared[Pointer((CANARY,))])


@pytest.mark.parametrize("data", [[], {"id": ["a"]}, "text", None, pa.array([1]), pl.Series([1])])
def test_an_object_that_is_no_table_is_refused_with_a_hint(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="DataFrame"):
        memory_source(data, REQUEST)


def test_a_reader_stays_lazy_and_is_read_once() -> None:
    pulled: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(3):
            pulled.append(number)
            yield pa.record_batch({"id": ["a"], "n": [number]})

    request = SourceRequest((declared("id", "string"), declared("n", "integer")))
    reader = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.string()), ("n", pa.int64())]), batches())
    source = memory_source(reader, request)
    assert (pulled, source.is_rereadable) == ([], False)
    chunks = source.parts[0].read()
    assert next(chunks).positions == pa.array([0])
    assert len(pulled) == 1
    assert [chunk.positions for chunk in chunks] == [pa.array([1]), pa.array([2])]
    with pytest.raises(SourceError, match="only once"):
        list(source.parts[0].read())


def test_a_failing_producer_is_reported_without_its_text() -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": ["a"]})
        raise ValueError(CANARY)

    reader = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.string())]), batches())
    with pytest.raises(SourceError) as caught:
        read(reader, SourceRequest((declared("id", "string"),)))
    assert CANARY not in f"{caught.value!r}{caught.value.__context__!r}"


def test_a_large_batch_is_cut_and_positions_go_on() -> None:
    chunks = read(pa.table({"n": pa.array(range(MEMORY_CHUNK_ROWS + 5))}), SourceRequest((declared("n", "integer"),)))
    assert [chunk.read for chunk in chunks] == [MEMORY_CHUNK_ROWS, 5]
    assert chunks[1].positions == pa.array(range(MEMORY_CHUNK_ROWS, MEMORY_CHUNK_ROWS + 5))


def test_views_and_other_encodings_become_plain() -> None:
    table = pa.table(
        {
            "v": pa.array(["a", None], pa.string_view()),
            "d": pa.array(["x", "y"]).dictionary_encode(),
            "e": pa.RunEndEncodedArray.from_arrays([2], ["r"]),
            "l": pa.array([["p"], None], pa.list_view(pa.string_view())),
            "f": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
            "u": pa.array([b"0" * 16, None], pa.uuid()),
        }
    )
    fields = [
        ("v", "string"),
        ("d", "string"),
        ("e", "string"),
        ("/l/*", "string"),
        ("/f/*", "integer"),
        ("u", "binary"),
    ]
    (chunk,) = read(table, SourceRequest(tuple(declared(*field) for field in fields)))
    assert [str(type_) for type_ in chunk.records.schema.types] == [
        "string",
        "dictionary<values=string, indices=int32, ordered=0>",
        "string",
        "list<item: string>",
        "list<item: int8>",
        "fixed_size_binary[16]",
    ]
    assert chunk.records.to_pylist()[0] == {"v": "a", "d": "x", "e": "r", "l": ["p"], "f": [1, 2], "u": b"0" * 16}


def test_a_column_of_nothing_but_nulls_takes_the_declared_type() -> None:
    (chunk,) = read(pa.table({"n": pa.nulls(2)}), SourceRequest((declared("n", "integer"),)))
    assert chunk.records.schema == pa.schema([("n", pa.int64())])


def test_text_that_is_not_utf8_is_an_error_without_it() -> None:
    broken = pa.array([b"\xff\xfe"], pa.binary()).cast(pa.string(), safe=False)
    with pytest.raises(SourceError, match="does not match its schema"):
        read(pa.table({"id": broken}), SourceRequest((declared("id", "string"),)))


def test_the_schema_of_data_is_known_without_reading_it() -> None:
    assert read_memory(TABLE.to_reader()).schema == TABLE.schema


def test_a_part_in_memory_has_a_name_and_no_digest() -> None:
    (part,) = memory_source(TABLE, REQUEST).parts
    assert (part.name, part.digest) == ("memory", "")


def test_small_batches_of_a_table_are_put_together() -> None:
    table = pa.concat_tables([pa.table({"a": [number]}) for number in range(100)])
    (chunk,) = memory_source(table, SourceRequest((declared("a", "integer"),))).parts[0].read()
    assert chunk.records["a"].to_pylist() == list(range(100))


def test_a_repeated_schema_is_bound_once_and_another_one_again() -> None:
    again = MemorySourceFactory(REQUEST)
    parts = [part for data in (TABLE, TABLE.slice(1)) for part in again(data).parts]
    assert isinstance(parts[0], MemoryPart)
    assert isinstance(parts[1], MemoryPart)
    assert parts[0].bound is parts[1].bound
    (chunk,) = [chunk for part in again(TABLE.drop_columns(["new"])).parts for chunk in part.read()]
    assert Pointer(("new",)) not in chunk.undeclared
    with pytest.raises(SchemaError):
        again(TABLE.drop_columns(["id"]))
