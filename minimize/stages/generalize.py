"""Generalize: every released value through its techniques, and nothing that the gate closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import ConfigurationError
from minimize.nested import Leaf, leaf
from minimize.plan.model import FieldPlan, Plan
from minimize.stage import Batch, Counts, FieldCounts
from minimize.stages.chain import Branched, dropped_by_case, is_tally, run_branches, run_chain, technique_chain
from minimize.stages.changed import changed
from minimize.stages.places import place_of
from minimize.stages.ranks import has_open_bin, ranked
from minimize.stages.raw import companion, raw_values, without
from minimize.techniques import Context, Step, Technique
from minimize.techniques.base import KeySource
from minimize.techniques.memo import Memo

Chains = Sequence[Sequence[Technique] | None]


@dataclass(frozen=True, slots=True)
class Generalize:
    """Takes a gated batch; gives it with `released`, `measured`, `ranks` and the counts of each field.

    A value that is gated, that the deciding case drops, or that a technique cannot treat is null in `released`.

    keys         the keyring, where a technique names a key
    at           the run's time, aware UTC
    settled      per field with a step that is a tally: the technique that it settled into
    ranks        the fields of which a quantile is wanted
    memos        per field with a key what was computed before; see `memos_of`
    until_tally  pass one: only fields with a tally, and of their chains only what stands before it

    Raises ConfigurationError where a tally has not settled.
    """

    plan: Plan
    keys: KeySource | None
    at: datetime
    settled: Mapping[str, Technique] = field(default_factory=dict)
    ranks: Collection[str] = frozenset()
    until_tally: bool = False
    memos: Mapping[str, Memo] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.until_tally and not set(self._tallies()) <= set(self.settled):
            raise ConfigurationError("a step that must see everything first has not settled")

    def __call__(self, batch: Batch) -> Batch:
        """The batch with what may leave it."""
        released: dict[str, pa.Array] = {}
        measured: dict[str, pa.Array] = {}
        ranks: dict[str, pa.DoubleArray] = {}
        counts: dict[str, FieldCounts] = {}
        for key, plan in self.plan.fields.items():
            if self._is_wanted(plan):
                made = self._field(plan, batch)
                released |= {} if made.released is None else {key: made.released}
                measured |= {} if made.measured is None else {key: made.measured}
                ranks |= {} if made.ranks is None else {key: made.ranks}
                counts[key] = made.counts
        added = Counts() if self.until_tally else Counts(fields=counts)
        return batch.with_(released=released, measured=measured, ranks=ranks, counts=batch.counts + added)

    def _tallies(self) -> list[str]:
        return [key for key, plan in self.plan.fields.items() if any(is_tally(step) for step in plan.steps)]

    def _is_wanted(self, plan: FieldPlan) -> bool:
        if self.until_tally:
            return any(is_tally(step) for step in plan.steps)
        return plan.gives is not None or plan.measured is not None

    def _field(self, plan: FieldPlan, batch: Batch) -> _Made:
        raw, closed = raw_values(plan, batch.raw), batch.closed.get(plan.key)
        values, context = without(raw, closed), self._context(plan, batch)
        measured = self._measured(plan, batch, values, context)
        if plan.gives is None:
            return _Made(None, measured, None, count(raw, closed, None))
        out = run_branches(self._chains(plan), batch.cases.get(plan.key), values, context, self._gives(plan))
        ranks = self._ranks(plan, batch, values, context)
        counts = FieldCounts() if self.until_tally else count(raw, closed, out, replaced=_replaces(plan))
        return _Made(out.values, measured, ranks, counts)

    def _chains(self, plan: FieldPlan) -> Chains:
        return [self._chain(plan.key, branch.steps) for branch in plan.branches]

    def _chain(self, key: str, steps: Sequence[Step] | None) -> Sequence[Technique] | None:
        if steps is None or (self.until_tally and not any(is_tally(step) for step in steps)):
            return None
        return technique_chain(steps, None if self.until_tally else self.settled.get(key))

    def _measured(self, plan: FieldPlan, batch: Batch, values: pa.Array, context: Context) -> pa.Array | None:
        """What aggregates see instead: nothing of what the deciding case drops in records that show the others."""
        if plan.measured is None:
            return None
        dropped = None if plan.gives is None else dropped_by_case(plan.branches, batch.cases.get(plan.key))
        return run_chain(self._measuring(plan), without(values, dropped), context).values

    def _measuring(self, plan: FieldPlan) -> Sequence[Technique]:
        return technique_chain(plan.field.in_aggregates, None)

    def _gives(self, plan: FieldPlan) -> pa.DataType:
        """The type of the released leaf; in pass one that of the values before the tally."""
        if not self.until_tally:
            return plan.gives
        type_ = plan.takes
        for step in next(steps for steps in self._chains(plan) if steps is not None):
            type_ = step.gives(type_)
        return type_

    def _ranks(self, plan: FieldPlan, batch: Batch, values: pa.Array, context: Context) -> pa.DoubleArray | None:
        """The released numbers with infinities in open bins; None where no case ends in an open bin."""
        chains = self._chains(plan)
        if plan.key not in self.ranks or not any(has_open_bin(chain) for chain in chains):
            return None
        return run_branches(
            [ranked(chain) for chain in chains], batch.cases.get(plan.key), values, context, pa.float64()
        ).values

    def _context(self, plan: FieldPlan, batch: Batch) -> Context:
        steps = _all_steps(plan)
        place = leaf(batch.raw, place_of(plan))
        return Context(
            plan.key,
            self.at,
            self.keys,
            {key: companion(batch, key, place) for key in sorted({key for step in steps for key in step.reads()})},
            self._times(batch, place) if any(step.needs_time for step in steps) else None,
            self.memos.get(plan.key),
        )

    def _times(self, batch: Batch, place: Leaf) -> pa.Array | None:
        return None if self.plan.policy.time is None else companion(batch, self.plan.policy.time, place)


@dataclass(frozen=True, slots=True)
class _Made:
    released: pa.Array | None
    measured: pa.Array | None
    ranks: pa.DoubleArray | None
    counts: FieldCounts


def memos_of(plan: Plan) -> dict[str, Memo]:
    """An empty memory for each field with a key, for as long as plan and keyring stay."""
    return {key: Memo() for key, field in plan.fields.items() if any(step.key_names for step in _all_steps(field))}


def count(
    raw: pa.Array, closed: pa.BooleanArray | None, out: Branched | None, *, replaced: bool = False
) -> FieldCounts:
    """What happened to the values: each in one of gated, dropped, unparsable and (changed or as it was).

    Where every value is `replaced` by another in any case, none is compared.
    """
    present = raw.is_valid()
    gated = _and(present, closed)
    passed = present if closed is None else pc.and_not(present, closed)
    if out is None:
        return FieldCounts(present.true_count, gated=gated)
    dropped = _and(passed, out.dropped)
    left = passed if out.dropped is None else pc.and_not(passed, out.dropped)
    unparsable = _and(left, out.untreated)
    treated = left if out.untreated is None else pc.and_not(left, out.untreated)
    other = treated.true_count if replaced else _and(treated, changed(raw, out.values))
    return FieldCounts(present.true_count, other, gated, unparsable, dropped)


def _replaces(plan: FieldPlan) -> bool:
    """Whether every value that is treated becomes a pseudonym or a token."""
    kept = [branch.steps for branch in plan.branches if branch.steps is not None]
    return all(any(step.leaves in ("linkable", "reversible") for step in steps) for steps in kept)


def _and(mask: pa.BooleanArray, other: pa.BooleanArray | None) -> int:
    return 0 if other is None else pc.and_(mask, other).true_count


def _all_steps(plan: FieldPlan) -> tuple[Step, ...]:
    return (*plan.steps, *(plan.field.in_aggregates if plan.measured is not None else ()))
