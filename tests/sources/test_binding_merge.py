""""""

from __future__ import annotations

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.records import Chunk, Reject, UndeclaredCount
from minimize.sources.binding import add_rejects, concat_chunks, sort_chunk

A, B, C = (Pointer((name,)) for name in "abc")


def chunk(
    values: list[int], undeclared: dict[Pointer, UndeclaredCount] | None = None, rejects: tuple[Reject, ...] = ()
) -> Chunk:
    return Chunk(
        pa.record_batch({"n": pa.array(values, pa.int64())}),
        len(values) + len(rejects),
        rejects,
        undeclared or {},
        pa.array(values, pa.int64()),
    )


def reject(position: int) -> Reject:
    return Reject(position, "row", None, "malformed")


def test_chunks_in_order_are_one_chunk() -> None:
    first = chunk([0, 1], {A: UndeclaredCount(1, frozenset("x"))}, (reject(2),))
    second = chunk([3], {A: UndeclaredCount(1, frozenset("y")), B: UndeclaredCount(2)})
    both = concat_chunks([first, second], first.records.schema)
    assert (both.records.to_pydict(), both.read, both.rejects) == ({"n": [0, 1, 3]}, 4, (reject(2),))
    assert both.undeclared == {A: UndeclaredCount(2, frozenset("xy")), B: UndeclaredCount(2)}
    assert both.positions == pa.array([0, 1, 3])


def test_no_chunks_are_an_empty_one() -> None:
    none = concat_chunks([], pa.schema([("n", pa.int64())]))
    assert (none.read, none.records.num_rows, len(none.rejects)) == (0, 0, 0)


def test_rejects_from_outside_are_counted_and_stand_in_order() -> None:
    found = add_rejects(chunk([0, 4], rejects=(reject(2),)), [reject(3), reject(1)])
    assert [one.position for one in found.rejects] == [1, 2, 3]
    assert found.read == 5


def test_a_chunk_in_order_has_its_records_and_rejects_by_position() -> None:
    records = pa.record_batch({"a": ["x", "y", "z"]})
    rejects = (Reject(7, "byte", None, "malformed"), Reject(2, "byte", None, "malformed"))
    chunk = sort_chunk(Chunk(records, 5, rejects, positions=pa.array([0, 9, 4])))
    assert chunk.records.column("a").to_pylist() == ["x", "z", "y"]
    assert chunk.positions == pa.array([0, 4, 9])
    assert [reject.position for reject in chunk.rejects] == [2, 7]
