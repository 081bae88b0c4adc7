from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.engines import local
from minimize.engines.local import RowGroupBuffer, concatenate_arrays, read_batches
from minimize.plan import bind
from minimize.policy.load import load_policy
from minimize.records import Batch, WrittenFile
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.files import file_parts
from minimize.sources.parquet import parquet_source
from minimize.stages.generalize import Release

POLICY = """
policy: p
version: 1
owner: o@example.com
purposes: [operations]
fields:
  a: {type: string, do: keep}
  b: {type: integer, do: drop}
"""
WORDS = st.lists(st.one_of(st.none(), st.sampled_from("abcdef")), max_size=6)


class Taken:
    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)

    def close(self) -> Sequence[WrittenFile]:
        return ()


def gathered(tmp_path: Path) -> tuple[RowGroupBuffer, Taken]:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    plan = bind(load_policy(path), pa.schema([("a", pa.string()), ("b", pa.int64())]), purpose="operations")
    sink = Taken()
    return RowGroupBuffer(Release(plan, schema=pa.schema([("a", pa.string())])), sink), sink


def batch(values: pa.Array) -> Batch:
    raw = pa.RecordBatch.from_arrays([pa.array(range(len(values)))], names=["b"])
    return Batch(raw, released={"a": values})


def test_batches_wait_until_they_are_flushed_and_keep_their_order(tmp_path: Path) -> None:
    out, sink = gathered(tmp_path)
    out.take(batch(pa.array(["x", "y"])))
    out.take(batch(pa.array(["z"])))
    assert sink.batches == []
    out.flush()
    assert [each.column(0).to_pylist() for each in sink.batches] == [["x", "y", "z"]]


def test_a_chunk_of_enough_rows_is_written_immediately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SINK_CHUNK_ROWS", 2)
    out, sink = gathered(tmp_path)
    out.take(batch(pa.array(["x", "y"])))
    out.take(batch(pa.array(["z"])))
    assert [each.num_rows for each in sink.batches] == [2]


def test_a_chunk_of_enough_bytes_is_written_immediately(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_BUFFERED_BYTES", 1)
    out, sink = gathered(tmp_path)
    out.take(batch(pa.array(["x"])))
    assert [each.num_rows for each in sink.batches] == [1]


def test_nothing_is_written_of_nothing(tmp_path: Path) -> None:
    out, sink = gathered(tmp_path)
    out.take(batch(pa.array([], pa.string())))
    out.flush()
    assert sink.batches == []


def test_unused_dictionary_entries_do_not_reach_the_sink(tmp_path: Path) -> None:
    out, sink = gathered(tmp_path)
    known = pa.array(["shown", "hidden"])
    for _ in range(2):
        out.take(batch(pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), known)))
    out.flush()
    assert sink.batches[0].column(0).dictionary.to_pylist() == ["shown"]


def test_a_dictionary_that_grew_is_taken_as_one() -> None:
    longer = pa.array(["a", "b", "c"])
    arrays = [pa.DictionaryArray.from_arrays(pa.array([1], pa.int32()), longer.slice(0, end)) for end in (2, 3)]
    assert concatenate_arrays(arrays).dictionary.equals(longer)


def test_one_memory_with_two_ways_to_cut_it_is_two_dictionaries() -> None:
    letters = pa.py_buffer(b"abcd")
    cuts = [[0, 1, 2], [0, 2, 4]]
    words = [pa.StringArray.from_buffers(2, pa.array(cut, pa.int32()).buffers()[1], letters) for cut in cuts]
    arrays = [pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), each) for each in words]
    assert concatenate_arrays(arrays).to_pylist() == ["a", "b", "ab", "cd"]


def test_a_short_index_and_a_null_entry_are_no_hindrance() -> None:
    short = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", None]))
    assert concatenate_arrays([short, pa.array(["b", None])]).to_pylist() == ["a", None, None, "b", None]


@given(st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=4))
def test_together_is_one_after_the_other(parts: list[tuple[list[Any], bool]]) -> None:
    arrays = [pa.array(words, pa.string()) for words, _ in parts]
    mixed = [array.dictionary_encode() if coded else array for array, (_, coded) in zip(arrays, parts, strict=True)]
    assert concatenate_arrays(mixed).to_pylist() == [word for words, _ in parts for word in words]


GROUPS = 4


def test_a_batch_is_gone_before_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": range(GROUPS)}), path, row_group_size=1)
    given: list[weakref.ref[Any]] = []
    alive: list[int] = []
    read = pq.ParquetFile.read_row_group

    def watched(self: pq.ParquetFile, *words: Any, **named: Any) -> pa.Table:
        alive.append(sum(each() is not None for each in given))
        return read(self, *words, **named)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    source = parquet_source(
        file_parts([path], tmp_path), SourceRequest((DeclaredField("a", Pointer.parse("a"), "integer"),))
    )
    for batch in read_batches(source):
        given.append(weakref.ref(batch.raw.column(0)))
        given.append(weakref.ref(batch.raw))
        del batch
    assert alive == [0] * GROUPS
