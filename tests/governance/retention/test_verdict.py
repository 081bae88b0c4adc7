"""What must go of one batch: records, values, and values in a coarser form.
The stage of a rewrite: what is left of a batch, and what went of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.records import Batch, BatchCounts
from minimize.removal.verdict import ApplyVerdict, BatchVerdict, verdict_counts
from tests.governance.retention.daily import START, Daily

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY


def verdict(project: Daily, at: Any, *events: RetentionEvent) -> tuple[BatchVerdict, list[dict[str, Any]]]:
    (orders,) = project.orders(at, *events)
    (batch,) = orders.file.stored_file.batches()
    return orders(batch), batch.to_pylist()


def test_nothing_is_removed_if_nothing_is_due(day: Daily) -> None:
    found, rows = verdict(day, RAN)
    assert found.remaining_rows(len(rows)).all()
    assert found.removed_values == found.replacements == {}


def test_values_of_a_feature_go_by_the_start_of_their_hour(day: Daily) -> None:
    found, rows = verdict(day, RAN + HOUR)
    assert found.removed_values["place"].tolist() == [row["event_time"].hour == 1 for row in rows]
    assert found.remaining_rows(len(rows)).all()


def test_a_record_that_is_due_for_two_reasons_counts_for_its_age(day: Daily) -> None:
    closed = RetentionEvent("north", "tenant_closed", RAN)
    found, rows = verdict(day, RAN + 30 * DAY, closed)
    assert found.removed_records["retention"].all()
    assert not found.removed_records["erased"].any()
    earlier, _ = verdict(day, RAN, closed)
    assert earlier.removed_records["erased"].tolist() == [row["tenant_id"] == "north" for row in rows]


def test_on_a_device_that_became_personal_values_go_or_come_into_another_form(day: Daily) -> None:
    found, rows = verdict(day, RAN, RetentionEvent("north", "became_personal", RAN, "d0"))
    hers = [row["tenant_id"] == "north" and "-d0-" in row["note"] for row in rows]
    assert [text[:4] == "****" for text in found.replacements["phone"].to_pylist()][: len(hers)] == [
        mine or row["owner_type"] == "personal" for mine, row in zip(hers, rows, strict=True)
    ]
    assert found.replacements["owner_type"].to_pylist() == [
        "personal" if mine else row["owner_type"] for mine, row in zip(hers, rows, strict=True)
    ]
    assert int(found.removed_values["/apps/*/name"].sum()) == sum(hers)


def test_a_record_stays_unless_a_reason_takes_it() -> None:
    gone = {"retention": np.array([True, False, False]), "erased": np.array([False, False, True])}
    assert BatchVerdict(gone).remaining_rows(3).tolist() == [False, True, False]
    assert BatchVerdict().remaining_rows(2).all()


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
