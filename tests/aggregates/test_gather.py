from __future__ import annotations

import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.definition import Definition, GroupKey, Measured
from minimize.aggregates.gather import Gathered
from minimize.pointer import Pointer
from minimize.stage import Batch

WHAT = Definition(
    "x",
    {"model": GroupKey("model", pa.string())},
    {"mean": Measured(measure_from("mean", "size"), pa.float64())},
    1,
    Pointer.parse("device"),
)


def batch(model: pa.Array) -> Batch:
    columns = {"device": pa.array(["d"] * len(model)), "secret": pa.array(["s"] * len(model))}
    sizes = pa.array([1.0] * len(model))
    return Batch(pa.record_batch(columns), released={"model": model, "size": sizes, "other": sizes})


def gathered(*models: pa.Array) -> list[Batch]:
    kept = Gathered(WHAT)
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


def test_what_was_taken_is_gone() -> None:
    kept = Gathered(WHAT)
    kept.add(batch(pa.array(["a"])))
    assert (kept.rows, len(kept.take()), kept.rows, kept.take()) == (1, 1, 0, [])
