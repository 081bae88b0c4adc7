"""Verdict on one batch of a file: records and values to remove or replace, and the stage that applies it and counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.batch import Batch, BatchCounts, FieldCounts
from minimize.arrow.nested import assemble, leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.governance.output_file import Bools, EventTimeBounds, Moments, age_limit
from minimize.governance.retention.affected_subjects import AffectedSubjects
from minimize.governance.retention.lifecycle_events import RetentionEvent
from minimize.governance.retention.retention_rules import (
    PERSONAL,
    ChangedFacts,
    ConditionCertainty,
    FieldRule,
    PersonalTreatment,
    RetentionRules,
    features_in,
    owner_field,
)
from minimize.policy.condition import Atom, Condition, FeatureOn, FieldEquals
from minimize.policy.model import Policy
from minimize.stages.chains import run_chain
from minimize.stages.raw_values import mask_values
from minimize.techniques import Context

WHOLE_RECORD = Pointer(())


@dataclass(frozen=True, slots=True)
class BatchVerdict:
    """What must go of a batch.

    removed_records     per reason the records that go, each counted once
    removed_values   per key of a field the values that go, in records that stay or not
    replacements  per key the values in the form that they must have
    emptied_records   per key whose values can all go the records in which they do
    """

    removed_records: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    removed_values: Mapping[str, Bools] = field(default_factory=dict, repr=False)
    replacements: Mapping[str, pa.Array] = field(default_factory=dict, repr=False)
    emptied_records: Mapping[str, Bools] = field(default_factory=dict, repr=False)

    def remaining_rows(self, rows: int) -> Bools:
        """The records that stay."""
        return np.asarray(~np.logical_or.reduce([np.zeros(rows, np.bool_), *self.removed_records.values()]), np.bool_)


@dataclass(frozen=True, slots=True)
class FileInstructions:
    """Everything that counts for one file.

    policy   the one that it was written under
    clock    how it tells event times; without one `born` stands for all of them (microseconds; None: nothing is known)
    erased   whose records go, and `others` by other fields than the subject
    reclassified   whose device became personal, and `reduced` what that does to fields
    owner    the field that says who owns a device, where the file shows it
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
        """Whose records go, by whatever field they are named."""
        return (self.erased, *self.erased_by_other_fields)

    @property
    def all_affected(self) -> tuple[AffectedSubjects, ...]:
        """Everybody whom an event is about."""
        return (*self.all_erased, self.reclassified)

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """Where the fields of the file stand, by key."""
        return self.rules.pointers

    @property
    def knows_times(self) -> bool:
        """Whether ages can be told."""
        return self.clock is not None or self.partition_start is not None

    def may_concern(self, event: RetentionEvent) -> bool:
        """Whether an event is about somebody who may stand in the file."""
        return any(event in whose.findable for whose in self.all_affected)

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        return _BatchJudgment(self, batch, self._oldest(batch)).verdict()

    def _oldest(self, batch: pa.RecordBatch) -> Moments:
        if self.clock is not None:
            return self.clock.oldest(batch)
        return np.full(batch.num_rows, np.iinfo(np.int64).min if self.partition_start is None else self.partition_start)


@dataclass(frozen=True)
class _BatchJudgment:
    """One batch under its orders; `oldest` is per record the oldest instant that its event may have happened at."""

    instructions: FileInstructions
    batch: pa.RecordBatch = field(repr=False)
    oldest: Moments = field(repr=False)

    def verdict(self) -> BatchVerdict:
        """What must go."""
        gone = self._removed_records()
        handed = self._reclassified()
        closed: dict[str, Bools] = {}
        hollow: dict[str, Bools] = {}
        for key, mask, rows in (*self._outlived(), *self._reclassified_values(handed)):
            closed[key] = closed.get(key, False) | mask
            hollow[key] = hollow.get(key, False) | rows
        return BatchVerdict(gone, closed, dict(self._replacements(handed)), hollow)

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
                past = past | (outlived & ~self._certainty(WHOLE_RECORD, self._features).holds(condition))
        return past

    def _outlived(self) -> Iterator[tuple[str, Bools, Bools]]:
        """Per field the values that go because a feature is not kept that long."""
        for rule in self.instructions.rules.fields:
            rows = np.logical_or.reduce([self._outlived_by(each) for each in rule.conditions])
            if rows.any():
                yield rule.key, self._outlived_values(rule, rows), rows

    def _outlived_values(self, rule: FieldRule, rows: Bools) -> Bools:
        sure = self._certainty(rule.pointer, self._features)
        going = [sure.spread(self._outlived_by(each)) & ~sure.holds(each) for each in rule.conditions]
        return np.asarray(np.logical_or.reduce(going), np.bool_)

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
        """The records of devices that became personal since, and do not say so."""
        rows = self.instructions.reclassified.affects(self.batch, self.oldest)
        owner = self._owner()
        if owner is None:
            return rows
        return np.asarray(rows & ~pc.equal(owner, PERSONAL).fill_null(False).to_numpy(zero_copy_only=False), np.bool_)

    def _reclassified_values(self, handed: Bools) -> Iterator[tuple[str, Bools, Bools]]:
        for key, each in self.instructions.treatments.items() if handed.any() else ():
            sure = self._certainty(self.instructions.rules.pointers[key], self._personal)
            holding = [sure.holds(gate) for gate in each.gates]
            if each.chain is None or (not each.is_repeatable and self._owner() is None):
                yield key, sure.spread(handed), handed
            elif holding:
                yield key, sure.spread(handed) & ~np.logical_and.reduce(holding), handed

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
        values = _plain(leaf(self.batch, pointer).values)
        mask = pa.array(self._certainty(pointer, self._personal).spread(handed))
        made = _plain(run_chain(each.chain or (), values, Context(key, self.instructions.as_of)).values)
        return pc.if_else(mask, made.cast(values.type), values)

    def _owner(self) -> pa.Array | None:
        if self.instructions.owner is None:
            return None
        return _plain(leaf(self.batch, self.instructions.rules.pointers[self.instructions.owner]).values)

    def _certainty(self, place: Pointer, changed: ChangedFacts) -> ConditionCertainty:
        return ConditionCertainty(
            self.batch, self.instructions.policy, dict(self.instructions.rules.pointers), place, changed
        )

    def _nowhere(self) -> Bools:
        return np.zeros(self.batch.num_rows, np.bool_)


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


