"""What must go of one batch: records, values, and values in a coarser form."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from minimize.governance.retention.lifecycle_events import RetentionEvent
from minimize.governance.retention.verdict import BatchVerdict
from tests.governance.retention.daily import START, Daily

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY


def verdict(project: Daily, at: Any, *events: RetentionEvent) -> tuple[BatchVerdict, list[dict[str, Any]]]:
    ((_, stored, orders),) = project.orders(at, *events)
    (batch,) = stored.batches()
    return orders(batch), batch.to_pylist()


def test_nothing_goes_where_nothing_is_due(day: Daily) -> None:
    found, rows = verdict(day, RAN)
    assert found.remaining(len(rows)).all()
    assert found.removed_values == found.replacements == {}


def test_values_of_a_feature_go_by_the_start_of_their_hour(day: Daily) -> None:
    found, rows = verdict(day, RAN + HOUR)
    assert found.removed_values["place"].tolist() == [row["event_time"].hour == 1 for row in rows]
    assert found.remaining(len(rows)).all()


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
    assert BatchVerdict(gone).remaining(3).tolist() == [False, True, False]
    assert BatchVerdict().remaining(2).all()
