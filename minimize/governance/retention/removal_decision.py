"""Removal decision for a file.

Applies today's retention and the events to a file of an older policy, and gives the verdict on each batch of it. Concerned are
records past their retention, erased subjects, and values of features and of devices that became personal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.governance.event_times import EventTimeBounds, Moments, age_limit, partition_start
from minimize.governance.published_outputs import WritingRun
from minimize.governance.retention.affected_subjects import (
    AffectedSubjects,
    BatchReader,
    EventReach,
    recognize_tokens,
    until_event_time,
)
from minimize.governance.retention.identifier_forms import lookup_columns
from minimize.governance.retention.lifecycle_events import ALL_EVENT_TIMES, RetentionEvent
from minimize.governance.retention.retention_rules import (
    PERSONAL,
    ChangedFacts,
    FieldRule,
    PersonalTreatment,
    RetentionRules,
    StoredFacts,
    features_in,
    field_pointers,
    owner_field,
    personal_treatment,
    shows_original,
)
from minimize.governance.verdict import BatchVerdict
from minimize.keys import Keyring, Kms, find_kms
from minimize.output.folder import batch_date_of, output_and_date
from minimize.output.stored_file import StoredFile, with_dictionaries
from minimize.policy.condition import Atom, Condition, FeatureOn, FieldEquals
from minimize.policy.model import Policy
from minimize.settings.erasures import ERASURE
from minimize.stages.chains import run_chain
from minimize.stores import Location, local_path
from minimize.techniques import Context
from minimize.times import epoch_microseconds

WHOLE_RECORD = Pointer(())


@dataclass(frozen=True, slots=True)
class FileInstructions:
    """The rules, events and times that apply to one file.

    policy           the policy under which it was written
    clock            bounds of its event times; without one, `partition_start` is the time of all events
    partition_start  start of the batch date in microseconds since 1970; None if unknown
    erased           subjects whose records are removed; `erased_by_other_fields` those named by other fields
    reclassified     devices that became personal; `treatments` the effect on each field
    owner            the field that names the owner of a device, if the file has it
    """

    policy: Policy
    rules: RetentionRules
    as_of: datetime
    clock: EventTimeBounds | None = None
    partition_start: int | None = None
    erased: AffectedSubjects = field(default_factory=AffectedSubjects)
    reclassified: AffectedSubjects = field(default_factory=AffectedSubjects)
    treatments: Mapping[str, PersonalTreatment] = field(default_factory=dict)
    owner: str | None = None
    erased_by_other_fields: tuple[AffectedSubjects, ...] = ()

    @property
    def all_erased(self) -> tuple[AffectedSubjects, ...]:
        """The affected subjects whose records are removed, for every naming field."""
        return (self.erased, *self.erased_by_other_fields)

    @property
    def all_affected(self) -> tuple[AffectedSubjects, ...]:
        """The affected subjects of all events."""
        return (*self.all_erased, self.reclassified)

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        return self.rules.pointers

    @property
    def knows_times(self) -> bool:
        """Whether the age of records is known."""
        return self.clock is not None or self.partition_start is not None

    def may_concern(self, event: RetentionEvent) -> bool:
        """Whether an event may concern a record of the file."""
        return any(event in affected.findable for affected in self.all_affected)

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        return _BatchJudgment(self, batch, self._oldest(batch)).verdict()

    def _oldest(self, batch: pa.RecordBatch) -> Moments:
        if self.clock is not None:
            return self.clock.oldest(batch)
        return np.full(batch.num_rows, np.iinfo(np.int64).min if self.partition_start is None else self.partition_start)


@dataclass(frozen=True)
class _BatchJudgment:
    """One batch with the instructions for its file; `oldest` is the oldest possible event instant per record."""

    instructions: FileInstructions
    batch: pa.RecordBatch = field(repr=False)
    oldest: Moments = field(repr=False)

    def verdict(self) -> BatchVerdict:
        """The removals and replacements."""
        removed = self._removed_records()
        reclassified = self._reclassified()
        closed: dict[str, Bools] = {}
        emptied: dict[str, Bools] = {}
        for key, mask, rows in (*self._outlived(), *self._reclassified_values(reclassified)):
            closed[key] = closed.get(key, False) | mask
            emptied[key] = emptied.get(key, False) | rows
        return BatchVerdict(removed, closed, dict(self._replacements(reclassified)), emptied)

    def _removed_records(self) -> dict[str, Bools]:
        past = self._past_records()
        erased = np.logical_or.reduce([each.affects(self.batch, self.oldest) for each in self.instructions.all_erased])
        return {"retention": past, "erased": erased & ~past}

    def _past_records(self) -> Bools:
        rules = self.instructions.rules
        past = self._older(age_limit(self.instructions.as_of, rules.age)) if rules.age is not None else self._nowhere()
        for condition in rules.records:
            outlived = self._outlived_by(condition)
            if outlived.any():
                past = past | (outlived & ~self._facts(WHOLE_RECORD, self._features).still_holds(condition))
        return past

    def _outlived(self) -> Iterator[tuple[str, Bools, Bools]]:
        """Per field, the values to remove because their feature has a shorter retention."""
        for rule in self.instructions.rules.fields:
            rows = np.logical_or.reduce([self._outlived_by(each) for each in rule.conditions])
            if rows.any():
                yield rule.key, self._outlived_values(rule, rows), rows

    def _outlived_values(self, rule: FieldRule, rows: Bools) -> Bools:
        facts = self._facts(rule.pointer, self._features)
        expired = [facts.spread(self._outlived_by(each)) & ~facts.still_holds(each) for each in rule.conditions]
        return np.asarray(np.logical_or.reduce(expired), np.bool_)

    def _features(self, atom: Atom) -> Bools | None:
        if isinstance(atom, FeatureOn) and atom.name in self.instructions.rules.features:
            return ~self._past(atom.name)
        return None

    def _outlived_by(self, condition: Condition) -> Bools:
        names = [name for name in features_in(condition) if name in self.instructions.rules.features]
        return np.asarray(np.logical_or.reduce([self._nowhere(), *map(self._past, names)]), np.bool_)

    def _past(self, feature: str) -> Bools:
        return self._older(age_limit(self.instructions.as_of, self.instructions.rules.features[feature]))

    def _older(self, than: int) -> Bools:
        return np.asarray(self.oldest <= than, np.bool_) if self.instructions.knows_times else self._nowhere()

    def _reclassified(self) -> Bools:
        """The records of devices that became personal later and are not marked as personal."""
        rows = self.instructions.reclassified.affects(self.batch, self.oldest)
        owner = self._owner()
        if owner is None:
            return rows
        return np.asarray(rows & ~pc.equal(owner, PERSONAL).fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def _reclassified_values(self, handed: Bools) -> Iterator[tuple[str, Bools, Bools]]:
        for key, each in self.instructions.treatments.items() if handed.any() else ():
            facts = self._facts(self.instructions.rules.pointers[key], self._personal)
            holding = [facts.still_holds(gate) for gate in each.gates]
            if each.chain is None or (not each.is_repeatable and self._owner() is None):
                yield key, facts.spread(handed), handed
            elif holding:
                yield key, facts.spread(handed) & ~np.logical_and.reduce(holding), handed

    def _personal(self, atom: Atom) -> Bools | None:
        if isinstance(atom, FieldEquals) and atom.field == owner_field(self.instructions.policy):
            return np.full(self.batch.num_rows, PERSONAL in atom.values)
        return None

    def _replacements(self, handed: Bools) -> Iterator[tuple[str, pa.Array]]:
        if not handed.any():
            return
        for key, each in self.instructions.treatments.items():
            if each.chain:
                yield key, self._reduced(key, each, handed)
        owner = self._owner()
        if self.instructions.owner is not None and owner is not None:
            yield self.instructions.owner, pc.if_else(pa.array(handed), pa.scalar(PERSONAL, owner.type), owner)

    def _reduced(self, key: str, each: PersonalTreatment, handed: Bools) -> pa.Array:
        pointer = self.instructions.rules.pointers[key]
        values = decode_dictionary(leaf(self.batch, pointer).values)
        mask = pa.array(self._facts(pointer, self._personal).spread(handed))
        made = decode_dictionary(run_chain(each.chain or (), values, Context(key, self.instructions.as_of)).values)
        return pc.if_else(mask, made.cast(values.type), values)

    def _owner(self) -> pa.Array | None:
        if self.instructions.owner is None:
            return None
        return decode_dictionary(leaf(self.batch, self.instructions.rules.pointers[self.instructions.owner]).values)

    def _facts(self, place: Pointer, changed: ChangedFacts) -> StoredFacts:
        return StoredFacts(self.batch, self.instructions.policy, dict(self.instructions.rules.pointers), place, changed)

    def _nowhere(self) -> Bools:
        return np.zeros(self.batch.num_rows, np.bool_)


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """The request of an expiry: output, today's policy, reference time, and events.

    by_age          whether to remove data past its retention; False for a deletion, which follows events only
    earlier_events  events applied earlier: aggregates were counted without their subjects
    read_times      per batch date, when its records were read from their source
    retentions      retention of each aggregate with its own, by name
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
        """Today's retention of an output."""
        return self.retentions.get(name, self.today.retention)

    @property
    def kms(self) -> Kms:
        """The service with the master keys of encrypted files."""
        return find_kms(self.keys, local_path(self.output))

    def instructions(self, written: WritingRun, stored: StoredFile, name: str) -> FileInstructions:
        """The instructions for one file of an output."""
        born = partition_start(batch_date_of(stored.path))
        if name != "records":
            return _aggregate_instructions(self, written, name, born)
        then, schema = written.policy, stored.whole
        orders = FileInstructions(
            then, self._rules(then, schema), self.as_of, EventTimeBounds.for_policy(then, schema), born
        )
        on = batch_date_of(stored.path)
        events = _reaching_events(self.past_events, orders.clock, stored, partial(self.event_reach, on=on))
        return _with_events(orders, stored, events, self) if events else orders

    def event_reach(self, event: RetentionEvent, on: str | None) -> int:
        """The last event time that an event reaches in the records of a batch date, in microseconds since 1970.

        An erasure removes every record that was read before it. From records read later it removes those that happened up to its
        time
        plus the policy's `future`. Other events reach up to the time at which they happened.
        """
        if event.kind != ERASURE:
            return until_event_time(event)
        if on not in self.read_times or self.read_times[on] <= event.occurred_at:
            return ALL_EVENT_TIMES
        return epoch_microseconds(event.occurred_at + self.today.future)

    def batch_reader(self, stored: StoredFile) -> BatchReader:
        """Reads some columns of a file in batches, with text as dictionaries."""
        return lambda columns: with_dictionaries(stored, self.output, self.kms, columns).batches(columns=columns)

    def instructions_unread(self, written: WritingRun, path: str) -> FileInstructions:
        """The instructions for a file that cannot be read. Its batch date gives its age."""
        rules = RetentionRules(age=self.retention_of(output_and_date(path)[0]) if self.by_age else None)
        return FileInstructions(written.policy, rules, self.as_of, partition_start=partition_start(batch_date_of(path)))

    def _rules(self, then: Policy, schema: pa.Schema) -> RetentionRules:
        return (
            RetentionRules.for_file(then, self.today, schema)
            if self.by_age
            else RetentionRules(pointers=field_pointers(then, schema))
        )

    @property
    def past_events(self) -> tuple[RetentionEvent, ...]:
        """The events that are not in the future."""
        return tuple(event for event in self.events if event.occurred_at <= self.as_of)


