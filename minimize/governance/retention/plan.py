"""The plan of an expiry: per output and date what goes and why, what stays and is said to, and which events are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from minimize.counts import counted
from minimize.governance.retention.due import RECORDS, Due
from minimize.governance.retention.events import Event
from minimize.governance.retention.look import Orders
from minimize.governance.retention.written import Written
from minimize.io.places import place_of
from minimize.receipt import OutputFile, time_text


@dataclass(frozen=True, slots=True)
class Partition:
    """One output on one date: how many files go or are rewritten, how many rows go and why, how many values of which field."""

    name: str
    date: str | None
    removed: int
    rewritten: int
    gated: Mapping[str, int]
    values: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The partition as `expire --json` prints it."""
        files = {"removed": self.removed, "rewritten": self.rewritten}
        rows = sum(self.gated.values())
        return {
            "output": self.name,
            "date": self.date,
            "files": files,
            "rows": rows,
            "why": dict(self.gated),
            "values": dict(self.values),
        }

    def __str__(self) -> str:
        why = ", ".join(f"{count:,} {_WHY[reason]}" for reason, count in self.gated.items() if count)
        values = ", ".join(f"{count:,} of {name}" for name, count in self.values.items())
        parts = [f"rows: {why}" if why else "", f"values: {values}" if values else ""]
        told = "; ".join(part for part in parts if part) or "no rows, sketches of earlier ones"
        return f"{self.name} {self.date or 'all'}: {told} ({self.removed} files go, {self.rewritten} are rewritten)"


