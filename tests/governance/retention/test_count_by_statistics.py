"""Statistics settle what is due, or the file is read: both come to the same."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.removal import plan
from tests.governance.retention.daily import FIELDS, START, Daily, rows

FIRST = date(2026, 1, 1)
RAN = START + timedelta(days=1)
HEIGHT = {"type": "integer", "role": "quasi", "feature": "location", "do": "keep"}


@pytest.fixture(name="ran")
def _ran(project: Daily, monkeypatch: pytest.MonkeyPatch) -> Daily:
    """An output whose positions are numbers, which have statistics."""
    project.policy({"place": None, "height": HEIGHT})
    project.pipeline(aggregates=None)
    lines = [{**row.line(), "height": 7} for row in rows(FIRST)]
    monkeypatch.setattr("tests.governance.retention.daily.Row.line", lambda self: lines.pop())
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    return project


def planned(project: Daily, hours: int, **options: Any) -> Any:
    return [
        each.to_json() for each in project.expire(RAN + timedelta(hours=hours), yes=False, **options).plan.partitions
    ]


def test_where_all_values_are_due_nothing_is_read(ran: Daily) -> None:
    read = planned(ran, 24)
    with at_checkpoint("stored.read", lambda *_: pytest.fail("the file was read")):
        assert planned(ran, 24) == read
    assert read[0]["values"] == {"height": 12}


def test_statistics_and_reading_agree(ran: Daily, monkeypatch: pytest.MonkeyPatch) -> None:
    told = planned(ran, 24)
    monkeypatch.setattr(plan, "count_by_statistics", lambda *given: None)
    assert planned(ran, 24) == told


def test_where_some_values_are_due_the_file_is_read(ran: Daily) -> None:
    assert planned(ran, 2)[0]["values"] == {"height": 6}


def test_a_condition_that_may_hold_otherwise_is_read(project: Daily) -> None:
    field = {**FIELDS["note"], "collect_if": {"any": [{"feature": "location"}, {"owner_type": "corporate"}]}}
    project.policy({"note": field, "place": None})
    project.collect(rows(FIRST), FIRST)
    project.run(FIRST, RAN)
    assert planned(project, 24)[0]["values"] == {"note": 6}
