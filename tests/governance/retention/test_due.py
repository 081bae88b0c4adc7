"""Which files hold something due, and how much: by statistics, by index, by the few columns that decide."""

from __future__ import annotations

from datetime import timedelta

from minimize.governance.retention.due import Due, deciding, look
from minimize.governance.retention.events import Event
from tests.governance.retention.daily import START, Daily

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY
LEFT = Event("east", "subject_left", RAN, "d1")


def due(project: Daily, hours: int, *events: Event, name: str = "records") -> Due:
    made = project.plan(RAN + hours * HOUR, *events)
    ((written, file),) = made.standing(name)
    return look(made.asked, written, file)


def test_a_file_is_due_by_its_values_then_by_its_rows_then_whole(day: Daily) -> None:
    assert not due(day, 0).is_due
    some = due(day, 1)
    assert (dict(some.gated), dict(some.values), some.whole) == ({}, {"place": 6}, False)
    rows = due(day, 29 * 24 + 2)
    assert (dict(rows.gated), rows.whole) == ({"retention": 6}, False)
    assert due(day, 30 * 24).whole


def test_it_says_whether_it_is_for_age_or_for_another_reason(day: Daily) -> None:
    aged, left = due(day, 1), due(day, 0, LEFT)
    assert (aged.is_aged, aged.is_changed) == (True, False)
    assert (left.is_aged, left.is_changed, left.rows) == (False, True, 2)
    handed = due(day, 0, Event("north", "became_personal", RAN, "d0"))
    assert (handed.is_handed, handed.is_changed) == (True, True)


def test_it_knows_which_event_may_have_taken_something(day: Daily) -> None:
    nobody = Event("east", "subject_left", START - DAY, "d0")
    found = due(day, 0, LEFT, nobody)
    assert (found.names(LEFT), found.names(nobody)) == (True, False)
    assert not due(day, 1).names(LEFT)


def test_somebody_who_is_not_in_the_index_costs_no_look_at_the_file(day: Daily) -> None:
    (day.out / next(iter(day.plan(RAN).standing("records")))[1].path).touch()
    assert not due(day, 0, Event("east", "subject_left", RAN, "nobody")).is_due


def test_it_names_its_output_and_date(day: Daily) -> None:
    found = due(day, 30 * 24, name="daily")
    assert (found.name, found.date, found.whole) == ("daily", "2026-01-01", True)


def test_only_columns_that_decide_are_read(day: Daily) -> None:
    ((_, stored, orders),) = day.orders(RAN, LEFT)
    assert set(deciding(orders, stored.whole)) >= {"tenant_id", "device_id", "event_time", "place"}
    assert "note" not in deciding(orders, stored.whole)
    ((_, _, aged),) = day.orders(RAN)
    assert deciding(aged, stored.whole) == ["event_time", "place"]
