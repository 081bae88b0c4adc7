"""The plan of an expiry: which files hold something due, how many rows are removed and why, and what stays open."""

from __future__ import annotations

from datetime import timedelta

from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.removal.plan import DueFile, RemovalPlan, deciding_columns, find_due, open_deadlines, plan_removal
from tests.governance.retention.daily import START, Daily, rows

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


def test_a_due_file_states_whether_age_or_another_reason_applies(day: Daily) -> None:
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


def test_a_subject_that_is_not_in_the_index_requires_no_look_at_the_file(day: Daily) -> None:
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


def plan(project: Daily, hours: int, *events: RetentionEvent) -> RemovalPlan:
    return project.plan(RAN + hours * HOUR, *events).plan()


def test_a_removal_plan_gives_files_rows_and_reasons_per_output_and_date(day: Daily) -> None:
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


def test_aggregates_of_removed_records_stay_unless_age_is_the_reason(day: Daily) -> None:
    assert plan(day, 0, LEFT).dates_left == {"daily": ("2026-01-01",)}
    assert plan(day, 1).dates_left == {}


def test_the_plan_names_remaining_tables_and_its_outcome_does_not(day: Daily) -> None:
    line = "daily: statistics for 2026-01-01 stay, although some of their records are removed"
    assert line in str(plan(day, 0, LEFT)).splitlines()
    assert "daily" not in plan(day, 0, LEFT).outcome_text()


def test_an_empty_plan_reads_nothing_to_do(day: Daily) -> None:
    assert str(plan(day, 0)) == "nothing to do: no data is due for removal"
    assert str(plan_removal(RAN, [])) == "nothing to do: no data is due for removal"


def test_events_about_subjects_that_cannot_be_found_are_counted(project: Daily) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    project.collect(rows(START.date()), START.date())
    project.run(START.date(), RAN)
    found = plan(project, 0, LEFT)
    assert (found.unfindable, found.to_json()["lost"]) == (1, 1)
    assert "1 events name subjects that cannot be found" in str(found)


def test_open_deadlines_are_sorted_by_their_time_limit(day: Daily) -> None:
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
        "kind": "subject_left",
        "what": "subject_left",
        "deadline": "2026-02-01T00:00:00Z",
        "by": "2026-02-01T00:00:00Z",
        "files": 1,
        "overdue": False,
        "tenant_id": "east",
    }
    assert str(found[3]) == "tenant_closed of north: by 2026-07-01T00:00:00Z, 1 file"


def test_undecidable_files_stay_open_and_are_reported_as_such(day: Daily) -> None:
    told = RemovalPlan(RAN + 40 * DAY, uncertain={LEFT: 3})
    (found,) = open_deadlines(told, (LEFT,), {})
    assert (found.files, found.uncertain, found.overdue) == (0, 3, True)
    assert str(found).endswith("0 files (and 3 that may be concerned) OVERDUE")


def test_an_event_that_was_carried_out_is_not_open(day: Daily) -> None:
    assert open_deadlines(RemovalPlan(RAN), (LEFT,), {LEFT: 0}) == []
