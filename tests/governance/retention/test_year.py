"""Daily outputs that grow old under a moving clock: at each day a plain reference says exactly what may still stand.

A tenant closes, and another; a subject leaves; a device changes hands; one policy shortens the retention, a later one lengthens
it. What fell due is gone from the bytes, below compression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.governance.retention.daily import POLICY, START, Daily, Row, rows
from tests.leak.canary import Canary
from tests.leak.sweep import _layers, found

PLANTED = re.compile(rb"(?:note|place|app)-[a-z]+-d\d-\d{10}|\+49\d{16}")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHT = timedelta(minutes=10)
"""How long after midnight the run of the day before begins; the expiry follows it."""


@dataclass(frozen=True)
class Story:
    """What happens when, in days since the start; the retention in days, and hours of positions, from each day on."""

    days: int
    batch: int
    pace: int
    """Days from one expiry to the next."""
    kept: dict[int, tuple[int, int]]
    closed: dict[str, int]
    left: dict[tuple[str, str], int]
    personal: dict[tuple[str, str], int]

    def retention(self, day: int) -> tuple[timedelta, timedelta]:
        days, hours = self.kept[max(each for each in self.kept if each <= day)]
        return timedelta(days=days), timedelta(hours=hours)

    def events(self, day: int) -> Iterator[str]:
        for tenant, on in self.closed.items():
            if on <= day:
                yield f"{tenant},,tenant_closed,{moment(on)}"
        for (tenant, device), on in self.left.items():
            if on <= day:
                yield f"{tenant},{device},subject_left,{moment(on)}"
        for (tenant, device), on in self.personal.items():
            if on <= day:
                yield f"{tenant},{device},became_personal,{moment(on)}"

    def happened(self, day: date) -> list[Row]:
        """The day's events; a device that became personal says so from then on."""
        return [self.owned(row) for row in rows(day)]

    def owned(self, row: Row) -> Row:
        on = self.personal.get((row.tenant, row.device))
        return row if on is None or row.time < at(on) else Row(row.tenant, row.device, row.time, "personal")


SIX_WEEKS = Story(
    days=42,
    batch=1,
    pace=1,
    kept={0: (8, 24), 14: (3, 24), 26: (12, 48)},
    closed={"south": 9, "east": 33},
    left={("east", "d1"): 17, ("north", "d1"): 38},
    personal={("north", "d0"): 6, ("east", "d0"): 28},
)
TWO_WEEKS = Story(
    days=14,
    batch=2,
    pace=2,
    kept={0: (4, 24), 5: (2, 24), 9: (6, 48)},
    closed={"south": 4, "east": 11},
    left={("east", "d1"): 6, ("north", "d1"): 12},
    personal={("north", "d0"): 3, ("east", "d0"): 8},
)
YEAR = Story(
    days=365,
    batch=7,
    pace=5,
    kept={0: (30, 24), 110: (10, 24), 220: (45, 48)},
    closed={"south": 70, "east": 290},
    left={("east", "d1"): 150, ("north", "d1"): 320},
    personal={("north", "d0"): 50, ("east", "d0"): 240},
)


def at(day: int) -> datetime:
    """When an event of this day happens: at noon."""
    return START + timedelta(days=day) + 12 * HOUR


def moment(day: int) -> str:
    return f"{at(day):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Reference:
    """What may stand, row by row, told without any code of the project."""

    story: Story
    standing: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def ran(self, batch: list[Row], now: datetime, day: int) -> None:
        """A run: exact times count when rows are written."""
        kept, position = self.story.retention(day)
        for row in batch:
            corporate = row.owner == "corporate"
            if row.time + kept > now:
                self.standing[row.name] = {
                    "row": row,
                    "owner_type": row.owner,
                    "place": f"place-{row.name}" if row.time + position > now else None,
                    "phone": row.number if corporate else f"****{row.number[-4:]}",
                    "apps": [{"name": f"app-{row.name}"}] if corporate else None,
                }

    def aged(self, now: datetime, day: int) -> None:
        """An expiry: a row is as old as the hour that is shown of it."""
        kept, position = self.story.retention(day)
        for name, each in [*self.standing.items()]:
            row: Row = each["row"]
            shown = row.time.replace(minute=0)
            if shown + kept <= now or self._is_erased(row, shown, now):
                del self.standing[name]
                continue
            if shown + position <= now:
                each["place"] = None
            on = self.story.personal.get((row.tenant, row.device))
            if on is not None and shown <= at(on) <= now and each["owner_type"] == "corporate":
                each |= {"owner_type": "personal", "phone": f"****{row.number[-4:]}", "apps": None}

    def _is_erased(self, row: Row, shown: datetime, now: datetime) -> bool:
        ends = (self.story.closed.get(row.tenant), self.story.left.get((row.tenant, row.device)))
        return any(end is not None and shown <= at(end) <= now for end in ends)

    def rows(self) -> list[dict[str, Any]]:
        return sorted(
            ({"note": f"note-{name}", **each} for name, each in self.standing.items()), key=lambda row: row["note"]
        )


