"""Transform: numbers for ranking, a field bound to its techniques, and the stage that applies them to every released value.

A field is bound once, so that the parts that depend on the plan alone are not computed per batch.

Release: the released columns of a batch, in the nested form of the records output, without hidden bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.nested import Leaf, assemble, leaf
from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub, scrub_columns
from minimize.errors import ConfigurationError
from minimize.plan.model import FieldPlan, Plan
from minimize.records import Batch, BatchCounts, FieldCounts
from minimize.stages.chains import (
    count_outcomes,
    dropped_by_case,
    is_tally_step,
    resolve_chain,
    run_branches,
    run_chain,
)
from minimize.stages.raw_values import companion_values, field_place, mask_values, raw_values
from minimize.techniques import Context, Family, Residual, Technique, TechniqueResult, TechniqueStep
from minimize.techniques.base import KeySource
from minimize.techniques.bin import Bin
from minimize.techniques.cache import TechniqueCache


class RankNumbers(Technique):
    """The last step of a chain, converted to numbers for ranking. Used inside aggregates only; no policy names it."""

    name: ClassVar[str] = "ranks"
    takes: ClassVar[tuple[Family, ...]] = ("integer", "double", "decimal")
    residual: ClassVar[Residual] = "coarse"
    source: ClassVar[str] = "—"
    about: ClassVar[str] = "the released number, infinite in open bins"

    bin: Bin | None = None
    """The bin at the end of the chain; None for a chain that ends in other numbers."""

    def output_type(self, type_: pa.DataType) -> pa.DataType:
        """Always a double."""
        super().output_type(type_)
        return pa.float64()

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """Compute the ranks."""
        return TechniqueResult(
            pc.cast(values, pa.float64(), safe=False) if self.bin is None else self.bin.coded_ranks(values)
        )


def ends_in_open_bin(chain: Sequence[Technique] | None) -> bool:
    """Whether a chain ends in a bin without a bound on one side."""
    last = chain[-1] if chain else None
    return isinstance(last, Bin) and last.is_open


def ranking_chain(chain: Sequence[Technique] | None) -> list[Technique] | None:
    """The chain with numbers for ranking in place of its last result."""
    if not chain:
        return None
    last = chain[-1]
    return [*chain[:-1], RankNumbers(bin=last)] if isinstance(last, Bin) else [*chain, RankNumbers()]


Chains = Sequence[Sequence[Technique] | None]


@dataclass(frozen=True, slots=True)
class FieldResult:
    """The result of a field: the released values, the values for aggregates, the ranks for quantiles, and the counts."""

    released: pa.Array | None
    measured: pa.Array | None = None
    ranks: pa.Array | None = None
    counts: FieldCounts | None = None


@dataclass(frozen=True, slots=True)
class BoundField:
    """A field with its chains."""

    key: str
    """The field's key in the policy."""
    plan: FieldPlan
    place: Pointer
    """The raw leaf that has one value for each value of the field."""
    chains: Chains
    """The techniques of each branch; None drops the value."""
    output_type: pa.DataType | None
    """The type of the released leaf; None if none is released."""
    measuring: Sequence[Technique] | None
    """The techniques of the values for aggregates; None if aggregates read the released values."""
    ranking: Chains | None
    """The chain of each branch that returns numbers for ranking; None if they are not needed."""
    reads: tuple[str, ...]
    """The other fields that steps read."""
    time: str | None
    """The key of the event time, if a step needs it."""
    replaces: bool
    """Whether every value that is treated becomes a pseudonym or a token."""
    counts: bool
    """Whether counts are needed."""
    stays: bool = False
    """Whether the values that the gate lets through are released unchanged."""

    @classmethod
    def from_plan(
        cls,
        plan: FieldPlan,
        settled: Technique | None,
        time: str | None,
        ranks: Collection[str],
        *,
        counts: bool = True,
    ) -> BoundField:
        """A field without a tally, or whose tally has settled."""
        chains = [None if branch.steps is None else resolve_chain(branch.steps, settled) for branch in plan.branches]
        steps = field_steps(plan)
        is_ranked = plan.key in ranks and any(ends_in_open_bin(chain) for chain in chains)
        return cls(
            key=plan.key,
            plan=plan,
            place=field_place(plan),
            chains=chains,
            output_type=plan.gives,
            measuring=None if plan.measured is None else resolve_chain(plan.field.in_aggregates, None),
            ranking=[ranking_chain(chain) for chain in chains] if is_ranked else None,
            reads=tuple(sorted({key for step in steps for key in step.reads()})),
            time=time if any(step.needs_time for step in steps) else None,
            replaces=_replaces_values(plan),
            counts=counts,
            stays=len(chains) == 1 and _keeps_values(chains[0]) and plan.measured is None and not is_ranked,
        )

    @classmethod
    def until_tally(cls, plan: FieldPlan, time: str | None) -> BoundField:
        """A field with a tally, for the first pass: its chains up to the tally step."""
        chains = [
            resolve_chain(steps, None) if steps is not None and any(is_tally_step(step) for step in steps) else None
            for steps in (branch.steps for branch in plan.branches)
        ]
        gives = plan.takes
        for step in next(chain for chain in chains if chain is not None):
            gives = step.output_type(gives)
        used = [step for chain in chains for step in chain or ()]
        return cls(
            key=plan.key,
            plan=plan,
            place=field_place(plan),
            chains=chains,
            output_type=gives,
            measuring=None,
            ranking=None,
            reads=tuple(sorted({key for step in used for key in step.reads()})),
            time=time if any(step.needs_time for step in used) else None,
            replaces=False,
            counts=False,
        )

    def __call__(
        self, batch: Batch, at: datetime, keys: KeySource | None, memos: Mapping[str, TechniqueCache]
    ) -> FieldResult:
        """The result of the field in a batch, at the time of a run, with its keys and caches."""
        raw = raw_values(self.plan, batch.raw)
        closed, cases = batch.closed.get(self.key), batch.cases.get(self.key)
        if self.stays and closed is None:
            return FieldResult(raw, counts=FieldCounts(len(raw) - raw.null_count) if self.counts else None)
        if raw.null_count == len(raw) or (closed is not None and closed.true_count == len(closed)):
            return self._nulls(raw)
        values = raw if closed is None else mask_values(raw, closed)
        context = self._context(batch, at, keys, memos.get(self.key))
        dropped = None if cases is None else dropped_by_case(self.plan.branches, cases)
        measured = None if self.measuring is None else self._measured(self.measuring, values, dropped, context)
        if self.output_type is None:
            counts = count_outcomes(raw, values, closed, None) if self.counts else None
            return FieldResult(None, measured, counts=counts)
        out = run_branches(self.chains, cases, values, context, self.output_type)
        ranks = None if self.ranking is None else self._ranks(self.ranking, values, cases, context)
        counts = None
        if self.counts:
            counts = count_outcomes(raw, values, closed, out, dropped, replaced=self.replaces)
        return FieldResult(out.values, measured, ranks, counts)

    def _nulls(self, raw: pa.Array) -> FieldResult:
        """The result if all values are null or closed: every technique leaves a null as it is."""
        present = len(raw) - raw.null_count
        return FieldResult(
            released=None if self.output_type is None else pa.nulls(len(raw), self.output_type),
            measured=None if self.measuring is None else pa.nulls(len(raw), self.plan.measured),
            ranks=None if self.ranking is None else pa.nulls(len(raw), pa.float64()),
            counts=FieldCounts(present, gated=present) if self.counts else None,
        )

    def _measured(
        self, measuring: Sequence[Technique], values: pa.Array, dropped: pa.BooleanArray | None, context: Context
    ) -> pa.Array:
        """The values for aggregates, without those that the deciding case drops in records that show the others."""
        dropped = None if self.output_type is None else dropped
        return run_chain(measuring, mask_values(values, dropped), context).values

    def _ranks(self, ranking: Chains, values: pa.Array, cases: pa.Int8Array | None, context: Context) -> pa.Array:
        """The released numbers, with infinities in open bins."""
        return run_branches(ranking, cases, values, context, pa.float64()).values

    def _context(self, batch: Batch, at: datetime, keys: KeySource | None, memo: TechniqueCache | None) -> Context:
        if not self.reads and self.time is None:
            return Context(self.key, at, keys, cache=memo)
        place: Leaf = leaf(batch.raw, self.place)
        columns = {key: companion_values(batch, key, place) for key in self.reads}
        time = None if self.time is None else companion_values(batch, self.time, place)
        return Context(field=self.key, at=at, keys=keys, columns=columns, time=time, cache=memo)


