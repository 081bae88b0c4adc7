"""Which aggregates are made anew after records went, and what is known of their dates."""

from __future__ import annotations

from datetime import date, timedelta

from minimize.governance.lifecycle_events import RetentionEvent
from minimize.governance.retention.recompute_aggregates import AggregateRecomputation
from minimize.governance.rewrite_receipt import RecomputedAggregate
from minimize.output.reader import load_receipts
from tests.governance.retention.daily import START, Daily, rows

DAY = timedelta(days=1)
RAN, FIRST = START + DAY, date(2026, 1, 1)


def left(*subjects: str) -> tuple[RetentionEvent, ...]:
    return tuple(RetentionEvent("south", "subject_left", RAN, subject) for subject in subjects)


def ran(project: Daily) -> Daily:
    project.collect(rows(FIRST, devices=6), FIRST)
    project.run(FIRST, RAN)
    return project


def made(project: Daily, *events: RetentionEvent) -> list[RecomputedAggregate]:
    asked = project.plan(RAN, *events)
    plan = asked.plan()
    anew = AggregateRecomputation(asked.request, asked.pipeline, plan)
    return list(anew.recompute(load_receipts(project.out), plan.due))


def test_an_aggregate_of_which_enough_go_is_made(project: Daily) -> None:
    (found,) = made(ran(project), *left("d0", "d1"))
    assert (found.name, found.date) == ("daily", str(FIRST))
    assert {row["tenant"]: row["events"] for row in found.guarded.result.table.to_pylist()}["south"] == 8


def test_one_of_which_few_go_is_not(project: Daily) -> None:
    assert made(ran(project), *left("d0")) == []


def test_a_date_on_which_a_device_changed_hands_is_left(project: Daily) -> None:
    personal = RetentionEvent("south", "became_personal", RAN, "d4")
    assert made(ran(project), *left("d0", "d1"), personal) == []


def test_what_went_before_is_known_by_what_no_longer_stands(project: Daily) -> None:
    ran(project).expire(RAN, events=project.events("south,d0,subject_left,2026-01-02T00:00:00Z"))
    (found,) = made(project, *left("d0", "d1"))
    assert {row["tenant"]: row["events"] for row in found.guarded.result.table.to_pylist()}["south"] == 8
