"""Lifecycle events of tenants and subjects: model and deadlines, event files, events of the ledger.

Event files are in a source format (`sources.FORMATS`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import pyarrow as pa

from minimize.errors import ConfigurationError, Finding, PolicyError, unreadable_file
from minimize.identifiers import canonical_id, canonical_text, canonical_word
from minimize.keys import Keyring
from minimize.ledger.clock import effective_start, known_times
from minimize.ledger.ledger import Ledger
from minimize.ledger.subject_kinds import (
    LIFECYCLE_EVENT,
    LifecycleEvent,
    LinkedForms,
    counting_lifecycle_events,
    linked_forms,
)
from minimize.ledger.subject_tokens import token_forms, token_secrets, token_versions
from minimize.settings.erasures import RESTRICTION
from minimize.sources import FORMATS, format_by_name, format_suffixes, header_hint, misspelt_columns
from minimize.sources.csv import CSV
from minimize.text import count_noun, text_or_none
from minimize.times import parse_time

EventKind = Literal[
    "tenant_closed", "subject_left", "became_personal", "reset", "company_data_removed", "erasure", "restriction"
]
RECORDED_KINDS: Final[tuple[EventKind, ...]] = get_args(EventKind)
EVENT_KINDS: Final[tuple[EventKind, ...]] = tuple(kind for kind in RECORDED_KINDS if kind != RESTRICTION)
"""The events after which data is removed. Only `subject restrict` and `subject lift` record and withdraw a restriction."""
REMOVAL_DEADLINES: Final[Mapping[EventKind, timedelta]] = MappingProxyType(
    {
        "tenant_closed": timedelta(days=180),
        "subject_left": timedelta(days=30),
        "became_personal": timedelta(days=7),
        "reset": timedelta(days=30),
        "company_data_removed": timedelta(days=30),
        "erasure": timedelta(days=30),
        "restriction": timedelta(0),
    }
)
"""The longest time from the event to the removal of its data."""
ALL_EVENT_TIMES: Final = 2**63 - 1
"""The reach of an event that removes records of any event time, in microseconds since 1970."""
_SUBJECT_KINDS: Final = ("subject_left", "reset", "company_data_removed")
LINKED_DEVICES: Final = "linked"
"""Stands for the token of a subject whose linked devices an event names before it is recorded."""


@dataclass(frozen=True, slots=True)
class RetentionEvent:
    """One event: its tenant and subject, kind and time."""

    tenant: str
    kind: EventKind
    occurred_at: datetime
    subject: str | None = field(default=None, repr=False)
    """The id of the subject as received; None for a whole tenant."""
    token: str | None = field(default=None, repr=False)
    """The subject's keyed token instead of the id, for an event of the ledger."""
    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)
    """For an event of the ledger, tokens of the subject's forms in outputs, by chain name."""
    named_by: str | None = None
    """What the ids identify: an identity or a field; None if any field that identifies may hold them."""

    @property
    def deadline(self) -> datetime:
        """The time by which its data must be removed."""
        return self.occurred_at + REMOVAL_DEADLINES[self.kind]

    @property
    def is_of_subject(self) -> bool:
        """Whether it concerns one subject and not a whole tenant."""
        return self.subject is not None or self.token is not None


FieldsNamed = Callable[[str | None], Sequence[str]]
"""The fields that hold ids of a name; see `policy.identities.fields_named`."""


def events_by_field(
    events: Iterable[RetentionEvent], fields_named: FieldsNamed, subject: str | None
) -> dict[str | None, list[RetentionEvent]]:
    """The events by the field in which their ids are found. `subject` is the policy's subject.

    Events of whole tenants are under the subject. Events whose ids no field holds are left out.
    """
    by_field: dict[str | None, list[RetentionEvent]] = {}
    for event in events:
        named = fields_named(event.named_by) if event.is_of_subject else ()
        default_keys = [subject] if event.named_by is None else []
        for key in named or default_keys:
            by_field.setdefault(key, []).append(event)
    return by_field


def parse_events(rows: Iterable[tuple[int, Mapping[str, Any]]], file: str) -> tuple[RetentionEvent, ...]:
    """Parses rows into events, each with its line. Raises PolicyError with every fault, by line and without values."""
    read = [_parse_event(line, row, file) for line, row in rows]
    faults = [each for each in read if isinstance(each, Finding)]
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise PolicyError(f"{count} in the event file {file}", findings=faults)
    return tuple(dict.fromkeys(each for each in read if isinstance(each, RetentionEvent)))