def standing(project: Daily) -> list[dict[str, Any]]:
    return sorted(project.rows(), key=lambda row: row["note"])


def canaries(all_rows: list[Row], reference: Reference) -> Iterator[tuple[Canary, bool]]:
    """Everything that was planted, and whether it may stand."""
    for row in all_rows:
        each = reference.standing.get(row.name, {})
        yield Canary("note", f"note-{row.name}"), bool(each)
        yield Canary("place", f"place-{row.name}"), each.get("place") is not None
        yield Canary("phone", row.number), each.get("phone") == row.number
        yield Canary("app", f"app-{row.name}"), each.get("apps") is not None


def lives(project: Daily, story: Story) -> None:
    """Lives through the story, and looks after each expiry at what stands."""
    reference, waiting, brought = Reference(story), list[date](), list[Row]()
    for day in range(story.days):
        now = START + timedelta(days=day) + NIGHT
        kept, position = story.retention(day)
        features = {
            "location": {"about": "position", "retention": f"{position // HOUR}h"},
            "inventory": {"about": "apps"},
        }
        if day in story.kept:
            project.policy(version=POLICY["version"] + day, retention=f"{kept // DAY}d", features=features)
        if day:
            yesterday = (now - DAY).date()
            batch = story.happened(yesterday)
            project.collect(batch, yesterday)
            waiting.append(yesterday)
            brought += batch
        if len(waiting) == story.batch:
            project.run(at=now, since=waiting[0], until=waiting[-1])
            reference.ran([row for on in waiting for row in story.happened(on)], now, day)
            waiting.clear()
        if not reference.standing or day % story.pace:
            continue
        happened = list(story.events(day))
        project.expire(now + NIGHT, events=project.events(*happened) if happened else None)
        reference.aged(now + NIGHT, day)
        check(project, reference)
        if day % (story.days // 3 // story.pace * story.pace) == 0:
            swept(project, brought, reference)
    swept(project, brought, reference)
    project.verified()


def check(project: Daily, reference: Reference) -> None:
    found_, due = standing(project), reference.rows()
    assert [row["note"] for row in found_] == [row["note"] for row in due]
    for name in ("owner_type", "place", "phone", "apps"):
        assert [row[name] for row in found_] == [row[name] for row in due], name


def swept(project: Daily, brought: list[Row], reference: Reference) -> None:
    """What may not stand is nowhere in the bytes; what may is found there, so that the sweep is known to see."""
    planted = list(canaries(brought, reference))
    may = {str(each.value) for each, allowed in planted if allowed}
    seen = {match.decode() for text in _layers(project.out) for match in PLANTED.findall(text)}
    assert seen & {str(each.value) for each, _ in planted} - may == set()
    assert {value for value in may if value.startswith("note")} <= seen
    gone = [each for each, allowed in planted if not allowed]
    assert found(gone[:: max(1, len(gone) // 40)], project.out) == set()  # in whatever form


def test_two_weeks_every_second_day(project: Daily) -> None:
    lives(project, TWO_WEEKS)


@pytest.mark.nightly
def test_six_weeks_day_by_day(project: Daily) -> None:
    lives(project, SIX_WEEKS)


@pytest.mark.nightly
def test_a_year_of_runs_every_seventh_day_and_expiries_every_fifth(project: Daily) -> None:
    lives(project, YEAR)
