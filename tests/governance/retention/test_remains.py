"""The stage of a rewrite: what is left of a batch, and what went of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.arrow.batch import Batch, BatchCounts
from minimize.arrow.pointers import Pointer
from minimize.governance.retention.verdict import ApplyVerdict, BatchVerdict, verdict_counts

RAW = pa.record_batch(
    {
        "name": ["a", "b", None, "d"],
        "number": [1, 2, 3, 4],
        "apps": [[{"id": "x"}, {"id": "y"}], [], None, [{"id": "z"}]],
    }
)
PLACES = {key: Pointer.parse(key) for key in ("name", "number", "/apps/*/id")}


@dataclass(frozen=True)
class Judge:
    """Says of every batch the same."""

    verdict: BatchVerdict
    pointers: Mapping[str, Pointer] = field(default_factory=lambda: PLACES)

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        return self.verdict


def left(verdict: BatchVerdict) -> tuple[list[dict[str, Any]], BatchCounts]:
    batch = ApplyVerdict(Judge(verdict))(Batch(raw=RAW, released={}, counts=BatchCounts()))
    rows = batch.raw.to_pylist()
    for name, column in batch.released.items():
        for row, value in zip(rows, column.to_pylist(), strict=True):
            row[name] = value
    return rows, batch.counts


def bools(*values: int) -> Any:
    return np.array(values, np.bool_)


def test_without_a_reason_all_of_it_is_left() -> None:
    rows, counts = left(BatchVerdict())
    assert rows == RAW.to_pylist()
    assert counts.gated == {}


def test_records_that_go_are_counted_by_reason() -> None:
    rows, counts = left(BatchVerdict({"retention": bools(1, 0, 0, 0), "erased": bools(0, 0, 1, 0)}))
    assert [row["number"] for row in rows] == [2, 4]
    assert counts.gated == {"retention": 1, "erased": 1}


def test_values_that_go_are_null_and_counted_where_their_record_stays() -> None:
    verdict = BatchVerdict({"erased": bools(1, 0, 0, 0)}, {"name": bools(1, 1, 1, 0)})
    rows, counts = left(verdict)
    assert [row["name"] for row in rows] == [None, None, "d"]
    assert (counts.fields["name"].values, counts.fields["name"].gated) == (2, 1)


def test_values_in_another_form_are_counted_where_they_changed() -> None:
    rows, counts = left(BatchVerdict(replacements={"name": pa.array(["a", "*", None, "*"])}))
    assert [row["name"] for row in rows] == ["a", "*", None, "*"]
    assert counts.fields["name"].changed == 2


def test_of_a_list_that_loses_every_element_not_even_an_empty_one_is_left() -> None:
    closed, hollow = {"/apps/*/id": bools(1, 1, 1)}, {"/apps/*/id": bools(1, 1, 1, 1)}
    rows, _ = left(BatchVerdict(removed_values=closed, emptied_records=hollow))
    assert [row["apps"] for row in rows] == [None] * 4
    some, _ = left(
        BatchVerdict(removed_values={"/apps/*/id": bools(1, 0, 0)}, emptied_records={"/apps/*/id": bools(1, 0, 0, 0)})
    )
    assert [row["apps"] for row in some] == [[{"id": "y"}], [], None, [{"id": "z"}]]


def test_counting_needs_no_column_but_those_that_decide() -> None:
    few = RAW.select(["name"])
    counts = verdict_counts(few, BatchVerdict(removed_values={"name": bools(0, 1, 0, 0)}), np.ones(4, np.bool_), PLACES)
    assert {key: each.gated for key, each in counts.fields.items()} == {"name": 1}