def _parse_event(line: int, row: Mapping[str, Any], file: str) -> RetentionEvent | Finding:
    tenant, subject, kind = (text_or_none(row.get(name)) for name in ("tenant_id", "subject", "event"))
    tenant, subject = canonical_id(tenant) or None, canonical_id(subject)
    fault = next(event_faults(tenant, subject, kind), None)
    if fault is None and any(canonical_word(name) == "field" and value for name, value in row.items() if name):
        fault = ("G001", "the row names a field: record the event with `minimize events add --as NAME`")
    at = parse_event_time(row.get("at"))
    if fault is None and at is None:
        fault = ("G003", "`at` is not an ISO 8601 time with a UTC offset")
    if fault is not None or tenant is None or kind not in EVENT_KINDS or at is None:
        code, message = fault or ("G001", "the row is not an event")
        return Finding(code, message, file=file, line=line)
    return RetentionEvent(tenant, kind, at, subject)


def event_faults(
    tenant: str | None, subject: str | None, kind: str | None, kinds: Collection[str] = EVENT_KINDS
) -> Iterator[tuple[str, str]]:
    """The faults of an event of one of these kinds, as codes and messages without values."""
    if tenant is None:
        yield "G002", "the event has no tenant"
    if kind not in kinds:
        yield "G004", f"`event` must be one of {', '.join(EVENT_KINDS)}"
    if kind in _SUBJECT_KINDS and subject is None:
        yield "G005", "this event needs a subject"
    if subject == "":
        yield "G005", "the subject is blank"
    if kind == "tenant_closed" and subject is not None:
        yield "G006", "tenant_closed applies to a whole tenant, but a subject is given"


def parse_event_time(value: Any) -> datetime | None:
    """The time of an event; None if it is not an ISO 8601 time with a UTC offset."""
    if isinstance(value, str) and len(value) <= len("2026-11-25"):
        return None  # a date without a time is ambiguous
    with suppress(ConfigurationError, OverflowError):
        return parse_time(value) if isinstance(value, str | datetime) else None
    return None


_EVENT_COLUMNS: Final = ("tenant_id", "subject", "event", "at")
NumberedRows = list[tuple[int, Mapping[str, Any]]]


def load_events(path: Path | str) -> tuple[RetentionEvent, ...]:
    """The distinct events of a file in a source format, which the suffix sets; by default CSV.

    Raises PolicyError with every fault, by line.
    """
    file = Path(path)
    rows = read_rows(file, {"tenant_id", "event", "at"}, columns=_EVENT_COLUMNS, code="G001")
    if rows is None:
        hint = f"Use UTF-8 and one of {format_suffixes()}."
        finding = unreadable_file("G001", "the event file", file, hint)
        raise PolicyError(f"cannot read the event file {file}", findings=[finding])
    return parse_events(rows, str(file))


def read_rows(
    file: Path, names: Set[str], *, columns: Sequence[str] = (), code: str | None = None
) -> NumberedRows | None:
    """The rows of a file, each with its line; None if it cannot be read or its header lacks a required name.

    With a `code`, raises PolicyError with it if the header has one of the columns twice or in another spelling.
    """
    with suppress(OSError, ValueError, pa.ArrowException):
        header, rows = FORMATS.get(format_by_name(file), CSV).read_rows(file)
        numbered: NumberedRows = [(line, row if isinstance(row, dict) else {}) for line, row in rows]
        if code is not None:
            _check_headers([(1, header)] if header is not None else numbered, columns, code, file)
        return numbered if header is None or names <= set(header) else None
    return None


def _check_headers(headers: Sequence[tuple[int, Iterable[str]]], columns: Sequence[str], code: str, file: Path) -> None:
    """Checks the header of a file, or the keys of each of its rows. Each fault is reported once, with its first line."""
    faults: dict[str, Finding] = {}
    lines = {tuple(header): line for line, header in reversed(headers)}
    for header, line in lines.items():
        twice = [(name, f"the header has the column {name} twice") for name in columns if header.count(name) > 1]
        for name, message in (*twice, *misspelt_columns(header, columns)):
            faults[message] = Finding(code, message, file=str(file), line=line, field=name, hint=header_hint(columns))
    if faults:
        raise PolicyError(f"the header of {file} has {count_noun(len(faults), 'fault')}", findings=[*faults.values()])


