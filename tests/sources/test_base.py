"""Records are found again by their position; undeclared paths are bounded and listed by a key and their names alone."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.records import MAX_UNDECLARED_PATHS, OTHER_PATHS, UndeclaredCount, bound_undeclared, merge_undeclared
from minimize.sources.base import DeclaredField, SourceRequest, accepted_positions
from minimize.sources.csv import csv_source
from minimize.sources.files import MAX_LINE_BYTES, LineBlock, file_parts, lines_at
from minimize.sources.ndjson import ndjson_source
from minimize.sources.parquet import parquet_source
from tests.hypothesis_profiles import examples

REQUEST = SourceRequest(
    (DeclaredField("id", Pointer(("id",)), "string", required=True), DeclaredField("n", Pointer(("n",)), "integer"))
)

LINES = [b'{"id": "a"}', b"", b'{"id": 1}', b'{"id": "b", "n": 2}', b"broken", b'{"id": "c", "n": "x"}', b'{"id": "d"}']


def starts(lines: list[bytes], first: int = 0) -> list[int]:
    return [first + sum(len(line) + 1 for line in lines[:index]) for index in range(len(lines))]


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_are_read_where_they_begin(tmp_path: Path, ending: str, mark: bytes) -> None:
    data = mark + b"\n".join(LINES)
    path = tmp_path / f"a.ndjson{ending}"
    path.write_bytes(gzip.compress(data) if ending else data)
    places = [place for place, line in zip(starts(LINES, len(mark)), LINES, strict=True) if line]
    (part,) = ndjson_source(file_parts([path], tmp_path), REQUEST).parts
    assert accepted_positions(part, places) == {places[0], places[2], places[5]}
    assert accepted_positions(part, [places[3], places[2]]) == {places[2]}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_line_that_is_too_long_stays_so(tmp_path: Path, ending: str) -> None:
    data = b'{"id": "a"}\n{"id": "' + b"x" * MAX_LINE_BYTES + b'"}\n{"id": "b"}\n'
    path = tmp_path / f"a.ndjson{ending}"
    path.write_bytes(gzip.compress(data, 1) if ending else data)
    (part,) = ndjson_source(file_parts([path], tmp_path), REQUEST).parts
    assert accepted_positions(part, [0, 12]) == {0}


@settings(max_examples=examples(50))
@given(
    st.lists(st.sampled_from([b'{"id":"a"}', b"{}", b"\xff", b'{"id":"a","n":1.5}', b'{"id":"bb","n":7}']), min_size=1)
)
def test_accepting_by_position_agrees_with_a_whole_read(lines: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ndjson"
        path.write_bytes(b"\n".join(lines) + b"\n")
        (part,) = ndjson_source(file_parts([path], Path(folder)), REQUEST).parts
        rejected = {reject.position for chunk in part.read() for reject in chunk.rejects}
        assert accepted_positions(part, starts(lines)) == set(starts(lines)) - rejected


def test_rows_of_parquet_are_read_by_row_group(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None, "c", None, "e"], "n": [1, 2, 3, 4, 5]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    (part,) = parquet_source(file_parts([tmp_path / "a.parquet"], tmp_path), REQUEST).parts
    assert accepted_positions(part, [1, 2, 3]) == {2}


def test_rows_of_csv_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\na,1\nb,x\nc,3\nragged\n")
    (part,) = csv_source(file_parts([tmp_path / "a.csv"], tmp_path), REQUEST).parts
    assert accepted_positions(part, [0, 1, 3]) == {0}


def test_lines_outside_a_block_are_not_its() -> None:
    block = LineBlock(10, json.dumps({"id": "a"}).encode() + b"\nnext\n")
    assert [each.position for each in lines_at(block, [3, 10, 22, 90])] == [10, 22]
    assert [each.data for each in lines_at(block, [22])] == [b"next"]


UNDECLARED_REQUEST = SourceRequest((), salt=b"secret")


def counts(
    names: range | list[str], request: SourceRequest = UNDECLARED_REQUEST, records: int = 1
) -> dict[Pointer, UndeclaredCount]:
    pointers = [Pointer(("x", str(name))) for name in names]
    return {pointer: UndeclaredCount(records, frozenset("s"), request.rank(pointer)) for pointer in pointers}


def test_a_thousand_paths_are_counted_by_themselves_and_the_others_together() -> None:
    found = bound_undeclared(counts(range(5_000)))
    assert len(found) == MAX_UNDECLARED_PATHS + 1
    assert found[OTHER_PATHS] == UndeclaredCount(4_000)
    assert all(found[pointer].records == 1 for pointer in found if pointer != OTHER_PATHS)


def test_a_thousand_paths_and_fewer_stay_as_they_are() -> None:
    assert bound_undeclared(counts(range(MAX_UNDECLARED_PATHS))) == counts(range(MAX_UNDECLARED_PATHS))


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_neither_the_order_nor_the_batches_decide_which_paths_are_listed(some: random.Random, size: int) -> None:
    names = [str(number % 60) for number in range(120)]
    together = merge_undeclared((counts([name]) for name in names), paths=10)
    some.shuffle(names)
    cut = [names[start : start + size] for start in range(0, len(names), size)]
    parts = [merge_undeclared((counts([name]) for name in part), paths=10) for part in cut]
    some.shuffle(parts)
    assert merge_undeclared(parts, paths=10) == together


def test_another_key_lists_other_paths() -> None:
    other = SourceRequest((), salt=b"another")
    assert (
        bound_undeclared(counts(range(5_000)), 100).keys() != bound_undeclared(counts(range(5_000), other), 100).keys()
    )
