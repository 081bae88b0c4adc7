"""The gate, the first stage: the requirements of a plan for records and values, and the stage that applies them.

The requirements depend on the plan alone and are computed once. The stage reads raw columns only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime, timedelta
from functools import cached_property, partial

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import Pointer
from minimize.checkpoints import checkpoint
from minimize.consent.evaluation import ConsentPeriods
from minimize.plan.checks import check_gates
from minimize.plan.model import CaseBranch, FieldPlan, Plan
from minimize.policy.condition import (
    ALWAYS,
    AllOf,
    Condition,
    FeatureOn,
    LevelAtLeast,
    constant_truth,
    possibly,
    surely,
)
from minimize.policy.fields import gate_condition
from minimize.records import Batch, BatchCounts
from minimize.settings.erasures import Erasures
from minimize.settings.evaluation import Settings
from minimize.settings.tenants import OutputRegion
from minimize.sources.record_checks import canonicalize_ids
from minimize.stages.conditions import BatchFacts
from minimize.stages.corrections import Corrections
from minimize.stages.raw_values import RECORD_PLACE, field_place, list_container


@dataclass(frozen=True, slots=True)
class GatedFields:
    """Fields that are closed together, and a place with one value for each of theirs.

    `settings` is their whole gate if it contains only features and levels; otherwise there is one field.
    """

    keys: tuple[str, ...]
    place: Pointer
    settings: AllOf | None


@dataclass(frozen=True, slots=True)
class GatedList:
    """A list in which every released leaf may be gated: its pointer as text, its place, its leaves."""

    star: str
    place: Pointer
    fields: tuple[FieldPlan, ...]


@dataclass(frozen=True, slots=True)
class GateRules:
    """The rules that decide about records, values and lists."""

    retentions: tuple[timedelta, ...]
    """The maximum ages of a record; all of them apply."""
    settings: tuple[FeatureOn | LevelAtLeast, ...]
    """Features and levels that must be on for a record."""
    conditions: tuple[Condition, ...]
    """Conditions that must hold for a record."""
    gated: tuple[GatedFields, ...]
    """The fields that are read and have a gate, those with the same settings together."""
    cases: tuple[tuple[str, tuple[Condition | None, ...], Pointer], ...]
    """The key, the conditions in order and the place of each released field with cases."""
    gated_lists: tuple[GatedList, ...]
    """The lists whose emptiness may reveal something."""
    folded: tuple[Pointer, ...] = ()
    """The tenant and the subject, each if the policy compares it without regard to case."""
    needs_consent: bool = False
    """Whether consents decide on the records, so that none passes without one."""
    region: OutputRegion | None = None
    """The region whose records pass; None if there are no regions."""

    @classmethod
    def from_plan(cls, plan: Plan) -> GateRules:
        """The rules of a plan. Raises PolicyError for a plan whose gates cannot be resolved (see `check_gates`)."""
        check_gates(plan)
        records = plan.policy.records
        feature = () if records.feature is None else (FeatureOn(records.feature),)
        level = () if records.level is None else (LevelAtLeast(records.level),)
        return cls(
            retentions=tuple(_retentions(plan)),
            settings=(*feature, *level),
            conditions=tuple(_conditions(plan)),
            gated=tuple(_gated_fields(plan)),
            cases=tuple(_case_fields(plan)),
            gated_lists=tuple(_gated_lists(plan)),
            folded=tuple(_folded_identifiers(plan)),
            needs_consent=plan.pipeline is not None and plan.pipeline.source.deciding_function is not None,
            region=None if plan.pipeline is None else plan.pipeline.region,
        )


def _retentions(plan: Plan) -> Iterator[timedelta]:
    feature = plan.policy.features.get(plan.policy.records.feature or "")
    for retention in (plan.policy.retention, None if feature is None else feature.retention):
        if retention is not None:
            yield retention


def _conditions(plan: Plan) -> Iterator[Condition]:
    of_pipeline = None if plan.pipeline is None else plan.pipeline.records
    for records in (plan.policy.records, of_pipeline):
        if records is not None and records.collect_if is not None:
            yield records.collect_if


def _gated_fields(plan: Plan) -> Iterator[GatedFields]:
    together: dict[tuple[Pointer, AllOf], list[str]] = {}
    for key in filter(partial(_is_gated, plan), fields_read(plan)):
        field, place = plan.policy.fields[key], field_place(plan.fields[key])
        if field.from_ or field.collect_if is not None:
            yield GatedFields((key,), place, None)
        else:
            together.setdefault((place if place.stars else RECORD_PLACE, gate_condition(field)), []).append(key)
    yield from (GatedFields(tuple(keys), place, gate) for (place, gate), keys in together.items())


def _case_fields(plan: Plan) -> Iterator[tuple[str, tuple[Condition | None, ...], Pointer]]:
    for key, field in plan.fields.items():
        if field.gives is not None and len(field.branches) > 1:
            yield key, tuple(branch.when for branch in field.branches), field_place(field)


def _gated_lists(plan: Plan) -> Iterator[GatedList]:
    fields = [field for field in plan.fields.values() if field.gives is not None]
    for star in dict.fromkeys(star for field in fields for star in field.pointer.stars):
        below = [field for field in fields if field.pointer.within(star)]
        if all(_is_gated(plan, field.key) or len(field.branches) > 1 for field in below):
            yield GatedList(str(star), list_container(star), tuple(below))


def _folded_identifiers(plan: Plan) -> Iterator[Pointer]:
    for key in dict.fromkeys((plan.policy.tenant, plan.policy.subject)):
        if key is not None and plan.policy.folds_case(key):
            yield plan.policy.fields[key].pointer


def _is_gated(plan: Plan, key: str) -> bool:
    field = plan.policy.fields[key]
    return field.is_gated or any(_is_gated(plan, input_) for input_ in field.from_)


def fields_read(plan: Plan) -> Sequence[str]:
    """The fields whose values are released, measured, or needed for others (`per`, `at`, the event time)."""
    keys: dict[str, None] = {}
    for key, field in plan.fields.items():
        if field.gives is None and field.measured is None:
            continue
        steps = (*field.steps, *field.field.in_aggregates)
        keys |= dict.fromkeys([key, *(read for step in steps for read in sorted(step.reads()))])
        if plan.policy.time is not None and any(step.needs_time for step in steps):
            keys[plan.policy.time] = None
    return list(keys)


@dataclass(frozen=True)
class Gate:
    """Removes the records that must not be collected or belong to another region, and marks the values that must not.

    Takes a batch with its raw columns. Returns it with fewer records, and with the masks `closed`, `cases` and `gated_lists`. A
    gated record is counted once, as `region`, `erased`, `restricted`, `consent`, `retention`, `setting` or `condition`, in this
    order.
    Tenant and subject are folded afterwards if the policy compares them so; the ledger is also queried with the original form.

    Raises PolicyError for a plan whose gates cannot be resolved (see `check_gates`).
    """

    plan: Plan
    settings: Settings | None
    """The settings. If there are none (None), features are off and the level is the first one."""
    at: datetime
    """The run's time, aware UTC."""
    bound: GateRules | None = dataclass_field(default=None, repr=False)
    """The rules of the plan; computed from it by default."""
    erased: Erasures | None = dataclass_field(default=None, repr=False)
    """The erasure list; None if it is empty."""
    corrected: Corrections | None = dataclass_field(default=None, repr=False)
    """The corrections that replace values read from the source; None if there are none."""
    consents: ConsentPeriods | None = dataclass_field(default=None, repr=False)
    """The consent periods of tenants, for records of a third party; None if none are needed or given."""

    def __post_init__(self) -> None:
        _ = self.gates  # refuses a plan whose gates cannot be resolved before the first batch

    @cached_property
    def gates(self) -> GateRules:
        """The rules of the plan's gates."""
        return self.bound or GateRules.from_plan(self.plan)

    def __call__(self, batch: Batch) -> Batch:
        """The batch without gated records, with gated values marked."""
        checkpoint("gate", batch)
        raw = batch.raw if self.corrected is None else self.corrected(batch.raw)
        facts = BatchFacts(raw, self.plan.policy, self.settings, self.at)
        facts, counts = self._records(facts, batch.source)
        return Batch(
            raw=canonicalize_ids(facts.raw, self.gates.folded, fold=True),
            closed=dict(self._closed_masks(facts)),
            cases=dict(self._cases(facts)),
            gated_lists=dict(self._gated_list_masks(facts)),
            released=batch.released,
            measured=batch.measured,
            ranks=batch.ranks,
            counts=batch.counts + counts if counts.gated else batch.counts,
        )

    def _records(self, facts: BatchFacts, source: str | None) -> tuple[BatchFacts, BatchCounts]:
        """The facts of the records that may be collected, and the number of the others, by reason."""
        keep: pa.BooleanArray | None = None
        gated: dict[str, int] = {}
        for reason, fine in self._reasons(facts, source):
            still = fine if keep is None else pc.and_(keep, fine)
            gated[reason] = gated.get(reason, 0) + _count_true(keep, fine) - still.true_count
            keep = still
        counts = BatchCounts({reason: number for reason, number in gated.items() if number})
        return (facts if keep is None or not counts.gated else facts.filter_records(keep)), counts

    def _reasons(self, facts: BatchFacts, source: str | None) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per reason, a mask of the records that pass, in the order in which they are counted."""
        if self.gates.region is not None:
            yield "region", facts.regional_records(self.gates.region)
        restricted = None if self.erased is None else self.erased.restricted
        for reason, listed in (("erased", self.erased), ("restricted", restricted)):
            mask = None if listed is None else facts.erased_records(listed, source)
            if mask is not None:
                yield reason, pc.invert(mask)
        if self.gates.needs_consent or self.consents is not None:
            yield "consent", facts.consented_records(self.consents)
        for retention in self.gates.retentions:
            if facts.any_expired(retention):
                yield "retention", pc.invert(facts.expired(retention))
        for atom in self.gates.settings:
            yield "setting", facts.setting(atom)
        for condition in self.gates.conditions:
            yield "condition", facts.holds(condition, RECORD_PLACE)

    def _closed_masks(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per field that is read, a mask of the closed values; no entry for a field without any."""
        for gated in self.gates.gated:
            closed = facts.closed_mask(gated.keys[0], gated.place, gated.settings)
            if closed is not None:
                yield from ((key, closed) for key in gated.keys)

    def _cases(self, facts: BatchFacts) -> Iterator[tuple[str, pa.Int8Array]]:
        """Per released field with cases, the index of the first case that holds, -1 if none does."""
        for key, conditions, place in self.gates.cases:
            yield key, _deciding_case(conditions, facts, place)

    def _gated_list_masks(self, facts: BatchFacts) -> Iterator[tuple[str, pa.BooleanArray]]:
        """Per list in which every released leaf may be gated, a mask of the slots in which no element could release anything."""
        for gated_list in self.gates.gated_lists:
            nothing = _nothing_collectable(gated_list, facts)
            if nothing.true_count:
                yield gated_list.star, nothing


