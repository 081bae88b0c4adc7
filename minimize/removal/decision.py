"""Removal decision for a file.

Applies today's retention and the events to a file of an older policy, and gives the verdict on each batch of it. Concerned are
records past their retention, erased subjects, and values of features and of devices that became personal.

Devices that became personal: the treatment of each field, and the conditions that records must still meet.

The field that names the owner of a device is called `owner_type` or `ownerType`, at any depth, and has the value `personal`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools, decode_dictionary
from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.datasets.affected_subjects import AffectedSubjects, until_event_time
from minimize.datasets.lifecycle_events import ALL_EVENT_TIMES, RetentionEvent, events_by_field
from minimize.datasets.published_output import OutputFile, PublishedOutput
from minimize.datasets.record_age import UNKNOWN_TIME, EventTimeBounds, Moments, age_limit
from minimize.datasets.writing_run import source_read_times
from minimize.keys import Keyring, Kms, find_kms
from minimize.policy.condition import Atom, Condition, FeatureOn, FieldEquals, RowFacts, atoms
from minimize.policy.fields import gate_condition, is_dropped
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import DROP
from minimize.records import RECORDS
from minimize.removal.retention_rules import (
    ChangedFacts,
    FieldRule,
    RetentionRules,
    StoredFacts,
    features_in,
    own_fields,
    removes_records,
    shows_original,
)
from minimize.removal.verdict import BatchVerdict
from minimize.settings.erasures import ERASURE, RESTRICTION
from minimize.stages.chains import run_chain
from minimize.stores import Location
from minimize.techniques import Context, Technique, TechniqueStep
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask
from minimize.times import epoch_microseconds

OWNER_FIELDS: Final = ("owner_type", "ownerType")
PERSONAL: Final = "personal"


@dataclass(frozen=True, slots=True)
class PersonalTreatment:
    """Treatment of a field's values on a device that became personal."""

    gates: tuple[Condition, ...] = ()
    """Conditions to evaluate again."""
    chain: tuple[Technique, ...] | None = ()
    """Chain to apply to the values; empty if they stay unchanged, None if they are removed."""
    is_repeatable: bool = True
    """Whether the chain may be applied twice."""


def owner_field(policy: Policy) -> str | None:
    """The key of the field that names the owner of a device."""
    keys = (key for key, field in policy.fields.items() if field.pointer.parts[-1] in OWNER_FIELDS)
    return next(keys, None)


def personal_treatment(policy: Policy, key: str, owner: str) -> PersonalTreatment | None:
    """The treatment of a field; None if it does not depend on the owner of the device."""
    field = policy.fields[key]
    gates = tuple(each for each in _gates_of(policy, key) if _depends_on_owner(each, owner))
    if not any(_depends_on_owner(case.when, owner) for case in field.cases):
        return PersonalTreatment(gates) if gates else None
    decided = _personal_chain(field, owner)
    if decided is None or is_dropped(field):
        return PersonalTreatment(gates, None)
    others = [way for way in _releasing_chains(field) if way != decided]
    if not others:
        return PersonalTreatment(gates)
    if not _needs_only_value(decided) or not all(_is_keep_chain(way) for way in others):
        return PersonalTreatment(gates, None)
    chain = tuple(step for step in decided if isinstance(step, Technique))
    return PersonalTreatment(gates, chain, all(isinstance(step, Keep | Mask) for step in chain))


def record_gates_on_owner(policy: Policy, of_pipeline: Condition | None, owner: str) -> tuple[Condition, ...]:
    """The conditions of a policy and its pipeline on whole records that depend on the owner of the device."""
    gates = (*gate_condition(policy.records).parts, *(() if of_pipeline is None else (of_pipeline,)))
    return tuple(each for each in gates if _depends_on_owner(each, owner))


def _gates_of(policy: Policy, key: str) -> Iterator[Condition]:
    gate = gate_condition(policy.fields[key])
    if gate.parts:
        yield gate
    for source_key in policy.fields[key].from_:
        yield from _gates_of(policy, source_key)


