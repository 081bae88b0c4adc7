"""Which files hold something due, and how much: by statistics, by index, by the few columns that decide."""

from __future__ import annotations

from datetime import timedelta

from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.removal.plan import DueFile, deciding_columns, find_due
from tests.governance.retention.daily import START, Daily

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY
LEFT = RetentionEvent("east", "subject_left", RAN, "d1")


def due(project: Daily, hours: int, *events: RetentionEvent, name: str = "records") -> DueFile:
    made = project.plan(RAN + hours * HOUR, *events)
    (file,) = made.output.files(name)
    found = find_due(made.request, file)
    assert found is not None
    return found


def test_a_file_is_due_by_its_values_then_by_its_rows_then_whole(day: Daily) -> None:
    assert not due(day, 0).is_due
    some = due(day, 1)
    assert (dict(some.gated), dict(some.values), some.is_whole) == ({}, {"place": 6}, False)
    rows = due(day, 29 * 24 + 2)
    assert (dict(rows.gated), rows.is_whole) == ({"retention": 6}, False)
    assert due(day, 30 * 24).is_whole


def test_it_says_whether_it_is_for_age_or_for_another_reason(day: Daily) -> None:
    aged, left = due(day, 1), due(day, 0, LEFT)
    assert (aged.is_aged, aged.is_changed) == (True, False)
    assert (left.is_aged, left.is_changed, left.rows) == (False, True, 2)
    handed = due(day, 0, RetentionEvent("north", "became_personal", RAN, "d0"))
    assert (handed.is_reclassified, handed.is_changed) == (True, True)


def test_it_knows_which_event_may_have_taken_something(day: Daily) -> None:
    nobody = RetentionEvent("east", "subject_left", START - DAY, "d0")
    found = due(day, 0, LEFT, nobody)
    assert (found.may_concern(LEFT), found.may_concern(nobody)) == (True, False)
    assert not due(day, 1).may_concern(LEFT)


def test_somebody_who_is_not_in_the_index_costs_no_look_at_the_file(day: Daily) -> None:
    (day.out / day.plan(RAN).output.files("records")[0].path).touch()
    assert not due(day, 0, RetentionEvent("east", "subject_left", RAN, "nobody")).is_due


def test_it_names_its_output_and_date(day: Daily) -> None:
    found = due(day, 30 * 24, name="daily")
    assert (found.name, found.date, found.is_whole) == ("daily", "2026-01-01", True)


def test_only_columns_that_decide_are_read(day: Daily) -> None:
    (orders,) = day.orders(RAN, LEFT)
    assert set(deciding_columns(orders, orders.file.schema)) >= {"tenant_id", "device_id", "event_time", "place"}
    assert "note" not in deciding_columns(orders, orders.file.schema)
    (aged,) = day.orders(RAN)
    assert deciding_columns(aged, orders.file.schema) == ["event_time", "place"]
