"""What happened to tenants and subjects after their records were collected, and by when it must have been carried out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from minimize.canonical import canonical_id
from minimize.errors import ConfigurationError, Finding, PolicyError
from minimize.times import moment

Kind = Literal["tenant_closed", "subject_left", "became_personal", "reset", "erasure"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
WITHIN: Final[Mapping[Kind, timedelta]] = MappingProxyType(
    {
        "tenant_closed": timedelta(days=180),
        "subject_left": timedelta(days=30),
        "became_personal": timedelta(days=7),
        "reset": timedelta(days=30),
        "erasure": timedelta(days=30),
    }
)
"""How long after the event its data must be gone, at most."""
ERASURE: Final[Kind] = "erasure"
ALL_TIMES: Final = 2**63 - 1
"""Up to which event time an event reaches that takes records whatever their event time, in microseconds since 1970."""
_OF_SUBJECTS: Final = ("subject_left", "reset")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: whom it is about, what, and when.

    subject  the id of the subject as it comes in; None for a whole tenant
    token    the subject's keyed token instead, where the event comes from the ledger; then
    forms    are tokens of the forms in which it stands in outputs, by the name of the way that leads there
    named_by the field that has such ids; None for the policy's subject
    """

    tenant: str
    kind: Kind
    at: datetime
    subject: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    named_by: str | None = None

    @property
    def due(self) -> datetime:
        """By when its data must be gone."""
        return self.at + WITHIN[self.kind]

    @property
    def is_of_subject(self) -> bool:
        """Whether it is about one subject, not a whole tenant."""
        return self.subject is not None or self.token is not None


def events_from(rows: Iterable[tuple[int, Mapping[str, Any]]], file: str) -> tuple[Event, ...]:
    """The events of rows, each with its line. Raises PolicyError with every fault, by line and never by value."""
    read = [_read(line, row, file) for line, row in rows]
    faults = [each for each in read if isinstance(each, Finding)]
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise PolicyError(f"{count} in the events {file}", findings=faults)
    return tuple(dict.fromkeys(each for each in read if isinstance(each, Event)))


def _read(line: int, row: Mapping[str, Any], file: str) -> Event | Finding:
    tenant, subject, kind = (_text(row.get(name)) for name in ("tenant_id", "subject", "event"))
    tenant, subject = canonical_id(tenant) or None, canonical_id(subject)
    fault = next(wrong(tenant, subject, kind), None)
    at = _moment(row.get("at"))
    if fault is None and at is None:
        fault = ("G003", "`at` is no ISO 8601 time with an offset from UTC")
    if fault is not None or tenant is None or kind not in KINDS or at is None:
        code, message = fault or ("G001", "no event")
        return Finding(code, message, file=file, line=line)
    return Event(tenant, kind, at, subject)


def wrong(tenant: str | None, subject: str | None, kind: str | None) -> Iterator[tuple[str, str]]:
    """What is wrong with an event: codes and messages, which name no value."""
    if tenant is None:
        yield "G002", "an event without a tenant"
    if kind not in KINDS:
        yield "G004", f"`event` is one of {', '.join(KINDS)}"
    if kind in _OF_SUBJECTS and subject is None:
        yield "G005", "this event is about a subject, and none is named"
    if subject == "":
        yield "G005", "the subject is blank: a subject has a name"
    if kind == "tenant_closed" and subject is not None:
        yield "G006", "a whole tenant closes, and a subject is named"


def _text(value: Any) -> str | None:
    return None if value is None or str(value) == "" else str(value)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and len(value) <= len("2026-11-25"):
        return None  # a day is no time: which of its instants?
    with suppress(ConfigurationError, OverflowError):
        return moment(value) if isinstance(value, str | datetime) else None
    return None
