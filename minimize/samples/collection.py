"""Collection settings as they are written down over time: who turned what on or off, when, and when that was recorded."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from minimize.samples.values import Random


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: from `valid_from` on this holder says this value, as recorded at `recorded_at`. No subject: the whole tenant."""

    tenant_id: str
    subject: str
    setting: str
    value: str
    holder: str
    valid_from: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """Times relative to the sample: its first day and its last."""

    first: date
    last: date

    def before(self, days: float) -> datetime:
        """So many days before the first day begins."""
        return _midnight(self.first) - timedelta(days=days)

    def on_last(self, hours: float) -> datetime:
        """So many hours into the last day."""
        return _midnight(self.last) + timedelta(hours=hours)


def said(
    tenant: str,
    setting: str,
    value: str,
    at: datetime,
    holder: str = "admin",
    *,
    subject: str = "",
    recorded: datetime | None = None,
) -> Setting:
    """A setting that is recorded when it becomes valid, unless said otherwise."""
    return Setting(tenant, subject, setting, value, holder, at, recorded or at)


def switched(
    tenant: str, setting: str, times: Iterable[datetime], holder: str = "admin", *, subject: str = ""
) -> list[Setting]:
    """On at the first time, off at the second, on at the third …"""
    return [
        said(tenant, setting, "off" if index % 2 else "on", at, holder, subject=subject)
        for index, at in enumerate(times)
    ]


def write(rows: Sequence[Setting], path: Path, random: Random) -> None:
    """The rows as CSV, in no particular order: a reader has to sort them by their times."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Setting)])
        writer.writerows(_cells(rows[index]) for index in random.permutation(len(rows)).tolist())


def _cells(row: Setting) -> list[str]:
    return [value.isoformat() if isinstance(value, datetime) else value for value in astuple(row)]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
