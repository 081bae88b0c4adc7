"""What a deletion comes to: portions, and what its requests say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from minimize.governance.retention.removal_plan import RemovalPlan
from minimize.governance.subjects.delete import Deletion, request_outcome, split_plan
from minimize.ledger.subjects import SubjectRequestStep
from tests.receipts.make import small

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def plan(*dates: str, **more: Any) -> RemovalPlan:
    due: Any = tuple(SimpleNamespace(date=date) for date in dates)
    return RemovalPlan(NOW, due, **more)


def parts(whole: RemovalPlan, files: int) -> list[list[str | None]]:
    return [[each.date for each in part.due] for part in split_plan(whole, files)]


def test_a_plan_is_published_in_portions_of_whole_dates() -> None:
    assert parts(plan("c", "a", "b", "a"), 2) == [["a", "a"], ["b", "c"]]
    assert parts(plan("a", "a", "a"), 2) == [["a", "a", "a"]]
    assert parts(plan(), 2) == []


def test_where_an_aggregate_waited_for_late_rows_all_goes_at_once() -> None:
    assert parts(plan("a", "b", late_days={("daily", "a"): frozenset({"a", "b"})}), 1) == [["a", "b"]]


def test_a_request_that_is_gone_on_with_keeps_what_it_came_to_before() -> None:
    body = {"receipts": ["one"], "recalls": {"vendor": ["x"]}}
    step = SubjectRequestStep("delete", "north", None, NOW, NOW, "failed", body, NOW, "ann")
    told = request_outcome(step, ["two"], {"vendor": ["y", "x"], "other": ["z"]})
    assert told == {"receipts": ["one", "two"], "recalls": {"other": ["z"], "vendor": ["x", "y"]}}
    assert request_outcome(replace(step, body={}), [], {}) == {"receipts": [], "recalls": {}}


def test_aggregates_that_keep_figures_are_those_of_all_portions() -> None:
    receipts = [small(number + 1, stays={"daily": (f"2026-11-{23 + number}",)}) for number in range(2)]
    done = Deletion((), {}, receipts=tuple(receipts))
    assert done.stays == {"device_telemetry": {"daily": ["2026-11-23", "2026-11-24"]}}
