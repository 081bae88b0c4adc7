"""The plan of an expiry: what goes and why, what stays, what is open."""

from __future__ import annotations

from datetime import timedelta

from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.removal.plan import RemovalPlan, open_deadlines, plan_removal
from tests.governance.retention.daily import START, Daily, rows

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RAN = START + DAY
LEFT = RetentionEvent("east", "subject_left", RAN, "d1")


def plan(project: Daily, hours: int, *events: RetentionEvent) -> RemovalPlan:
    return project.plan(RAN + hours * HOUR, *events).plan()


def test_it_tells_per_output_and_date_how_many_files_and_rows_go_and_why(day: Daily) -> None:
    (found,) = plan(day, 0, LEFT).partitions
    assert (found.name, found.date, found.removed, found.rewritten, dict(found.gated)) == (
        "records",
        "2026-01-01",
        0,
        1,
        {"erased": 2},
    )
    assert str(found) == (
        "records 2026-01-01: rows: 2 of tenants or subjects with a lifecycle event (files removed: 0, rewritten: 1)"
    )
    assert found.to_json()["rows"] == 2


def test_aggregates_behind_which_records_go_are_said_to_stay_and_not_for_age(day: Daily) -> None:
    assert plan(day, 0, LEFT).dates_left == {"daily": ("2026-01-01",)}
    assert plan(day, 1).dates_left == {}


def test_that_a_table_stays_is_said_until_the_plan_is_carried_out(day: Daily) -> None:
    line = "daily: the figures for 2026-01-01 stay, although some of their records are removed"
    assert line in str(plan(day, 0, LEFT)).splitlines()
    assert "daily" not in plan(day, 0, LEFT).outcome_text()


def test_nothing_due_is_said_in_words(day: Daily) -> None:
    assert str(plan(day, 0)) == "nothing to do: no data is due for removal"
    assert str(plan_removal(RAN, [])) == "nothing to do: no data is due for removal"


def test_events_about_nobody_who_can_be_found_are_counted(project: Daily) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    found = plan(project, 0, LEFT)
    assert (found.unfindable, found.to_json()["lost"]) == (1, 1)
    assert "1 events name subjects that cannot be found" in str(found)


def test_what_is_open_is_sorted_by_its_time_limit(day: Daily) -> None:
    closed, later = RetentionEvent("north", "tenant_closed", RAN), RetentionEvent("south", "reset", RAN + DAY, "d0")
    found = open_deadlines(plan(day, 1, LEFT, closed), (LEFT, closed, later), {LEFT: 1, closed: 1})
    assert [(each.kind, each.files) for each in found] == [
        ("retention", 1),
        ("subject_left", 1),
        ("reset", 0),
        ("tenant_closed", 1),
    ]
    assert [each.overdue for each in found] == [True, False, False, False]
    assert found[1].to_json() == {
        "what": "subject_left",
        "by": "2026-02-01T00:00:00Z",
        "files": 1,
        "overdue": False,
        "tenant_id": "east",
    }
    assert str(found[3]) == "tenant_closed of north: by 2026-07-01T00:00:00Z, 1 file"


def test_what_cannot_be_told_is_open_and_says_so(day: Daily) -> None:
    told = RemovalPlan(RAN + 40 * DAY, uncertain={LEFT: 3})
    (found,) = open_deadlines(told, (LEFT,), {})
    assert (found.files, found.uncertain, found.overdue) == (0, 3, True)
    assert str(found).endswith("0 files (and 3 that may be concerned) OVERDUE")


def test_an_event_that_was_carried_out_is_not_open(day: Daily) -> None:
    assert open_deadlines(RemovalPlan(RAN), (LEFT,), {LEFT: 0}) == []
