"""One field's way through generalization, bound once: whatever depends on the plan alone is not worked out batch by batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from minimize.nested import Leaf, leaf
from minimize.plan.model import FieldPlan
from minimize.pointer import Pointer
from minimize.stage import Batch, FieldCounts
from minimize.stages.chain import dropped_by_case, is_tally, run_branches, run_chain, technique_chain
from minimize.stages.counted import count
from minimize.stages.places import place_of
from minimize.stages.ranks import has_open_bin, ranked
from minimize.stages.raw import companion, raw_values, without
from minimize.techniques import Context, Step, Technique
from minimize.techniques.base import KeySource
from minimize.techniques.keep import Keep
from minimize.techniques.memo import Memo

Chains = Sequence[Sequence[Technique] | None]


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a field: what may leave, what aggregates see instead, what quantiles rank by, and the counts."""

    released: pa.Array | None
    measured: pa.Array | None
    ranks: pa.Array | None
    counts: FieldCounts


@dataclass(frozen=True, slots=True)
class BoundField:
    """A field with its chains.

    place      the raw leaf that has one value for each of the field
    chains     per branch the techniques, None to drop the value
    gives      the type of the released leaf; None where none is released
    measuring  the techniques of what aggregates see instead; None where they see what is released
    ranking    per branch the chain that gives numbers to rank by; None where nobody wants them
    reads      the fields that steps read beside this one
    time       the key of the event time, where a step wants it
    replaces   whether every value that is treated becomes a pseudonym or a token
    counts     whether anybody counts
    stays      whether all that is done is to keep what the gate lets through
    """

    plan: FieldPlan
    place: Pointer
    chains: Chains
    gives: pa.DataType | None
    measuring: Sequence[Technique] | None
    ranking: Chains | None
    reads: tuple[str, ...]
    time: str | None
    replaces: bool
    counts: bool
    stays: bool = False

    @classmethod
    def of(cls, plan: FieldPlan, settled: Technique | None, time: str | None, ranks: Collection[str]) -> BoundField:
        """A field whose tally, if it has one, has settled."""
        chains = [None if branch.steps is None else technique_chain(branch.steps, settled) for branch in plan.branches]
        steps = all_steps(plan)
        is_ranked = plan.key in ranks and any(has_open_bin(chain) for chain in chains)
        return cls(
            plan=plan,
            place=place_of(plan),
            chains=chains,
            gives=plan.gives,
            measuring=None if plan.measured is None else technique_chain(plan.field.in_aggregates, None),
            ranking=[ranked(chain) for chain in chains] if is_ranked else None,
            reads=tuple(sorted({key for step in steps for key in step.reads()})),
            time=time if any(step.needs_time for step in steps) else None,
            replaces=_replaces(plan),
            counts=True,
            stays=len(chains) == 1 and _keeps(chains[0]) and plan.measured is None and not is_ranked,
        )

    @classmethod
    def until_tally(cls, plan: FieldPlan, time: str | None) -> BoundField:
        """A field with a tally: of its chains only what stands before it, for pass one."""
        chains = [
            technique_chain(steps, None) if steps is not None and any(is_tally(step) for step in steps) else None
            for steps in (branch.steps for branch in plan.branches)
        ]
        gives = plan.takes
        for step in next(chain for chain in chains if chain is not None):
            gives = step.gives(gives)
        used = [step for chain in chains for step in chain or ()]
        return cls(
            plan=plan,
            place=place_of(plan),
            chains=chains,
            gives=gives,
            measuring=None,
            ranking=None,
            reads=tuple(sorted({key for step in used for key in step.reads()})),
            time=time if any(step.needs_time for step in used) else None,
            replaces=False,
            counts=False,
        )

    def __call__(self, batch: Batch, at: datetime, keys: KeySource | None, memos: Mapping[str, Memo]) -> Made:
        """What comes of the field in a batch, at the time of a run, with its keys and what it remembers."""
        key = self.plan.key
        raw, closed, cases = raw_values(self.plan, batch.raw), batch.closed.get(key), batch.cases.get(key)
        if self.stays and closed is None:
            return Made(raw, None, None, FieldCounts(len(raw) - raw.null_count))
        values = without(raw, closed)
        context = self._context(batch, at, keys, memos.get(key))
        measured = self._measured(values, cases, context)
        if self.gives is None:
            return Made(None, measured, None, count(raw, values, closed, None))
        out = run_branches(self.chains, cases, values, context, self.gives)
        ranks = None if self.ranking is None else self._ranks(self.ranking, values, cases, context)
        counts = count(raw, values, closed, out, replaced=self.replaces) if self.counts else FieldCounts()
        return Made(out.values, measured, ranks, counts)

    def _measured(self, values: pa.Array, cases: pa.Int8Array | None, context: Context) -> pa.Array | None:
        """What aggregates see instead: nothing of what the deciding case drops in records that show the others."""
        if self.measuring is None:
            return None
        dropped = None if self.gives is None else dropped_by_case(self.plan.branches, cases)
        return run_chain(self.measuring, without(values, dropped), context).values

    def _ranks(self, ranking: Chains, values: pa.Array, cases: pa.Int8Array | None, context: Context) -> pa.Array:
        """The released numbers with infinities in open bins."""
        return run_branches(ranking, cases, values, context, pa.float64()).values

    def _context(self, batch: Batch, at: datetime, keys: KeySource | None, memo: Memo | None) -> Context:
        if not self.reads and self.time is None:
            return Context(self.plan.key, at, keys, memo=memo)
        place: Leaf = leaf(batch.raw, self.place)
        columns = {key: companion(batch, key, place) for key in self.reads}
        time = None if self.time is None else companion(batch, self.time, place)
        return Context(self.plan.key, at, keys, columns, time, memo)


def all_steps(plan: FieldPlan) -> tuple[Step, ...]:
    """Every step that a field's values go through, towards records or aggregates."""
    return (*plan.steps, *(plan.field.in_aggregates if plan.measured is not None else ()))


def _replaces(plan: FieldPlan) -> bool:
    kept = [branch.steps for branch in plan.branches if branch.steps is not None]
    return all(any(step.leaves in ("linkable", "reversible") for step in steps) for steps in kept)


def _keeps(chain: Sequence[Technique] | None) -> bool:
    return chain is not None and all(isinstance(step, Keep) for step in chain)