def _depends_on_owner(condition: Condition, owner: str) -> bool:
    return any(isinstance(atom, FieldEquals) and atom.field == owner for atom in atoms(condition))


def _personal_chain(field: Field, owner: str) -> tuple[TechniqueStep, ...] | None:
    """The chain of the case that applies to a personal device; None if it drops the value or is unknown.

    A case that drops the value, whoever owns the device, did not hold: the value was written.
    """
    personal = RowFacts(
        lambda atom: PERSONAL in atom.values if isinstance(atom, FieldEquals) and atom.field == owner else None
    )
    for case in field.cases:
        if case.do == DROP and not _depends_on_owner(case.when, owner):
            continue
        outcome = personal.outcome(case.when)
        if outcome is not False:
            return case.do if outcome and case.do != DROP else None
    return None if field.otherwise == DROP else field.otherwise


def _releasing_chains(field: Field) -> list[tuple[TechniqueStep, ...]]:
    ways = (*(case.do for case in field.cases), field.otherwise)
    return [way for way in ways if not isinstance(way, str)]


def _is_keep_chain(chain: Sequence[TechniqueStep]) -> bool:
    return all(step.changes_nothing for step in chain)


def _needs_only_value(chain: Sequence[TechniqueStep]) -> bool:
    """Whether a chain needs only the value itself."""
    return all(
        isinstance(step, Technique) and not step.reads() | step.key_names and not step.needs_time for step in chain
    )


WHOLE_RECORD = Pointer(())


@dataclass(frozen=True, slots=True)
class FileInstructions:
    """The rules, events and times that apply to one file."""

    file: OutputFile
    rules: RetentionRules
    as_of: datetime
    clock: EventTimeBounds | None = None
    """Bounds of its event times; without one, the start of its batch date is the time of all events."""
    erased: tuple[AffectedSubjects, ...] = ()
    """Subjects whose records are removed, by field."""
    reclassified: tuple[AffectedSubjects, ...] = ()
    """Devices that became personal, by field."""
    treatments: Mapping[str, PersonalTreatment] = field(default_factory=dict)
    """The effect on each field of such a device."""
    owner_gates: tuple[Condition, ...] = ()
    """Conditions that the records of such a device must still meet."""
    owner: str | None = None
    """The field that names the owner of a device, if the file has it."""
    company: tuple[AffectedSubjects, ...] = ()
    """Devices from which the organization's data was removed."""
    own: frozenset[str] = frozenset()
    """The fields that are the user's own."""
    removal_reason: str = "erased"
    """The reason in receipts for which records of `erased` are removed."""

    @property
    def all_affected(self) -> tuple[AffectedSubjects, ...]:
        """The affected subjects of all events."""
        return (*self.erased, *self.reclassified, *self.company)

    @property
    def company_fields(self) -> frozenset[str]:
        """The fields of the organization, if its data was removed from a device of the file."""
        policy = self.file.policy
        heads = {policy.tenant, policy.subject, policy.time, policy.record}
        concerned = any(each.subject_forms for each in self.company)
        return frozenset(self.pointers.keys() - self.own - heads) if concerned else frozenset()

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """The pointers of the file's fields, by key."""
        return self.rules.pointers

    @property
    def knows_times(self) -> bool:
        """Whether the age of records is known."""
        return self.clock is not None or self.file.partition_start is not None

    def may_concern(self, event: RetentionEvent) -> bool:
        """Whether an event may concern a record of the file."""
        return any(event in affected.findable for affected in self.all_affected)

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        return _BatchJudgment(self, batch, self._oldest(batch)).verdict()

    def _oldest(self, batch: pa.RecordBatch) -> Moments:
        if self.clock is not None:
            return self.clock.oldest(batch)
        start = self.file.partition_start
        return np.full(batch.num_rows, UNKNOWN_TIME if start is None else start)


