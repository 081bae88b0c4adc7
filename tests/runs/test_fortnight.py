"""A fortnight of nights that nobody watches: late files and rows, an opt-out and opt-in, a crash, a backfill.

What stands at the end is told by plain references: each date is what a run of that date alone, at the `at` of its last receipt,
gives in an empty folder; each event day of the aggregate is what one gets from all rows at once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from tests.calls import backfill
from tests.faults import child
from tests.faults.process import KILLED
from tests.project import Project, new_project

BELOW, WAIT = 4, 2
FIRST, NIGHTS = date(2026, 11, 1), 14
FIELDS: dict[str, Any] = {
    "battery": {
        "type": "double",
        "feature": "charging",
        "do": {"bin": {"width": 10}},
        "in_aggregates": {"clip": {"min": 0, "max": 90}},
    },
    "model": {"type": "string", "do": "keep"},
    "latitude": None,
}
POLICY: dict[str, Any] = {"retention": "9999d", "features": {"charging": {"about": "how full the battery is"}}}
DAILY: dict[str, Any] = {
    "daily": {
        "group_by": {"day": {"event_time": "day"}, "tenant": "tenant_id"},
        "measures": {"events": "count", "devices": {"count_distinct": "device_id"}, "charge": {"mean": "battery"}},
        "suppress": {"below": BELOW},
        "exact": {"because": "the figures are compared"},
        "late": f"{WAIT}d",
    }
}
HEAD = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
CHANGES = [
    ("north", "on", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"),
    ("south", "on", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"),
    ("north", "off", "2026-11-05T06:00:00Z", "2026-11-05T06:00:00Z"),  # opted out …
    ("north", "on", "2026-11-08T18:00:00Z", "2026-11-08T18:00:00Z"),  # … and in again: the time between never comes
    ("south", "off", "2026-11-09T00:00:00Z", "2026-11-10T12:00:00Z"),  # told a day and a half late
]


@dataclass(frozen=True)
class Event:
    """One check-in: when it happened, whose it is, and how full the battery was."""

    time: datetime
    tenant: str
    device: str
    battery: float

    def line(self, number: int) -> dict[str, Any]:
        return {
            "event_id": f"{self.device}-{self.time:%d%H%M%S}-{number}",
            "tenant_id": self.tenant,
            "device_id": self.device,
            "event_time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}",
            "model": "A",
            "battery": self.battery,
        }


def happened(day: date) -> list[Event]:
    """What happened on a day: five devices of each tenant, four times."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [
        Event(
            start + timedelta(hours=5 * turn + device, minutes=day.day),
            tenant,
            f"{tenant}{device}",
            float((7 * device + day.day * turn) % 90),
        )
        for tenant in ("north", "south")
        for device in range(5)
        for turn in range(4)
    ]


def arriving() -> Iterator[tuple[int, date, str, list[Event]]]:
    """What arrives before which night, in which batch and file: some of a day comes a day late, two, or five."""
    for night in range(NIGHTS):
        day = FIRST + timedelta(night)
        rows = [event for number, event in enumerate(happened(day)) if number % 8 not in (1, 3, 5)]
        for back, rest in ((1, 1), (2, 3), (5, 5)):
            rows += [event for number, event in enumerate(happened(day - timedelta(back))) if number % 8 == rest]
        yield night, day, "a", rows
        if night % 4 == 2:  # a file that was forgotten, a night late, in the batch of the day before
            yield night, day - timedelta(1), "late", happened(day - timedelta(1))[:2]


def collected(tenant: str, time: datetime, at: datetime) -> bool:
    """Whether `charging` was on when it happened, as it was known then, and is on now."""

    def on(when: datetime) -> bool:
        known = [row for row in CHANGES if row[0] == tenant and _time(row[3]) <= at and _time(row[2]) <= when]
        return bool(known) and max(known, key=lambda row: (row[2], row[3]))[1] == "on"

    return on(time) and on(at)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class Fortnight:
    """The project after a fortnight, and what arrived by which night."""

    project: Project
    told: list[minimize.Receipt]

    @property
    def receipts(self) -> list[minimize.Receipt]:
        paths = (self.project.out / "runs").glob("*/receipt.json")
        return sorted((minimize.Receipt.from_json(path.read_bytes()) for path in paths), key=lambda each: each.sequence)

    def last(self, day: date) -> minimize.Receipt:
        return [receipt for receipt in self.receipts if day.isoformat() in receipt.dates][-1]


def morning(night: int) -> datetime:
    return datetime(2026, 11, 1, 2, 30, tzinfo=UTC) + timedelta(night + 1)


def settings(project: Project) -> None:
    rows = (f"{tenant},,charging,{value},admin,{valid},{recorded}\n" for tenant, value, valid, recorded in CHANGES)
    (project.folder / "settings.csv").write_text(HEAD + "".join(rows))


def killed(project: Project, night: int) -> None:
    """The night's run, in a process that dies in the middle of publishing."""
    words = [
        "run",
        project.folder,
        "--pending",
        "--at",
        morning(night).isoformat(),
        "--output",
        project.out,
        "--keys",
        project.keys,
    ]
    assert child.killed(words, "swap.after") == KILLED