FormTokens = dict[str, tuple[str, ...]]


def ledger_events(
    ledger: Ledger,
    keys: Keyring,
    retention_events: Sequence[RetentionEvent] = (),
    kinds: Collection[str] = EVENT_KINDS,
) -> tuple[RetentionEvent, ...]:
    """The events of these kinds in effect in an open ledger, except events that are also given.

    Raises LedgerError, and KeyringError if the key version of a token is missing.
    """
    events = list(effective_events(ledger.find(LIFECYCLE_EVENT), ledger.now, kinds))
    versions = token_versions(each.token for each in events if each.token is not None)
    secrets = {
        name: token_secrets(keys, versions, name) for name in {None, *(each.named_by for each in retention_events)}
    }
    known = {name for event in retention_events for name in _ledger_keys(event, secrets[event.named_by])}
    return tuple(each for each in events if (each.tenant, each.kind, each.occurred_at, each.token) not in known)


def _ledger_keys(
    event: RetentionEvent, secrets: Mapping[int, bytes]
) -> Iterator[tuple[str, EventKind, datetime, str | None]]:
    """The ids that a given event would have in the ledger. Tokens of another field are different."""
    identity, subject = (event.tenant, event.kind, event.occurred_at), event.subject
    if not event.is_of_subject:
        yield (*identity, None)
    elif subject is None:
        yield (*identity, event.token)
    else:
        for number, secret in secrets.items():
            yield from ((*identity, token) for token in token_forms(secret, number, event.tenant, subject))


def effective_events(
    rows: Iterable[LifecycleEvent], now: datetime, kinds: Collection[str] = EVENT_KINDS
) -> Iterator[RetentionEvent]:
    """The recorded events of these kinds that were not withdrawn, with all forms ever recorded for their subject.

    The linked devices of a subject are events of their own, one for each field. An event that a clock ahead has recorded without
    a stated time happened when it was known at the latest, because it removes what is older.
    """
    forms: dict[str, FormTokens] = {}
    linked: dict[str, LinkedForms] = {}
    last: dict[str, LifecycleEvent] = {}
    known: dict[str, datetime] = {}
    rows = counting_lifecycle_events(rows, now)
    times = known_times([each.recorded_at for each in rows], now, at_latest=True)
    for row, known_at in zip(rows, times, strict=True):
        known[row.id] = known_at
        last[row.id] = row
        forms.setdefault(row.id, {}).update(recorded_forms(row))
        linked[row.id] = merge_linked_forms([linked.get(row.id, {}), linked_forms(row)])
    for row in last.values():
        if row.state == "recorded" and row.kind in kinds and row.kind in RECORDED_KINDS:
            tenant = canonical_text(row.tenant_id)
            at = effective_start(row.at, row.recorded_at, known[row.id])
            event = RetentionEvent(tenant, row.kind, at, token=row.subject, forms=forms[row.id], named_by=row.field)
            yield event
            yield from linked_events(event, linked[row.id])


def recorded_forms(row: LifecycleEvent) -> FormTokens:
    """The tokens of a subject's forms, by chain name."""
    return {str(name): tuple(map(str, tokens)) for name, tokens in json.loads(row.forms).items()}


def merge_linked_forms(several: Iterable[LinkedForms]) -> LinkedForms:
    """The linked devices of several searches or events together."""
    merged: dict[str, dict[str, set[str]]] = {}
    for linked in several:
        for name, forms in linked.items():
            for chain, tokens in forms.items():
                merged.setdefault(name, {}).setdefault(chain, set()).update(tokens)
    return {
        name: {chain: tuple(sorted(tokens)) for chain, tokens in sorted(forms.items())}
        for name, forms in sorted(merged.items())
    }


def linked_events(event: RetentionEvent, linked: LinkedForms) -> Iterator[RetentionEvent]:
    """The event as it applies to the linked devices of its subject, once for each field."""
    token = event.token or LINKED_DEVICES
    for name, forms in linked.items():
        yield replace(event, subject=None, token=token, forms=forms, named_by=name)
