from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.batch_views import BatchBuffer, split_batch
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.pointers import Pointer
from minimize.records import Batch

WHAT = AggregateDefinition(
    "x",
    {"model": GroupKey("model", pa.string())},
    {"mean": BoundMeasure(measure_from("mean", "size"), pa.float64())},
    1,
    Pointer.parse("device"),
)


def batch(model: pa.Array) -> Batch:
    columns = {"device": pa.array(["d"] * len(model)), "secret": pa.array(["s"] * len(model))}
    sizes = pa.array([1.0] * len(model))
    return Batch(pa.record_batch(columns), released={"model": model, "size": sizes, "other": sizes})


def gathered(*models: pa.Array) -> list[Batch]:
    kept = BatchBuffer(WHAT)
    for model in models:
        kept.add(batch(model))
    return kept.take()


def test_small_batches_become_one_by_value() -> None:
    (together,) = gathered(pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode())
    assert together.released["model"].to_pylist() == ["a", "b", "c", "a"]
    assert together.raw.num_rows == 4


def test_plain_and_encoded_columns_and_nulls_in_dictionaries_go_together() -> None:
    encoded = pa.array(["c", None]).dictionary_encode(null_encoding="encode")
    (together,) = gathered(pa.array(["a"]), encoded, pa.array(["a", None]).dictionary_encode())
    assert together.released["model"].cast(pa.string()).to_pylist() == ["a", "c", None, "a", None]


def test_only_what_the_aggregate_reads_is_kept() -> None:
    (kept,) = gathered(pa.array(["a"]))
    assert kept.raw.schema.names == ["device"]
    assert sorted(kept.released) == ["model", "size"]


def test_taken_batches_leave_the_buffer() -> None:
    kept = BatchBuffer(WHAT)
    kept.add(batch(pa.array(["a"])))
    assert (kept.rows, len(kept.take()), kept.rows, kept.take()) == (1, 1, 0, [])


def test_a_large_batch_is_cut_into_slices_that_share_their_dictionary() -> None:
    whole = batch(pa.array(["a", "b", "a", "c", "a"]).dictionary_encode())
    parts = list(split_batch(whole, WHAT, 2))
    assert [part.released["model"].to_pylist() for part in parts] == [["a", "b"], ["a", "c"], ["a"]]
    assert [part.raw.num_rows for part in parts] == [2, 2, 1]
    assert all(part.released["model"].dictionary.equals(whole.released["model"].dictionary) for part in parts)


def test_a_batch_with_leaves_in_lists_stays_whole_and_an_empty_one_is_dropped() -> None:
    in_list = replace(WHAT, keys={"app": GroupKey("/apps/*/name", pa.string())})
    whole = batch(pa.array(["a", "b", "c"]))
    assert list(split_batch(whole, in_list, 2)) == [whole]
    assert list(split_batch(batch(pa.array([], pa.string())), WHAT, 2)) == []


def test_a_batch_above_the_row_limit_counts_as_its_parts_do() -> None:
    rows = 1 << 19
    columns = {"where": pa.StructArray.from_arrays([pa.array([str(n % 97) for n in range(rows)])], names=["device"])}
    released = {"model": pa.array(["a", "b", None]).take(pa.array([n % 3 for n in range(rows)])).dictionary_encode()}
    released["size"] = pa.array([n / 7 if n % 5 else None for n in range(rows)])
    whole = Batch(pa.record_batch(columns), released=released)
    what = replace(WHAT, counting=Pointer.parse("/where/device"))
    one, other = AggregateTally(what), AggregateTally(what)
    one.observe(whole)
    for part in split_batch(whole, what, 100_000):
        other.observe(part)
    assert one.settle().table.equals(other.settle().table)
    assert one.settle().table.num_rows == 3
