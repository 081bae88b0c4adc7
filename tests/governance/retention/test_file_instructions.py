"""The orders for one file: retention of today and events, in the terms of the policy that it was written under."""

from __future__ import annotations

from datetime import date, timedelta

from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.stages.identifier_forms import period_instants
from tests.governance.retention.daily import START, Daily, rows

DAY = timedelta(days=1)
RAN = START + DAY


def test_events_are_separated_by_their_effect(day: Daily) -> None:
    closed, left = RetentionEvent("north", "tenant_closed", RAN), RetentionEvent("east", "subject_left", RAN, "d1")
    personal = RetentionEvent("south", "became_personal", RAN, "d0")
    (orders,) = day.orders(RAN, closed, left, personal)
    assert {event for each in orders.erased for event in each.findable} == {closed, left}
    assert [each.findable for each in orders.reclassified] == [(personal,)]
    assert set(orders.treatments) == {"phone", "/apps/*/name"}
    assert orders.owner == "owner_type"
    assert orders.may_concern(left)


def test_an_event_before_everything_in_a_file_is_not_asked_for(day: Daily) -> None:
    before = RetentionEvent("north", "tenant_closed", START - DAY)
    (orders,) = day.orders(RAN, before)
    assert not orders.may_concern(before)


def test_an_event_that_is_yet_to_come_is_not_either(day: Daily) -> None:
    later = RetentionEvent("north", "tenant_closed", RAN + DAY)
    (orders,) = day.orders(RAN, later)
    assert not orders.may_concern(later)


def test_where_no_field_asks_for_the_owner_nothing_changes_hands(project: Daily) -> None:
    project.policy({"phone": None, "/apps/*/name": None, "/apps/*/managed": None})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    (orders,) = project.orders(RAN, RetentionEvent("north", "became_personal", RAN))
    assert (dict(orders.treatments), orders.reclassified) == ({}, ())


def test_an_aggregate_is_as_old_as_its_days(day: Daily) -> None:
    made = day.plan(RAN)
    (file,) = made.output.files("daily")
    orders = made.request.instructions(file)
    assert orders.clock is not None
    assert str(orders.clock.pointer) == "/day"
    assert (orders.erased, orders.rules.age) == ((), 30 * DAY)


def test_periods_are_touched_from_the_first_to_the_last() -> None:
    found = list(period_instants(START, START + timedelta(days=2, hours=1), frozenset({"day", "week"})))
    assert [each.date() for each in found] == [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 3)]
    assert found[-1] == START + timedelta(days=2, hours=1)