def field_steps(plan: FieldPlan) -> tuple[TechniqueStep, ...]:
    """Every step that a field's values pass through, for records or aggregates."""
    return (*plan.steps, *(plan.field.in_aggregates if plan.measured is not None else ()))


def _replaces_values(plan: FieldPlan) -> bool:
    kept = [branch.steps for branch in plan.branches if branch.steps is not None]
    return all(any(step.residual in ("linkable", "reversible") for step in steps) for steps in kept)


def _keeps_values(chain: Sequence[Technique] | None) -> bool:
    return chain is not None and all(step.changes_nothing for step in chain)


BoundFields = Mapping[str, BoundField]


@dataclass(frozen=True)
class GeneralizeFields:
    """Takes a gated batch. Returns it with `released`, `measured`, `ranks` and the counts of each field.

    A value that is gated, that the deciding case drops, or that a technique cannot treat is null in `released`.

    Raises ConfigurationError if a tally has not settled.
    """

    plan: Plan
    keys: KeySource | None
    """The keyring, if a technique names a key."""
    at: datetime
    """The run's time, aware UTC."""
    settled: Mapping[str, Technique] = field(default_factory=dict)
    """The technique into which the tally step of each field settled."""
    ranks: Collection[str] = frozenset()
    """The fields that have a quantile."""
    until_tally: bool = False
    """Whether this is a first pass: only fields with a tally, and their chains up to the tally step."""
    memos: Mapping[str, TechniqueCache] = field(default_factory=dict, repr=False)
    """The results of each field that are already computed; see `empty_memos`."""
    bound: BoundFields | None = field(default=None, repr=False)
    """The fields bound to their chains; computed from the plan by default."""

    def __post_init__(self) -> None:
        _ = self.fields  # refuses a tally that has not settled before the first batch

    @cached_property
    def fields(self) -> BoundFields:
        """The fields with their chains of techniques."""
        if self.bound is not None:
            return self.bound
        return _bind_until_tally(self.plan) if self.until_tally else bind_fields(self.plan, self.settled, self.ranks)

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its released values."""
        released: dict[str, pa.Array] = {}
        measured: dict[str, pa.Array] = {}
        ranks: dict[str, pa.Array] = {}
        counts: dict[str, FieldCounts] = {}
        for key, bound in self.fields.items():
            result = bound(batch, self.at, self.keys, self.memos)
            if result.released is not None:
                released[key] = result.released
            if result.measured is not None:
                measured[key] = result.measured
            if result.ranks is not None:
                ranks[key] = result.ranks
            if result.counts is not None:
                counts[key] = result.counts
        total = batch.counts + BatchCounts(fields=counts) if counts else batch.counts
        return Batch(
            raw=batch.raw,
            closed=batch.closed,
            cases=batch.cases,
            gated_lists=batch.gated_lists,
            released=released,
            measured=measured,
            ranks=ranks,
            counts=total,
            source=batch.source,
        )


def bind_fields(
    plan: Plan, settled: Mapping[str, Technique], ranks: Collection[str], *, counts: bool = True
) -> BoundFields:
    """Every field that has an output, bound. Raises ConfigurationError if a tally has not settled."""
    if not {key for key, field_plan in plan.fields.items() if _has_tally_step(field_plan)} <= set(settled):
        raise ConfigurationError("a technique that needs all records first has not settled")
    return {
        key: BoundField.from_plan(field_plan, settled.get(key), plan.policy.time, ranks, counts=counts)
        for key, field_plan in plan.fields.items()
        if field_plan.gives is not None or field_plan.measured is not None
    }


def _bind_until_tally(plan: Plan) -> BoundFields:
    time = plan.policy.time
    return {
        key: BoundField.until_tally(field_plan, time)
        for key, field_plan in plan.fields.items()
        if _has_tally_step(field_plan)
    }


def _has_tally_step(plan: FieldPlan) -> bool:
    return any(is_tally_step(step) for step in plan.steps)


def empty_memos(plan: Plan) -> dict[str, TechniqueCache]:
    """An empty cache for each field with a technique. Valid as long as plan and keyring do not change."""
    return {key: TechniqueCache() for key, field in plan.fields.items() if field_steps(field)}


@dataclass(frozen=True)
class Release:
    """Converts batches to records of the output."""

    plan: Plan
    name: str = "records"
    schema: pa.Schema | None = None
    """The output's schema with its metadata; by default the plan's."""
    secret: bytes = field(default=b"", repr=False)
    """Secret bytes that order the former items of a map."""

    @cached_property
    def flat(self) -> tuple[str, ...]:
        """The keys of the columns in their order if nothing is nested; otherwise none."""
        return _flat_keys(self.plan, self._schema)

    @property
    def _schema(self) -> pa.Schema:
        return self.plan.outputs[self.name].schema if self.schema is None else self.schema

    def columns(self, batch: Batch) -> pa.RecordBatch:
        """The released leaves of a batch as columns of the output's schema, scrubbed.

        A dictionary-encoded leaf stays so. An element of a list is removed if its gate or its case leaves nothing of it.
        """
        if self.flat:
            return self.flat_columns(batch.released[key] for key in self.flat)
        schema = self._schema
        pointers = {key: field.pointer for key, field in self.plan.fields.items()}
        released = {pointers[key]: values for key, values in batch.released.items()}
        gated_lists = {Pointer.parse(star): mask for star, mask in batch.gated_lists.items()}
        columns = assemble(batch.raw, released, self._withheld(batch), gated_lists, schema, self.secret)
        clean: pa.RecordBatch = scrub(columns, schema)
        return clean

    def flat_columns(self, released: Iterable[pa.Array], *, for_parquet: bool = False) -> pa.RecordBatch:
        """The output columns of released leaves in the order of `flat`, if nothing is nested, scrubbed by `scrub_columns`.

        Each leaf is released from memory once scrubbed.
        """
        schema = self._schema
        return scrub_columns(released, schema.names, schema, for_parquet=for_parquet)

    def _withheld(self, batch: Batch) -> dict[Pointer, pa.BooleanArray]:
        """Per released leaf, a mask of the values whose gate is closed or that the deciding case drops."""
        withheld = {}
        for key in batch.released:
            plan = self.plan.fields[key]
            masks = [batch.closed.get(key), dropped_by_case(plan.branches, batch.cases.get(key))]
            present_masks = [mask for mask in masks if mask is not None]
            if present_masks:
                withheld[plan.pointer] = present_masks[0] if len(present_masks) == 1 else pc.or_(*present_masks)
        return withheld


def _flat_keys(plan: Plan, schema: pa.Schema) -> tuple[str, ...]:
    keys = {
        field_plan.pointer.top: key
        for key, field_plan in plan.fields.items()
        if field_plan.gives is not None and field_plan.pointer.is_flat
    }
    return tuple(keys[name] for name in schema.names) if set(schema.names) <= set(keys) else ()