@pytest.fixture(scope="module", name="fortnight")
def _fortnight(tmp_path_factory: pytest.TempPathFactory) -> Fortnight:
    project = new_project(tmp_path_factory.mktemp("project"))
    project.policy(FIELDS, **POLICY)
    project.pipeline(aggregates=DAILY)
    settings(project)
    arrivals = list(arriving())
    told = []
    for night in range(NIGHTS):
        for when, day, name, rows in arrivals:
            if when == night:
                project.records(
                    [event.line(number) for number, event in enumerate(rows)], day=day.isoformat(), name=name
                )
        if night == 6:
            killed(project, night)
        told.append(project.run(pending=True, at=morning(night)))
    project.policy(FIELDS | {"model": {"type": "string", "do": "drop"}}, version=4, **POLICY)
    file = project.folder / "backfill.yaml"
    body = {
        "backfill": "no_models",
        "pipeline": ".",
        "reason": "models are not needed",
        "dates": {"from": "2026-11-03", "to": "2026-11-05"},
    }
    file.write_text(json.dumps(body))
    told += backfill(file, output=project.out, keys=project.keys).receipts
    return Fortnight(project, told)


def test_every_night_did_what_arrived_and_no_more(fortnight: Fortnight) -> None:
    dates = [receipt.dates for receipt in fortnight.told[:NIGHTS]]
    expected: dict[int, set[str]] = defaultdict(set)
    for night, day, _, _ in arriving():
        expected[night].add(day.isoformat())
    expected[6] = set()  # what the night began was decided when it died: the next command finished it
    assert [set(each) for each in dates] == [expected[night] for night in range(NIGHTS)]


def test_every_date_is_what_a_run_of_that_date_alone_gives(fortnight: Fortnight, tmp_path: Path) -> None:
    project = fortnight.project
    for night in range(NIGHTS):
        day = FIRST + timedelta(night)
        receipt = fortnight.last(day)
        pipeline = minimize.load_pipeline(project.folder)
        policy = minimize.load_policy(project.out / "runs" / receipt.run_id / "policy.yaml")
        alone = tmp_path / day.isoformat()
        minimize.run(
            pipeline.model_copy(update={"policy": policy}), date=day, at=receipt.at, output=alone, keys=project.keys
        )
        assert project.rows(output=alone) == project.rows(dates=day)


def test_a_value_from_the_opt_out_period_is_in_no_output(fortnight: Fortnight) -> None:
    for night in range(NIGHTS):
        day = FIRST + timedelta(night)
        at, expected = fortnight.last(day).at, 0
        for _, batch, _, rows in arriving():
            expected += batch == day and sum(collected(event.tenant, event.time, at) for event in rows)
        assert sum(row["battery"] is not None for row in fortnight.project.rows(dates=day)) == expected


def plainly(day: date, at: datetime) -> dict[str, tuple[int, int, Any]]:
    """The figures of an event day from all rows that were there when its window closed."""
    last = day + timedelta(WAIT)
    rows = [
        event
        for night, batch, _, rows in arriving()
        for event in rows
        if event.time.date() == day and day <= batch <= last and night <= (last - FIRST).days
    ]
    figures = {}
    for tenant in ("north", "south"):
        mine = [event for event in rows if event.tenant == tenant]
        devices = {event.device for event in mine}
        charged = [event for event in mine if collected(tenant, event.time, at)]
        enough = len({event.device for event in charged}) >= BELOW
        mean = pytest.approx(sum(event.battery for event in charged) / len(charged)) if enough else None
        if len(devices) >= BELOW:
            figures[tenant] = (len(mine), len(devices), mean)
    return figures


def test_each_closed_event_day_equals_one_computation_over_all_rows(fortnight: Fortnight) -> None:
    published = {
        date.fromisoformat(day): receipt.at
        for receipt in fortnight.receipts
        for day in receipt.outputs["daily"].days or {}
    }
    assert set(published) >= {FIRST + timedelta(night) for night in range(NIGHTS - WAIT)}
    for day, at in published.items():
        rows = minimize.read(fortnight.project.out, "daily", dates=day).to_pylist()
        assert {row["tenant"]: (row["events"], row["devices"], row["charge"]) for row in rows} == plainly(day, at)


def test_an_event_day_is_published_by_one_receipt_only(fortnight: Fortnight) -> None:
    days = [day for receipt in fortnight.receipts for day in receipt.outputs["daily"].days or {}]
    assert len(days) == len(set(days))


def test_rows_that_arrive_after_their_day_has_closed_are_counted(fortnight: Fortnight) -> None:
    """Five days late, in each batch: of days that have closed; and the forgotten files, where their day had."""
    assert all(fortnight.last(FIRST + timedelta(night)).outputs["daily"].too_late for night in range(7, NIGHTS))


def test_the_final_output_passes_verification(fortnight: Fortnight) -> None:
    minimize.verify(fortnight.project.out, keys=fortnight.project.keys)


def test_a_night_in_which_nothing_arrives_has_nothing_to_do(fortnight: Fortnight) -> None:
    assert fortnight.project.run(pending=True).sequence == 0