@dataclass(frozen=True)
class _BatchJudgment:
    """One batch with the instructions for its file; `oldest` is the oldest possible event instant per record."""

    instructions: FileInstructions
    batch: pa.RecordBatch = field(repr=False)
    oldest: Moments = field(repr=False)

    def verdict(self) -> BatchVerdict:
        """The removals and replacements."""
        company = self._company_records()
        removed = self._removed_records(company)
        reclassified = self._reclassified()
        removed[self.instructions.removal_reason] |= self._personal_records(reclassified) & ~removed["retention"]
        closed: dict[str, Bools] = {}
        emptied: dict[str, Bools] = {}
        for key, mask, rows in (
            *self._outlived(),
            *self._reclassified_values(reclassified),
            *self._company_values(company),
        ):
            closed[key] = closed.get(key, False) | mask
            emptied[key] = emptied.get(key, False) | rows
        return BatchVerdict(removed, closed, dict(self._replacements(reclassified)), emptied)

    def _removed_records(self, company: Bools) -> dict[str, Bools]:
        past = self._past_records()
        erased = self._affected(self.instructions.erased)
        if company.any():
            erased = erased | (company & ~self._own_records())
        return {"retention": past, self.instructions.removal_reason: erased & ~past}

    def _past_records(self) -> Bools:
        rules = self.instructions.rules
        past = self._older(age_limit(self.instructions.as_of, rules.age)) if rules.age is not None else self._nowhere()
        for condition in rules.records:
            outlived = self._outlived_by(condition)
            if outlived.any():
                past = past | (outlived & ~self._facts(WHOLE_RECORD, self._features).still_holds(condition))
        return past

    def _personal_records(self, reclassified: Bools) -> Bools:
        """The records of devices that became personal that would not certainly be collected from a personal device."""
        if not self.instructions.owner_gates or not reclassified.any():
            return self._nowhere()
        facts = self._facts(WHOLE_RECORD, self._personal)
        holding = [facts.still_holds(gate) for gate in self.instructions.owner_gates]
        return np.asarray(reclassified & ~np.logical_and.reduce(holding), np.bool_)

    def _company_records(self) -> Bools:
        """The records of devices from which the organization's data was removed."""
        return self._affected(self.instructions.company)

    def _own_records(self) -> Bools:
        """The records with a value of the user's own."""
        row_mask = self._nowhere()
        for key in self.instructions.own & self.instructions.pointers.keys():
            values = leaf(self.batch, self.instructions.pointers[key])
            present = values.values.is_valid().to_numpy(zero_copy_only=False)
            np.logical_or.at(row_mask, row_indices(values, self.batch.num_rows), present)
        return row_mask

    def _company_values(self, company: Bools) -> Iterator[tuple[str, Bools, Bools]]:
        for key in sorted(self.instructions.company_fields) if company.any() else ():
            facts = self._facts(self.instructions.pointers[key], self._features)
            yield key, facts.spread(company), company

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
        rows = self._affected(self.instructions.reclassified)
        owner = self._owner()
        if owner is None:
            return rows
        return np.asarray(rows & ~pc.equal(owner, PERSONAL).fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def _reclassified_values(self, handed: Bools) -> Iterator[tuple[str, Bools, Bools]]:
        for key, treatment in self.instructions.treatments.items() if handed.any() else ():
            facts = self._facts(self.instructions.rules.pointers[key], self._personal)
            holding = [facts.still_holds(gate) for gate in treatment.gates]
            if treatment.chain is None or (not treatment.is_repeatable and self._owner() is None):
                yield key, facts.spread(handed), handed
            elif holding:
                yield key, facts.spread(handed) & ~np.logical_and.reduce(holding), handed

    def _personal(self, atom: Atom) -> Bools | None:
        if isinstance(atom, FieldEquals) and atom.field == owner_field(self.instructions.file.policy):
            return np.full(self.batch.num_rows, PERSONAL in atom.values)
        return None

    def _replacements(self, handed: Bools) -> Iterator[tuple[str, pa.Array]]:
        if not handed.any():
            return
        for key, treatment in self.instructions.treatments.items():
            if treatment.chain:
                yield key, self._reduced(key, treatment, handed)
        owner = self._owner()
        if self.instructions.owner is not None and owner is not None:
            yield self.instructions.owner, pc.if_else(pa.array(handed), pa.scalar(PERSONAL, owner.type), owner)

    def _reduced(self, key: str, treatment: PersonalTreatment, handed: Bools) -> pa.Array:
        pointer = self.instructions.rules.pointers[key]
        values = decode_dictionary(leaf(self.batch, pointer).values)
        mask = pa.array(self._facts(pointer, self._personal).spread(handed))
        reduced_values = decode_dictionary(
            run_chain(treatment.chain or (), values, Context(key, self.instructions.as_of)).values
        )
        return pc.if_else(mask, reduced_values.cast(values.type), values)

    def _owner(self) -> pa.Array | None:
        if self.instructions.owner is None:
            return None
        return decode_dictionary(leaf(self.batch, self.instructions.rules.pointers[self.instructions.owner]).values)

    def _facts(self, place: Pointer, changed: ChangedFacts) -> StoredFacts:
        return StoredFacts(
            self.batch, self.instructions.file.policy, dict(self.instructions.rules.pointers), place, changed
        )

    def _affected(self, subjects: Iterable[AffectedSubjects]) -> Bools:
        """The records of these subjects."""
        masks = (each.affects(self.batch, self.oldest) for each in subjects)
        return np.asarray(np.logical_or.reduce([self._nowhere(), *masks]), np.bool_)

    def _nowhere(self) -> Bools:
        return np.zeros(self.batch.num_rows, np.bool_)


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """The request of an expiry: output, today's policy, reference time, and events."""

    output: Location
    today: Policy
    as_of: datetime
    keys: Keyring = field(repr=False)
    events: tuple[RetentionEvent, ...] = ()
    by_age: bool = True
    """Whether data past its retention is due; a deletion follows events, and removes it from the changed files."""
    read_times: Mapping[str | None, datetime] = field(default_factory=dict, repr=False)
    """Per batch date, when its records were read from their source."""
    retentions: Mapping[str, timedelta] = field(default_factory=dict)
    """Retention of each aggregate with its own, by name."""
    removal_reason: str = "erased"
    """The reason in receipts for which records of the events' subjects are removed."""
    _by_group: dict[tuple[object, ...], FileInstructions] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def for_output(
        cls,
        output: PublishedOutput,
        as_of: datetime,
        events: Iterable[RetentionEvent] = (),
        *,
        by_age: bool = True,
        removal_reason: str = "erased",
    ) -> Self:
        """The request for a published output, by its pipeline of today. Raises the errors of the search for it."""
        job = output.pipeline_of_today()
        return cls(
            output.folder,
            job.policy,
            as_of,
            output.required_keys,
            tuple(events),
            by_age,
            source_read_times(output.chain),
            job.own_retentions,
            removal_reason,
        )

    def retention_of(self, name: str) -> timedelta | None:
        """Today's retention of an output."""
        return self.retentions.get(name, self.today.retention)

    @property
    def kms(self) -> Kms:
        """The service with the master keys of encrypted files."""
        return find_kms(self.keys, self.today.config)

    def instructions(self, file: OutputFile) -> FileInstructions:
        """The instructions for one file. Files that show the same subjects alike share what follows from the events."""
        if not file.has_records:
            return replace(self.instructions_unread(file), clock=file.times)
        instructions = FileInstructions(
            file, self._rules(file), self.as_of, file.times, removal_reason=self.removal_reason
        )
        events = self._reaching_events(file)
        if not events:
            return instructions
        if len(events) < len(self.past_events) or any(event.token is not None for event in events):
            return self._with_events(instructions, events)
        named = (key for event in events for key in file.fields_named(event.named_by))
        names = dict.fromkeys((file.policy.tenant, file.policy.subject, *named))
        group = (
            file.written_by.rewrite_group,
            *file.pointers,
            *map(file.column, names),
            self.read_times.get(file.date),
        )
        if group not in self._by_group:
            self._by_group[group] = self._with_events(instructions, events)
        return replace(self._by_group[group], file=file, rules=instructions.rules, clock=instructions.clock)

    def instructions_unread(self, file: OutputFile) -> FileInstructions:
        """The instructions for a file that cannot be read. Its batch date gives its age."""
        age = self.retention_of(RECORDS if file.has_records else file.name) if self.by_age else None
        return FileInstructions(file, RetentionRules(age=age), self.as_of)

    def event_reach(self, event: RetentionEvent, on: str | None) -> int:
        """The last event time that an event reaches in the records of a batch date, in microseconds since 1970.

        An erasure removes every record that was read before it. From records read later it removes those that happened up to its
        time plus the policy's `future`. A restriction reaches all event times. Other events reach up to the time at which they
        happened.
        """
        if event.kind == RESTRICTION:
            return ALL_EVENT_TIMES
        if event.kind != ERASURE:
            return until_event_time(event)
        if on not in self.read_times or self.read_times[on] <= event.occurred_at:
            return ALL_EVENT_TIMES
        return epoch_microseconds(event.occurred_at + self.today.future)

    def _rules(self, file: OutputFile) -> RetentionRules:
        if not self.by_age:
            return RetentionRules(pointers=file.pointers)
        return RetentionRules.for_file(file.policy, self.today, file.pointers)

    def _reaching_events(self, file: OutputFile) -> list[RetentionEvent]:
        """The events that concern records of a file."""
        first = None if file.times is None or file.time_bounds is None else file.time_bounds[0]
        on = file.date
        return [event for event in self.past_events if first is None or first <= self.event_reach(event, on)]

    def _with_events(self, instructions: FileInstructions, events: Sequence[RetentionEvent]) -> FileInstructions:
        file, policy, until = (
            instructions.file,
            instructions.file.policy,
            partial(self.event_reach, on=instructions.file.date),
        )
        company = [event for event in events if event.kind == "company_data_removed"]
        user_fields = own_fields(policy) if company else frozenset()
        owner = owner_field(policy)
        touched = {} if owner is None else dict(_treatments(policy, file.pointers, owner))
        handing = [event for event in events if event.kind == "became_personal"]
        gates: tuple[Condition, ...] = ()
        if handing and owner is not None:
            gates = record_gates_on_owner(policy, file.written_by.record_condition, owner)
        handing = handing if touched or gates else []
        removing = [event for event in events if removes_records(event.kind, policy)]
        by_field = events_by_field(events, file.fields_named, policy.subject)
        known = {key: file.recognized(each, key) for key, each in by_field.items()}
        shows_owner = owner is not None and owner in file.pointers and shows_original(policy.fields[owner])
        return replace(
            instructions,
            erased=file.affected_by_field(removing, until, known),
            reclassified=file.affected_by_field(handing, recognized=known),
            treatments=touched,
            owner_gates=gates,
            company=file.affected_by_field(company if user_fields else (), until, known),
            own=user_fields,
            owner=owner if shows_owner else None,
        )

    @property
    def past_events(self) -> tuple[RetentionEvent, ...]:
        """The events that are not in the future."""
        return tuple(event for event in self.events if event.occurred_at <= self.as_of)


def _treatments(policy: Policy, pointers: Mapping[str, Pointer], owner: str) -> Iterator[tuple[str, PersonalTreatment]]:
    for key in pointers:
        treatment = personal_treatment(policy, key, owner)
        if treatment is not None:
            yield key, treatment