class BatchJudge(Protocol):
    """Says of each batch of a file what must go; knows where the file's fields stand."""

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """Where the fields of the file stand, by key."""
        ...

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        """The verdict on one batch."""
        ...


@dataclass(frozen=True, slots=True)
class ApplyVerdict:
    """Takes a batch of a file's columns; gives it without what its orders take away.

    Counts whole records by reason and, per field, values that stood in records that stay: those that went as `gated`, those
    that came into another form as `changed`.
    """

    judge: BatchJudge

    def __call__(self, batch: Batch) -> Batch:
        """The batch that may stand."""
        verdict = self.judge(batch.raw)
        stays = verdict.remaining_rows(batch.raw.num_rows)
        counts = verdict_counts(batch.raw, verdict, stays, self.judge.pointers)
        left = _RemainingBatch(batch.raw, verdict, stays, self.judge.pointers)
        return Batch(raw=left.raw, released=dict(left.columns()), counts=batch.counts + counts)


def verdict_counts(
    raw: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, pointers: Mapping[str, Pointer]
) -> BatchCounts:
    """What a verdict takes away of a batch: records by reason, and values by field."""
    gated = {reason: int(mask.sum()) for reason, mask in verdict.removed_records.items() if mask.any()}
    there = {key: place for key, place in pointers.items() if place.top in raw.schema.names}
    left = int(stays.sum())
    fields = {key: _field_counts(raw, verdict, stays, left, key, place) for key, place in there.items()}
    return BatchCounts(gated=gated, fields=fields)


def _field_counts(
    raw: pa.RecordBatch, verdict: BatchVerdict, stays: Bools, left: int, key: str, place: Pointer
) -> FieldCounts:
    found = leaf(raw, place)
    if key not in verdict.removed_values and key not in verdict.replacements:
        if left == raw.num_rows:
            return FieldCounts(len(found.values) - found.values.null_count)
        if not found.parents and not found.values.null_count:
            return FieldCounts(left)
    standing = found.values.is_valid().to_numpy(zero_copy_only=False)
    if left < raw.num_rows:
        standing = standing & stays[row_indices(found, raw.num_rows)]
    closed = verdict.removed_values.get(key, np.zeros(len(standing), np.bool_))
    changed = 0
    if key in verdict.replacements:
        same = pc.equal(_plain(found.values), verdict.replacements[key]).fill_null(False).to_numpy(zero_copy_only=False)
        changed = int((standing & ~closed & ~same).sum())
    return FieldCounts(int(standing.sum()), changed, int((standing & closed).sum()))


@dataclass(frozen=True)
class _RemainingBatch:
    """What is left of a batch; only columns of which something goes are made anew."""

    whole: pa.RecordBatch = field(repr=False)
    verdict: BatchVerdict = field(repr=False)
    stays: Bools = field(repr=False)
    pointers: Mapping[str, Pointer]

    @property
    def raw(self) -> pa.RecordBatch:
        """The records that stay, as they were."""
        return self._filter_batch(self.whole)

    def columns(self) -> Iterator[tuple[str, pa.Array]]:
        """The columns of which something goes, by name."""
        touched = {self.pointers[key].top for key in (*self.verdict.removed_values, *self.verdict.replacements)}
        schema = pa.schema([each for each in self.whole.schema if each.name in touched])
        if not len(schema):
            return
        keys = {key: place for key, place in self.pointers.items() if place.top in touched}
        closed = {
            place: pa.array(self.verdict.removed_values[key])
            for key, place in keys.items()
            if key in self.verdict.removed_values
        }
        released = {place: self._values(key, place) for key, place in keys.items()}
        made = assemble(self.whole, released, closed, dict(self._emptied_lists(keys)), schema)
        yield from zip(made.schema.names, self._filter_batch(made).columns, strict=True)

    def _values(self, key: str, place: Pointer) -> pa.Array:
        values = self.verdict.replacements.get(key, leaf(self.whole, place).values)
        closed = self.verdict.removed_values.get(key)
        return values if closed is None else mask_values(values, pa.array(closed))

    def _emptied_lists(self, keys: Mapping[str, Pointer]) -> Iterator[tuple[Pointer, pa.BooleanArray]]:
        """Lists of which every leaf can go: where it does, even an empty one must not show."""
        for star in dict.fromkeys(star for place in keys.values() for star in place.stars):
            below = [self.verdict.emptied_records.get(key) for key, place in keys.items() if place.within(star)]
            masks = [mask for mask in below if mask is not None]
            if len(masks) == len(below):
                slots = row_indices(leaf(self.whole, Pointer(star.parts[:-1])), self.whole.num_rows)
                yield star, pa.array(np.logical_and.reduce(masks)[slots])

    def _filter_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch if self.stays.all() else batch.filter(pa.array(self.stays))
