"""The gate: which records and which values may be collected at all. It is the first stage, and works on raw columns only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from minimize.plan.gates import check
from minimize.plan.model import Branch, FieldPlan, Plan
from minimize.pointer import Pointer
from minimize.policy.condition import All, Condition, Feature, Level
from minimize.settings.base import Settings
from minimize.stage import Batch, Counts
from minimize.stages.conditions import could_hold, everywhere, holds, must_hold
from minimize.stages.facts import BatchFacts
from minimize.stages.places import RECORD, container, place_of


@dataclass(frozen=True, slots=True)
class Gate:
    """Takes out the records that must not be collected, and marks the values that must not.

    Takes a batch with its raw columns. Gives it with fewer records, and with the masks `closed`, `cases` and `hollow`; a gated
    record is counted once, as `retention`, `setting` or `condition`, in this order.

    settings  None where nobody said anything: features are off, the level is the first one
    at        the run's time, aware UTC

    Raises PolicyError for a plan whose gates cannot be worked out (see `check`).
    """

    plan: Plan
    settings: Settings | None
    at: datetime

    def __post_init__(self) -> None:
        check(self.plan)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with gated records gone and gated values marked."""
        facts = BatchFacts(batch.raw, self.plan.policy, self.settings, self.at)
        facts, counts = self._records(facts)
        return batch.with_(
            raw=facts.raw,
            closed=dict(self._closed(facts)),
            cases=dict(self._cases(facts)),
            hollow=dict(self._hollow(facts)),
            counts=batch.counts + counts,
        )

    def _records(self, facts: BatchFacts) -> tuple[BatchFacts, Counts]:
        """The facts of the records that may be collected, and how many may not, by reason."""
        keep: pa.BooleanArray | None = None
        gated: dict[str, int] = {}
        for reason, fine in self._reasons(facts):
            still = fine if keep is None else pc.and_(keep, fine)
            gated[reason] = gated.get(reason, 0) + _true(keep, fine) - still.true_count
            keep = still
        counts = Counts({reason: number for reason, number in gated.items() if number})
        return (facts if keep is None or not counts.gated else facts.kept(keep)), counts

    def _reasons(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per reason the records that it lets pass, in the order in which they are counted."""
        records = self.plan.policy.records
        for retention in (self.plan.policy.retention, self._retention(records.feature)):
            if retention is not None:
                yield "retention", pc.invert(facts.past(retention))
        if records.feature is not None:
            yield "setting", facts.setting(Feature(records.feature))
        if records.level is not None:
            yield "setting", facts.setting(Level(records.level))
        for condition in self._conditions():
            yield "condition", holds(condition, facts, RECORD)

    def _retention(self, feature: str | None) -> timedelta | None:
        known = self.plan.policy.features.get(feature or "")
        return None if known is None else known.retention

    def _conditions(self) -> Iterator[Condition]:
        of_pipeline = None if self.plan.pipeline is None else self.plan.pipeline.records
        for records in (self.plan.policy.records, of_pipeline):
            if records is not None and records.collect_if is not None:
                yield records.collect_if

    def _closed(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per field that somebody reads the values that must not pass; nothing for a field with none."""
        for key in read_fields(self.plan):
            if self._is_gated(key):
                closed = pc.invert(facts.opens(key, place_of(self.plan.fields[key]), "is"))
                if closed.true_count:
                    yield key, closed

    def _is_gated(self, key: str) -> bool:
        field = self.plan.policy.fields[key]
        return field.is_gated or any(self._is_gated(input_) for input_ in field.from_)

    def _cases(self, facts: BatchFacts) -> Iterator[tuple[str, pa.Int8Array]]:
        """Per released field with cases the index of the first that holds, -1 where none does."""
        for key, field in self.plan.fields.items():
            if field.gives is not None and len(field.branches) > 1:
                yield key, _deciding([branch.when for branch in field.branches], facts, place_of(field))

    def _hollow(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per list in which every released leaf may be gated away the slots where no element could leave anything."""
        fields = [field for field in self.plan.fields.values() if field.gives is not None]
        for star in dict.fromkeys(star for field in fields for star in field.pointer.stars):
            below = [field for field in fields if field.pointer.within(star)]
            if all(self._is_gated(field.key) or len(field.branches) > 1 for field in below):
                hollow = self._nothing_could(below, facts, container(star))
                if hollow.true_count:
                    yield str(star), hollow

    def _nothing_could(self, fields: Sequence[FieldPlan], facts: BatchFacts, place: Pointer) -> pa.BooleanArray:
        nothing = everywhere(True, facts, place)
        for field in fields:
            could = pc.and_(facts.opens(field.key, place, "could"), _could_leave(field.branches, facts, place))
            nothing = pc.and_not(nothing, could)
        return nothing


def read_fields(plan: Plan) -> list[str]:
    """The fields whose values leave, are measured, or stand beside others that do (`per`, `at`, the event time)."""
    keys: dict[str, None] = {}
    for key, field in plan.fields.items():
        if field.gives is None and field.measured is None:
            continue
        steps = (*field.steps, *field.field.in_aggregates)
        keys |= dict.fromkeys([key, *(read for step in steps for read in sorted(step.reads()))])
        if plan.policy.time is not None and any(step.needs_time for step in steps):
            keys[plan.policy.time] = None
    return list(keys)


def _deciding(conditions: Sequence[Condition | None], facts: BatchFacts, place: Pointer) -> pa.Int8Array:
    cases = pa.repeat(pa.scalar(-1, pa.int8()), len(facts.leaf(place).values))
    for index in reversed(range(len(conditions))):
        condition = conditions[index]
        if condition is not None:
            cases = pc.if_else(holds(condition, facts, place), pa.scalar(index, pa.int8()), cases)
    return cases


def _could_leave(branches: Sequence[Branch], facts: BatchFacts, place: Pointer) -> pa.BooleanArray:
    """Per list whether a case that lets something through could decide for an element of it."""
    could, reached = everywhere(False, facts, place), everywhere(True, facts, place)
    for branch in branches:
        when = branch.when if branch.when is not None else All(())
        if branch.steps is not None:
            could = pc.or_(could, pc.and_(reached, could_hold(when, facts, place)))
        reached = pc.and_not(reached, must_hold(when, facts, place))
    return could


def _true(keep: pa.BooleanArray | None, fine: pa.BooleanArray) -> int:
    return len(fine) if keep is None else keep.true_count


__all__ = ["Gate", "read_fields"]