def _aggregate_instructions(
    request: RewriteRequest, written: WritingRun, name: str, born: int | None
) -> FileInstructions:
    """The bounds of an aggregate's rows: the oldest instant of their time unit, or else of their partition."""
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
    """The events that concern records of a file."""
    bounds = None if clock is None else clock.bounds(stored)
    return [event for event in events if bounds is None or bounds[0] <= until(event)]


def _with_events(
    instructions: FileInstructions, stored: StoredFile, events: Sequence[RetentionEvent], request: RewriteRequest
) -> FileInstructions:
    policy, pointers, keys = instructions.policy, instructions.rules.pointers, request.keys
    until = partial(request.event_reach, on=batch_date_of(stored.path))
    tenant, subject = lookup_columns(policy, pointers, instructions.clock, stored, keys)
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
    """The affected subjects named by other fields than the subject, one per field; empty if the policy has no such field."""
    policy, keys = instructions.policy, request.keys
    for name in sorted({event.named_by for event in events if event.named_by is not None} & policy.fields.keys()):
        tenant, own = lookup_columns(policy, instructions.rules.pointers, instructions.clock, stored, keys, name)
        field_events = [event for event in events if event.named_by == name]
        found = recognize_tokens(field_events, tenant, own, request.batch_reader(stored), keys)
        yield AffectedSubjects.for_file(
            field_events, tenant, own, found, partial(request.event_reach, on=batch_date_of(stored.path))
        )


def _treatments(policy: Policy, pointers: Mapping[str, Pointer], owner: str) -> Iterator[tuple[str, PersonalTreatment]]:
    for key in pointers:
        found = personal_treatment(policy, key, owner)
        if found is not None:
            yield key, found
