"""Aggregates that wait for late rows: each event day once, complete, from every batch that may hold its rows."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.runs import unfinished_parts
from tests.project import Builds, Project

BELOW = 3
LATE: dict[str, Any] = {
    "daily": {
        "group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id"},
        "measures": {"events": "count", "devices": {"count_distinct": "device_id"}, "charge": {"mean": "battery"}},
        "suppress": {"below": BELOW},
        "exact": {"because": "tests compare figures"},
        "late": "2d",
    }
}
Event = dict[str, Any]


def seen(day: int, device: int, hour: int = 10, tenant: str = "north") -> Event:
    """One check-in in November; the same numbers give the same one."""
    when = datetime(2026, 11, day, hour, device % 60, tzinfo=UTC)
    return {
        "event_id": f"{day}-{device}-{hour}",
        "tenant_id": tenant,
        "device_id": f"d{device}",
        "event_time": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "battery": float(device * 7 % 90),
    }


def crowd(day: int, devices: Iterable[int] = range(5), **options: Any) -> list[Event]:
    return [seen(day, device, **options) for device in devices]


def batch(number: int) -> str:
    return f"2026-11-{number:02}"


def at(number: int) -> datetime:
    """The morning after a batch."""
    return datetime(2026, 11, number + 1, 3, tzinfo=UTC)


def plainly(events: Iterable[Event]) -> dict[tuple[date, str], tuple[int, int, Any]]:
    """The aggregate of some events, worked out the long way."""
    groups: dict[tuple[date, str], list[Event]] = defaultdict(list)
    for event in events:
        groups[date.fromisoformat(event["event_time"][:10]), event["tenant_id"]].append(event)
    figures = {}
    for key, rows in groups.items():
        devices = len({row["device_id"] for row in rows})
        if devices >= BELOW:
            mean = sum(row["battery"] for row in rows) / len(rows)
            figures[key] = (len(rows), devices, pytest.approx(mean))
    return figures


def nights_content(project: Project) -> None:
    project.pipeline(aggregates=LATE, settings=None)


@pytest.fixture(name="nights")
def _nights(builds: Builds, project: Project) -> Project:
    return builds.fill(project, nights_content)


def night(project: Project, number: int, **options: Any) -> minimize.Receipt:
    given: dict[str, Any] = {"date": batch(number), "at": at(number), **options}
    return project.run(**given)


def figures(project: Project, output: Path | None = None) -> dict[tuple[date, str], tuple[int, int, float]]:
    rows = minimize.read(output or project.out, "daily").to_pylist()
    assert all(row["date"] == row["day"].date() for row in rows)
    return {(row["day"].date(), row["tenant"]): (row["events"], row["devices"], row["charge"]) for row in rows}


def days(receipt: minimize.Receipt) -> list[str]:
    return [*(receipt.outputs["daily"].days or {})]


def test_a_day_is_published_by_the_batch_that_closes_its_window(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
    assert days(night(nights, 20)) == days(night(nights, 21)) == []
    assert days(night(nights, 22)) == [batch(20)]
    assert figures(nights) == plainly(crowd(20))


def test_late_rows_count_in_their_event_day(nights: Project) -> None:
    late = crowd(20, range(5, 9))
    nights.records(crowd(20), day=batch(20))
    nights.records(crowd(21) + late[:2], day=batch(21))
    nights.records(crowd(22) + late[2:], day=batch(22))
    for number in (20, 21, 22):
        night(nights, number)
    assert figures(nights) == plainly(crowd(20) + late)
    minimize.verify(nights.out, keys=nights.keys)


def test_a_row_after_the_window_stays_in_the_records_and_is_counted_as_too_late(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
        night(nights, number)
    nights.records(crowd(23) + crowd(20, [7, 8]), day=batch(23))
    receipt = night(nights, 23)
    assert receipt.outputs["daily"].too_late == 2
    assert receipt.rows.written == 7
    assert figures(nights) == plainly(crowd(20) + crowd(21))


def test_all_dates_in_one_run_are_the_same_as_night_by_night(nights: Project) -> None:
    for number in range(18, 25):
        nights.records(crowd(number) + crowd(number - 1, [6]) + crowd(number - 2, [7, 8]), day=batch(number))
    for number in range(18, 25):
        night(nights, number)
    once = nights.folder / "once"
    receipt = nights.run(at=at(24), output=once)
    assert figures(nights, once) == figures(nights)
    assert days(receipt) == [batch(number) for number in range(16, 23)]
    minimize.verify(once, keys=nights.keys)


def test_a_day_is_published_once_however_often_its_batch_is_run(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
        night(nights, number)
    before = minimize.files(nights.out, "daily")
    nights.records(crowd(20, [8]) + crowd(22, [8]), day=batch(22), name="more")
    receipt = night(nights, 22)
    assert minimize.files(nights.out, "daily") == before
    assert days(receipt) == []
    assert receipt.outputs["daily"].too_late == 1
    minimize.verify(nights.out, keys=nights.keys)


def test_a_batch_that_changed_since_it_ran_keeps_the_day_from_being_published(
    nights: Project, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
    night(nights, 20)
    night(nights, 21)
    nights.records(crowd(20, [8]), day=batch(21), name="late")
    with caplog.at_level(logging.WARNING, "minimize"):
        receipt = night(nights, 22)
    assert receipt.outputs["daily"].unpublished == {batch(20): "2026-11-21: changed"}
    assert unfinished_parts(receipt) == "daily: 1 event day not published"
    reason = "because one of its batches was skipped or has changed (2026-11-21: changed)"
    assert f"2026-11-20 is not published, {reason}" in caplog.text
    assert "W011" in [record.__dict__.get("code") for record in caplog.records]
    assert len(nights.rows()) == 15


def test_after_its_batch_is_run_again_the_day_is_published(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
    night(nights, 20)
    night(nights, 21)
    nights.records(crowd(20, [8]), day=batch(21), name="late")
    night(nights, 22)
    receipt = nights.run(pending=True, at=at(23))
    assert (receipt.dates, days(receipt)) == ((batch(21),), [batch(20)])
    assert unfinished_parts(receipt) == ""
    assert figures(nights) == plainly(crowd(20) + crowd(20, [8]))


def test_a_batch_that_is_gone_keeps_the_day_from_being_published(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
    night(nights, 20)
    gone = nights.folder / "data" / batch(20) / "a.ndjson.gz"
    gone.unlink()
    night(nights, 21)
    assert night(nights, 22).outputs["daily"].unpublished == {batch(20): "2026-11-20: gone"}


def test_a_night_without_input_closes_nothing_and_the_next_one_closes_both(nights: Project) -> None:
    for number in (20, 21, 23):
        nights.records(crowd(number), day=batch(number))
    night(nights, 20)
    night(nights, 21)
    assert night(nights, 22).sequence == 0
    assert days(night(nights, 23)) == [batch(20), batch(21)]


def test_a_clock_that_runs_ahead_counts_in_the_day_it_shows(nights: Project) -> None:
    nights.policy(future="3d")
    ahead = crowd(22, range(10, 14))
    nights.records(crowd(20) + ahead, day=batch(20))
    for number in (21, 22, 23, 24):
        nights.records(crowd(number), day=batch(number))
    for number in range(20, 25):
        night(nights, number)
    assert figures(nights) == plainly([*crowd(20), *crowd(21), *crowd(22), *ahead])


def test_a_row_from_a_clock_far_ahead_is_quarantined_and_in_no_aggregate(nights: Project) -> None:
    nights.records(crowd(10) + crowd(25, [7]), day=batch(10))
    receipt = night(nights, 10)
    assert receipt.quarantine.by_code == {"future_time": 1}
    assert receipt.outputs["daily"].event_days == {batch(10): {batch(10): 5}}


def test_a_batch_that_runs_late_may_hold_days_that_do_not_wait_for_it(nights: Project) -> None:
    nights.records(crowd(10) + crowd(25, [7]), day=batch(10))
    receipt = night(nights, 10, at=at(25))
    assert receipt.outputs["daily"].too_early == 1


def test_a_published_day_is_recorded_with_its_rows_from_each_batch(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number) + (crowd(20, [7]) if number == 22 else []), day=batch(number))
        receipt = night(nights, number)
    output = receipt.outputs["daily"]
    assert output.days == {batch(20): {batch(20): 5, batch(21): 0, batch(22): 1}}
    assert output.event_days == {batch(22): {batch(20): 1, batch(22): 5}}


def test_batches_that_never_ran_are_read_from_the_source(nights: Project) -> None:
    for number in (20, 21, 22):
        nights.records(crowd(number) + crowd(20, [5 + number]), day=batch(number))
    assert days(night(nights, 22)) == [batch(20)]
    assert figures(nights) == plainly(crowd(20) + crowd(20, [25, 26, 27]))


def test_hours_are_whole_days_for_a_batch_is_a_day(nights: Project) -> None:
    nights.pipeline(aggregates={"daily": LATE["daily"] | {"late": "36h"}}, settings=None)
    for number in (20, 21, 22):
        nights.records(crowd(number), day=batch(number))
        receipt = night(nights, number)
    assert days(receipt) == [batch(20)]


def test_event_days_are_those_of_the_clock_that_the_time_is_released_by(nights: Project) -> None:
    nights.policy({"event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour", "zone": "Asia/Tokyo"}}}})
    for number in (20, 21, 22, 23):
        nights.records(crowd(number, hour=20), day=batch(number))
        night(nights, number)
    rows = minimize.read(nights.out, "daily").to_pylist()
    assert [f"{row['day']:%Y-%m-%d %H}" for row in rows] == ["2026-11-20 15"]
    assert [f"{row['date']}" for row in rows] == [batch(21)]


def test_without_records_the_rows_that_count_in_some_day_are_written(nights: Project) -> None:
    nights.pipeline(aggregates=LATE, settings=None, records=False)
    nights.records(crowd(20) + crowd(12, [7]), day=batch(20))
    receipt = nights.exact(night(nights, 20))
    assert (receipt.rows.read, receipt.rows.written, receipt.rows.suppressed) == (6, 5, 1)


def test_duplicates_are_removed_within_a_batch_as_in_its_records(nights: Project) -> None:
    nights.pipeline(aggregates=LATE, settings=None, records={"deduplicate": {"by": ["device_id"], "per": "day"}})
    for number in (20, 21, 22):
        nights.records(crowd(number) + crowd(number, hour=12), day=batch(number))
        night(nights, number)
    assert figures(nights) == plainly(crowd(20))


def test_groups_below_a_list_wait_as_well(nights: Project) -> None:
    nights.policy({"/apps/*/name": {"type": "string", "do": "keep"}})
    apps: Mapping[str, Any] = {
        "installed": {
            "group_by": {"app": "/apps/*/name"},
            "measures": {"devices": {"count_distinct": "device_id"}},
            "suppress": {"below": BELOW},
            "late": "1d",
        }
    }
    nights.pipeline(aggregates=apps, settings=None)
    for number in (20, 21):
        rows = [{**each, "apps": [{"name": "mail"}, {"name": f"odd{each['device_id']}"}]} for each in crowd(number)]
        nights.records([*rows, {**seen(20, 8), "apps": [{"name": "mail"}]}], day=batch(number))
        night(nights, number)
    found = minimize.read(nights.out, "installed").to_pylist()
    assert found == [{"app": "mail", "devices": 6, "date": date(2026, 11, 20)}]


def test_a_source_without_dates_has_nothing_to_wait_for(nights: Project) -> None:
    noisy = {"daily": {key: part for key, part in LATE["daily"].items() if key != "exact"}}
    nights.pipeline(aggregates=noisy, settings=None, source={"path": "data/**", "format": "ndjson"})
    nights.records(crowd(20, range(60)) + crowd(21, range(60)))
    receipt = nights.run(at=at(21))
    assert receipt.outputs["daily"].days is None
    counts = [row["events"] for row in minimize.read(nights.out, "daily").to_pylist()]
    assert [abs(count - 60) <= 24 for count in counts] == [True, True]