def _nothing_collectable(gated_list: GatedList, facts: BatchFacts) -> pa.BooleanArray:
    nothing = constant_truth(True, len(facts.leaf(gated_list.place).values))
    for field_ in gated_list.fields:
        opens = possibly(facts.opens(field_.key, gated_list.place))
        nothing = pc.and_not(nothing, pc.and_(opens, _could_leave(field_.branches, facts, gated_list.place)))
    return nothing


def _deciding_case(conditions: Sequence[Condition | None], facts: BatchFacts, place: Pointer) -> pa.Int8Array:
    cases = pa.repeat(pa.scalar(-1, pa.int8()), len(facts.leaf(place).values))
    for index in reversed(range(len(conditions))):
        condition = conditions[index]
        if condition is not None:
            cases = pc.if_else(facts.holds(condition, place), pa.scalar(index, pa.int8()), cases)
    return cases


def _could_leave(branches: Sequence[CaseBranch], facts: BatchFacts, place: Pointer) -> pa.BooleanArray:
    """Per list, whether a case that releases something could decide for one of its elements."""
    count = len(facts.leaf(place).values)
    could, reached = constant_truth(False, count), constant_truth(True, count)
    for branch in branches:
        when = facts.truth(branch.when if branch.when is not None else ALWAYS, place)
        if branch.steps is not None:
            could = pc.or_(could, pc.and_(reached, possibly(when)))
        reached = pc.and_not(reached, surely(when))
    return could


def _count_true(keep: pa.BooleanArray | None, fine: pa.BooleanArray) -> int:
    return len(fine) if keep is None else keep.true_count
