"""What an incident came to for one tenant: counts, columns with their forms, times and recipients; no other value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from minimize.governance.incidents.columns import Column, Form, highest
from minimize.receipt import time_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a tenant in one place and in one way.

    place    a file, or an act of sharing
    sure     whether its records can be no others than those of other places: not those of a file that was replaced
    """

    via: str
    place: str
    columns: frozenset[Column]
    rows: int
    since: int | None
    until: int | None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Subjects:
    """How many persons: this many, or at most this many."""

    count: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.count:,}" if self.exact else f"at most {self.count:,}"


@dataclass(frozen=True, slots=True)
class Affected:
    """One tenant."""

    tenant: str
    subjects: Subjects | None
    found: tuple[Found, ...]
    recipients: tuple[Mapping[str, Any], ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The kinds of data; of one that was exposed in several forms the one that tells most."""
        most: dict[tuple[str, str], Column] = {}
        for column in sorted(each for one in self.found for each in one.columns):
            known = most.get((column.name, column.category))
            if known is None or highest([known.form, column.form]) == column.form:
                most[column.name, column.category] = column
        return tuple(most[name] for name in sorted(most))

    @property
    def form(self) -> Form:
        """The form that tells most."""
        return highest(each.form for each in self._inside or self.columns)

    @property
    def needs_notice(self) -> bool:
        """Whether it is to be told: what is encrypted under keys that nobody else has is unintelligible, groups name nobody."""
        return any(each.form in ("identified", "pseudonymized") for each in self._inside)

    @property
    def _inside(self) -> tuple[Column, ...]:
        """The columns that stand in files, and not in the names of folders."""
        return tuple(each for each in self.columns if not each.folder)

    @property
    def rows(self) -> int:
        """How many records; one that was exposed in several ways counts once."""
        most: dict[str, int] = {}
        for each in self.found:
            most[each.place] = max(each.rows, most.get(each.place, 0))
        return sum(most.values())

    def as_json(self) -> dict[str, Any]:
        """The tenant as a scope gives it."""
        subjects = self.subjects
        return {
            "tenant_id": self.tenant,
            "subjects": None if subjects is None else {"count": subjects.count, "exact": subjects.exact},
            "rows": self.rows,
            "rows_exact": all(each.sure for each in self.found),
            "form": self.form,
            "kinds": [each.as_json() for each in self.columns],
            "period": {
                "from": _first(each.since for each in self.found),
                "to": _last(each.until for each in self.found),
            },
            "recipients": list(self.recipients),
            "via": sorted({each.via for each in self.found}),
            "notice": self.needs_notice,
        }


def _first(times: Iterable[int | None]) -> str | None:
    """The first; None where one is not known."""
    found = list(times)
    known = [each for each in found if each is not None]
    return _text(min(known)) if known and len(known) == len(found) else None


def _last(times: Iterable[int | None]) -> str | None:
    known = [each for each in times if each is not None]
    return _text(max(known)) if known else None


def _text(microseconds: int) -> str:
    return time_text(_EPOCH + timedelta(microseconds=microseconds))
