"""The gate: which records and which values may be collected at all. It is the first stage, and works on raw columns only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from minimize.consent.periods import ConsentPeriods
from minimize.io.ids import with_canonical_ids
from minimize.plan.model import Branch, Plan
from minimize.pointer import Pointer
from minimize.policy.condition import All, Condition
from minimize.settings.base import Settings
from minimize.settings.erased import Erased
from minimize.stage import Batch, Counts
from minimize.stages.conditions import could_hold, everywhere, holds, must_hold
from minimize.stages.corrected import Corrections
from minimize.stages.facts import BatchFacts
from minimize.stages.gates import Gates, Hollow
from minimize.stages.places import RECORD


@dataclass(frozen=True, slots=True)
class Gate:
    """Takes out the records that must not be collected, and marks the values that must not.

    Takes a batch with its raw columns. Gives it with fewer records, and with the masks `closed`, `cases` and `hollow`; a gated
    record is counted once, as `erased`, `consent`, `retention`, `setting` or `condition`, in this order. Tenant and subject
    leave it folded where the policy compares them so: the ledger is asked about the form before, too.

    settings  None where nobody said anything: features are off, the level is the first one
    at        the run's time, aware UTC
    bound     what the plan asks; worked out here where nobody has done it before
    erased    whose records must not come back; None for nobody's
    corrected  values that people put right, in place of those that came in; None for none
    consents  when tenants agreed to what a third party sends; None where that is not asked, or nobody agreed

    Raises PolicyError for a plan whose gates cannot be worked out (see `plan.gates.check`).
    """

    plan: Plan
    settings: Settings | None
    at: datetime
    bound: Gates | None = field(default=None, repr=False)
    erased: Erased | None = field(default=None, repr=False)
    corrected: Corrections | None = field(default=None, repr=False)
    consents: ConsentPeriods | None = field(default=None, repr=False)
    gates: Gates = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gates", self.bound or Gates.of(self.plan))

    def __call__(self, batch: Batch) -> Batch:
        """The batch with gated records gone and gated values marked."""
        raw = batch.raw if self.corrected is None else self.corrected(batch.raw)
        facts = BatchFacts(raw, self.plan.policy, self.settings, self.at)
        facts, counts = self._records(facts, batch.source)
        return Batch(
            raw=with_canonical_ids(facts.raw, self.gates.folded, fold=True),
            closed=dict(self._closed(facts)),
            cases=dict(self._cases(facts)),
            hollow=dict(self._hollow(facts)),
            released=batch.released,
            measured=batch.measured,
            ranks=batch.ranks,
            counts=batch.counts + counts if counts.gated else batch.counts,
        )

    def _records(self, facts: BatchFacts, source: str | None) -> tuple[BatchFacts, Counts]:
        """The facts of the records that may be collected, and how many may not, by reason."""
        keep: pa.BooleanArray | None = None
        gated: dict[str, int] = {}
        for reason, fine in self._reasons(facts, source):
            still = fine if keep is None else pc.and_(keep, fine)
            gated[reason] = gated.get(reason, 0) + _true(keep, fine) - still.true_count
            keep = still
        counts = Counts({reason: number for reason, number in gated.items() if number})
        return (facts if keep is None or not counts.gated else facts.kept(keep)), counts

    def _reasons(self, facts: BatchFacts, source: str | None) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per reason the records that it lets pass, in the order in which they are counted."""
        gone = None if self.erased is None else facts.gone(self.erased, source)
        if gone is not None:
            yield "erased", pc.invert(gone)
        if self.gates.received or self.consents is not None:
            yield "consent", facts.agreed(self.consents)
        for retention in self.gates.retentions:
            if facts.any_past(retention):
                yield "retention", pc.invert(facts.past(retention))
        for atom in self.gates.settings:
            yield "setting", facts.setting(atom)
        for condition in self.gates.conditions:
            yield "condition", holds(condition, facts, RECORD)

    def _closed(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per field that somebody reads the values that must not pass; nothing for a field with none."""
        for gated in self.gates.gated:
            closed = facts.closed(gated.key, gated.place, gated.settings)
            if closed is not None:
                yield gated.key, closed

    def _cases(self, facts: BatchFacts) -> Iterator[tuple[str, pa.Int8Array]]:
        """Per released field with cases the index of the first that holds, -1 where none does."""
        for key, conditions, place in self.gates.cases:
            yield key, _deciding(conditions, facts, place)

    def _hollow(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per list in which every released leaf may be gated away the slots where no element could leave anything."""
        for hollow in self.gates.hollow:
            nothing = _nothing_could(hollow, facts)
            if nothing.true_count:
                yield hollow.star, nothing


def _nothing_could(hollow: Hollow, facts: BatchFacts) -> pa.BooleanArray:
    nothing = everywhere(True, facts, hollow.place)
    for field_ in hollow.fields:
        opens = facts.opens(field_.key, hollow.place, "could")
        nothing = pc.and_not(nothing, pc.and_(opens, _could_leave(field_.branches, facts, hollow.place)))
    return nothing


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
