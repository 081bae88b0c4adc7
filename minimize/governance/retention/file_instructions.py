"""File instructions: today's retention and the events, in terms of the policy that a file was written under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.governance.output_file import EventTimeBounds, WritingRun
from minimize.governance.retention.affected_subjects import (
    AffectedSubjects,
    BatchReader,
    EventReach,
    LookupColumn,
    recognize_tokens,
    until_event_time,
)
from minimize.governance.retention.identifier_forms import IdentifierColumn, pinned_keyring, rotation_units
from minimize.governance.retention.lifecycle_events import ALL_EVENT_TIMES, ERASURE, RetentionEvent
from minimize.governance.retention.retention_rules import (
    PersonalTreatment,
    RetentionRules,
    field_pointers,
    owner_field,
    personal_treatment,
    shows_original,
)
from minimize.governance.retention.verdict import FileInstructions
from minimize.keys import Keyring, Kms, find_kms
from minimize.output.paths import output_and_date
from minimize.output.stored_file import StoredFile, with_dictionaries
from minimize.policy.model import Policy
from minimize.settings.rows import epoch_microseconds
from minimize.stores import Location, local_path

_PERIOD_DAYS: Final[Mapping[str, int]] = {"day": 1, "week": 7, "month": 28, "quarter": 90, "year": 365}
"""Days from one instant of a period to one that is in the next, or still in the same."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """What an expiry was asked: of which output, by which policy, as of when, after which events.

    by_age     whether what is past its retention goes, too; a deletion looks at events alone
    earlier_events  events that were carried out before: aggregates were counted without their subjects
    read_times     per batch date when its records were read from their source
    retentions    the retention of aggregates that have one of their own, by name
    """

    output: Location
    today: Policy
    as_of: datetime
    keys: Keyring = field(repr=False)
    events: tuple[RetentionEvent, ...] = ()
    by_age: bool = True
    earlier_events: tuple[RetentionEvent, ...] = ()
    read_times: Mapping[str | None, datetime] = field(default_factory=dict, repr=False)
    retentions: Mapping[str, timedelta] = field(default_factory=dict)

    def retention_of(self, name: str) -> timedelta | None:
        """How long an output is kept today."""
        return self.retentions.get(name, self.today.retention)

    @property
    def kms(self) -> Kms:
        """Who keeps the master keys of files that are encrypted."""
        return find_kms(self.keys, local_path(self.output))

    def instructions(self, written: WritingRun, stored: StoredFile, name: str) -> FileInstructions:
        """The orders for one file of an output."""
        born = _partition_start(output_and_date(stored.path)[1])
        if name != "records":
            return _aggregate_instructions(self, written, name, born)
        then, schema = written.policy, stored.whole
        orders = FileInstructions(
            then, self._rules(then, schema), self.as_of, EventTimeBounds.for_policy(then, schema), born
        )
        on = output_and_date(stored.path)[1]
        events = _reaching_events(self.past_events, orders.clock, stored, partial(self.event_reach, on=on))
        return _with_events(orders, stored, events, self) if events else orders

    def event_reach(self, event: RetentionEvent, on: str | None) -> int:
        """Up to which event time an event reaches in the records of a batch date, in microseconds since 1970.

        An erasure takes everything that was read before it, and of what was read later what happened up to its time plus the
        policy's `future`. Other events reach up to the time at which they happened.
        """
        if event.kind != ERASURE:
            return until_event_time(event)
        if on not in self.read_times or self.read_times[on] <= event.occurred_at:
            return ALL_EVENT_TIMES
        return epoch_microseconds(event.occurred_at + self.today.future)

    def batch_reader(self, stored: StoredFile) -> BatchReader:
        """The batches of a file, of some columns alone; texts come as dictionaries."""
        return lambda columns: with_dictionaries(stored, self.output, self.kms, columns).batches(columns=columns)

    def instructions_unread(self, written: WritingRun, path: str) -> FileInstructions:
        """The orders for a file that cannot be read: its batch date tells how old it is."""
        rules = RetentionRules(age=self.retention_of(output_and_date(path)[0]) if self.by_age else None)
        return FileInstructions(
            written.policy, rules, self.as_of, partition_start=_partition_start(output_and_date(path)[1])
        )

    def _rules(self, then: Policy, schema: pa.Schema) -> RetentionRules:
        return (
            RetentionRules.for_file(then, self.today, schema)
            if self.by_age
            else RetentionRules(pointers=field_pointers(then, schema))
        )

    @property
    def past_events(self) -> tuple[RetentionEvent, ...]:
        """The events that are not yet to come."""
        return tuple(event for event in self.events if event.occurred_at <= self.as_of)


def _aggregate_instructions(
    request: RewriteRequest, written: WritingRun, name: str, born: int | None
) -> FileInstructions:
    """An aggregate's rows are as old as the oldest instant of their time's unit, else of their partition."""
    rules = RetentionRules(age=request.retention_of(name) if request.by_age else None)
    clock = EventTimeBounds.for_groups(written.policy, dict(_time_columns(written, name)))
    return FileInstructions(written.policy, rules, request.as_of, clock, born)


def _time_columns(written: WritingRun, name: str) -> Iterator[tuple[str, str | None]]:
    """The group columns of an aggregate that are event times, with their units."""
    groups: Mapping[str, Any] = (written.pipeline.get("aggregates") or {}).get(name, {}).get("group_by") or {}
    for column, each in groups.items():
        ((key, unit),) = each.items() if isinstance(each, dict) else ((each, None),)
        if written.policy.time is not None and Pointer.parse(str(key)) == Pointer.parse(written.policy.time):
            yield column, unit


def _reaching_events(
    events: Sequence[RetentionEvent], clock: EventTimeBounds | None, stored: StoredFile, until: EventReach
) -> list[RetentionEvent]:
    """The events that reach something in a file."""
    bounds = None if clock is None else clock.bounds(stored)
    return [event for event in events if bounds is None or bounds[0] <= until(event)]


def _with_events(
    instructions: FileInstructions, stored: StoredFile, events: Sequence[RetentionEvent], request: RewriteRequest
) -> FileInstructions:
    policy, pointers, keys = instructions.policy, instructions.rules.pointers, request.keys
    until = partial(request.event_reach, on=output_and_date(stored.path)[1])
    tenant, subject = lookup_columns(policy, instructions.rules, instructions.clock, stored, keys)
    plain = [event for event in events if event.named_by is None]
    found = recognize_tokens(plain, tenant, subject, request.batch_reader(stored), keys)
    erasing = [event for event in plain if event.kind != "became_personal"]
    handing = [event for event in plain if event.kind == "became_personal"]
    owner = owner_field(policy)
    touched = {} if owner is None else dict(_treatments(policy, pointers, owner))
    return replace(
        instructions,
        erased=AffectedSubjects.for_file(erasing, tenant, subject, found, until),
        reclassified=AffectedSubjects.for_file(handing, tenant, subject, found) if touched else AffectedSubjects(),
        treatments=touched,
        erased_by_other_fields=tuple(_erased_by_other_fields(instructions, stored, events, request)),
        owner=owner if owner is not None and owner in pointers and shows_original(policy.fields[owner]) else None,
    )


def _erased_by_other_fields(
    instructions: FileInstructions, stored: StoredFile, events: Sequence[RetentionEvent], request: RewriteRequest
) -> Iterator[AffectedSubjects]:
    """Those who are named by another field than the subject, field by field; nobody where a policy has no such field."""
    policy, keys = instructions.policy, request.keys
    for name in sorted({event.named_by for event in events if event.named_by is not None} & policy.fields.keys()):
        tenant, own = lookup_columns(policy, instructions.rules, instructions.clock, stored, keys, name)
        mine = [event for event in events if event.named_by == name]
        found = recognize_tokens(mine, tenant, own, request.batch_reader(stored), keys)
        yield AffectedSubjects.for_file(
            mine, tenant, own, found, partial(request.event_reach, on=output_and_date(stored.path)[1])
        )


def _treatments(policy: Policy, pointers: Mapping[str, Pointer], owner: str) -> Iterator[tuple[str, PersonalTreatment]]:
    for key in pointers:
        found = personal_treatment(policy, key, owner)
        if found is not None:
            yield key, found


def lookup_columns(
    policy: Policy,
    rules: RetentionRules,
    clock: EventTimeBounds | None,
    stored: StoredFile,
    keys: Keyring,
    by: str | None = None,
) -> tuple[LookupColumn | None, LookupColumn | None]:
    """By which columns of a file tenants and subjects (or who is named `by` a field) are found; None where it has none."""

    def column_of(key: str | None) -> LookupColumn | None:
        there = key is not None and key in rules.pointers
        return lookup_column(policy, str(key), rules.pointers[str(key)], clock, stored, keys) if there else None

    return column_of(policy.tenant), column_of(policy.subject if by is None else by)


def lookup_column(
    policy: Policy, key: str, pointer: Pointer, clock: EventTimeBounds | None, stored: StoredFile, keys: Keyring
) -> LookupColumn:
    """The column of a field, and how somebody stands in it: by the key versions and the rotation periods of the file."""
    units = rotation_units(policy, key)
    times = tuple(_file_instants(clock, stored, units)) if units else ()
    return LookupColumn(pointer, IdentifierColumn(policy, key, pinned_keyring(keys, stored.whole, pointer), times))


def _file_instants(clock: EventTimeBounds | None, stored: StoredFile, units: frozenset[str]) -> Iterator[datetime]:
    """Instants of every period that an event of the file may lie in."""
    extent = None if clock is None else clock.extent(stored)
    if extent is not None:
        first, last = (EPOCH + timedelta(microseconds=each) for each in extent)
        yield from period_instants(first, last, units)


def period_instants(first: datetime, last: datetime, units: frozenset[str]) -> Iterator[datetime]:
    """Instants of every period of these units from the first instant to the last."""
    step = timedelta(days=min(_PERIOD_DAYS[unit] for unit in units))
    while first < last + step:
        yield min(first, last)
        first += step


def _partition_start(on: str | None) -> int | None:
    if on is None:
        return None
    day = date.fromisoformat(on)
    return epoch_microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