_WHY: Mapping[str, str] = {
    "retention": "past their retention",
    "erased": "of tenants or subjects that are gone",
    "setting": "switched off",
    "condition": "whose condition does not hold",
    "consent": "that no consent of their tenant covers",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an expiry would do.

    due     the files that hold something that is due
    stays   aggregates that stand as they are though records behind them go: per name the dates
    untold  partitions of which nobody can say how old their rows are
    lost    per file events of which nobody can be found there
    behind  per aggregate and event day that waited for late rows the dates whose records it was counted from
    unsure  per event of the ledger the files in which its subject may stand in a form that the ledger does not know
    closed  files whose keys were destroyed: nobody can read them any more; they go with their batch date, or when it is run anew
    """

    at: datetime
    due: tuple[Due, ...] = field(default=(), repr=False)
    stays: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untold: tuple[str, ...] = ()
    lost: int = 0
    unsure: Mapping[Event, int] = field(default_factory=dict, repr=False)
    behind: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict, repr=False)
    closed: tuple[str, ...] = ()

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """What goes, by output and date."""
        places = sorted({(each.name, each.date) for each in self.due}, key=lambda place: (place[0], place[1] or ""))
        return tuple(_partition(place, self.due) for place in places)

    def as_json(self) -> dict[str, Any]:
        """The plan as `expire --json` prints it."""
        return {
            "at": time_text(self.at),
            "partitions": [each.as_json() for each in self.partitions],
            "stays": {name: list(dates) for name, dates in self.stays.items()},
            "untold": list(self.untold),
            "lost": self.lost,
            "unsure": len(self.unsure),
            "closed": list(self.closed),
        }

    def __str__(self) -> str:
        kept = [
            f"{name} keeps its figures for {', '.join(dates) or 'all'} unless it can be counted anew: records behind it go"
            for name, dates in self.stays.items()
        ]
        return self._text(kept)

    def carried_out(self) -> str:
        """The plan after it was carried out: what became of aggregates is in the receipts."""
        return self._text([])

    def _text(self, kept: Sequence[str]) -> str:
        return "\n".join([*map(str, self.partitions), *kept, *self._notes()]) or "nothing to do: nothing is due"

    def _notes(self) -> Iterator[str]:
        if self.closed:
            yield f"{len(self.closed)} files stay, which nobody can read any more: their keys were destroyed"
        if self.untold:
            yield f"how old rows are cannot be told: {', '.join(self.untold)}"
        if self.lost:
            yield f"{self.lost} events name somebody who cannot be found in some files"
        if self.unsure:
            yield f"{len(self.unsure)} events may be about somebody in a form that the ledger does not know: add them again"


@dataclass(frozen=True, slots=True)
class Open:
    """One event, or what its age alone makes due, that is not carried out: by when it must be.

    files   that hold something of it; `unsure` those of which nobody can say, for a subject of the ledger in another form
    """

    what: str
    by: datetime
    files: int
    tenant: str | None = None
    overdue: bool = False
    unsure: int = 0

    def as_json(self) -> dict[str, Any]:
        """The line as `expire --due --json` prints it."""
        said = {"what": self.what, "by": time_text(self.by), "files": self.files, "overdue": self.overdue}
        said |= {"unsure": self.unsure} if self.unsure else {}
        return said if self.tenant is None else {**said, "tenant_id": self.tenant}

    def __str__(self) -> str:
        whose = "" if self.tenant is None else f" of {self.tenant}"
        late = " OVERDUE" if self.overdue else ""
        unsure = f" (and {self.unsure} of which that cannot be told)" if self.unsure else ""
        return f"{self.what}{whose}: by {time_text(self.by)}, {counted(self.files, 'file')}{unsure}{late}"


def planned(at: datetime, looked: Sequence[Due]) -> Plan:
    """The plan, by all files that were looked at."""
    due = tuple(each for each in looked if each.is_due)
    asked = [(each, each.orders) for each in looked if isinstance(each.orders, Orders)]
    untold = {_place(each) for each, said in asked if not said.knows_times and said.rules.shortest is not None}
    lost = sum(len(whose.lost) for _, said in asked for whose in said.everybody)
    unsure = Counter(event for _, said in asked for whose in said.everybody for event in whose.unsure)
    return Plan(at, due, _stays(looked), tuple(sorted(untold)), lost, dict(unsure), dict(_behind(looked)))


def _stays(looked: Sequence[Due]) -> dict[str, tuple[str, ...]]:
    """The aggregates of dates of which records go for another reason than their age, as far as they stay themselves."""
    touched = {each.date for each in looked if each.name == RECORDS and each.is_changed}
    found: dict[str, set[str]] = {}
    for each in looked:
        if each.name != RECORDS and counted_from(each.written, each.file) & touched and not each.whole:
            found.setdefault(each.name, set()).add(each.date or "")
    return {name: tuple(sorted(dates)) for name, dates in sorted(found.items())}


def _behind(looked: Sequence[Due]) -> Iterator[tuple[tuple[str, str], frozenset[str]]]:
    for each in looked:
        days, on = each.written.receipt.outputs[each.name].days or {}, each.date or ""
        if on in days:
            yield (each.name, on), frozenset(days[on])


def counted_from(written: Written, file: OutputFile) -> set[str | None]:
    """The dates whose records an aggregate's file was counted from: its own, or those that a day waited for."""
    name, on = place_of(file.path)
    days = written.receipt.outputs[name].days or {}
    return {*days[on]} if on is not None and on in days else {on}


def _place(each: Due) -> str:
    return each.name if each.date is None else f"{each.name}/date={each.date}"


def opens(plan: Plan, events: Sequence[Event], concerned: Mapping[Event, int]) -> list[Open]:
    """What is open and by when, the most urgent first."""
    aged, at = sum(each.is_aged for each in plan.due), plan.at
    found = [Open("retention", at, aged, overdue=True)] if aged else []
    for event in events:
        files, unsure = concerned.get(event, 0), plan.unsure.get(event, 0)
        if files or unsure or event.at > at:
            late = event.due < at and event.at <= at
            found.append(Open(event.kind, event.due, files, event.tenant, late, unsure))
    return sorted(found, key=lambda each: each.by)


def _partition(place: tuple[str, str | None], due: Sequence[Due]) -> Partition:
    mine = [each for each in due if (each.name, each.date) == place]
    gated: Counter[str] = Counter()
    values: Counter[str] = Counter()
    for each in mine:
        gated.update(each.gated)
        values.update(each.values)
    whole = sum(each.whole for each in mine)
    return Partition(*place, whole, len(mine) - whole, dict(gated), dict(sorted(values.items())))
