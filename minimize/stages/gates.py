"""What the gate of a plan asks of every batch, worked out once: it depends on the plan alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from minimize.plan.gates import check
from minimize.plan.model import FieldPlan, Plan
from minimize.pointer import Pointer
from minimize.policy.condition import All, Condition, Feature, Level
from minimize.stages.facts import gate_of
from minimize.stages.places import container, place_of


@dataclass(frozen=True, slots=True)
class Gated:
    """A field with a gate, and its place. `settings` is the whole gate where it asks nothing but features and levels."""

    key: str
    place: Pointer
    settings: All | None


@dataclass(frozen=True, slots=True)
class Hollow:
    """A list in which every released leaf may be gated away: its pointer as text, where it stands, its leaves."""

    star: str
    place: Pointer
    fields: tuple[FieldPlan, ...]


@dataclass(frozen=True, slots=True)
class Gates:
    """The questions that decide about records, values and lists.

    retentions  how old a record may be; each of them counts
    settings    what must be on for a record
    conditions  what must hold for a record
    gated       the fields that somebody reads and that have a gate
    cases       per released field with cases: its key, the conditions in order, its place
    hollow      the lists whose emptiness may tell something
    folded      the tenant and the subject, each where the policy compares it without regard to case
    received    whether a third party sends the records, so that none passes without a consent
    """

    retentions: tuple[timedelta, ...]
    settings: tuple[Feature | Level, ...]
    conditions: tuple[Condition, ...]
    gated: tuple[Gated, ...]
    cases: tuple[tuple[str, tuple[Condition | None, ...], Pointer], ...]
    hollow: tuple[Hollow, ...]
    folded: tuple[Pointer, ...] = ()
    received: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Gates:
        """Those of a plan. Raises PolicyError for a plan whose gates cannot be worked out (see `check`)."""
        check(plan)
        records = plan.policy.records
        feature = () if records.feature is None else (Feature(records.feature),)
        level = () if records.level is None else (Level(records.level),)
        return cls(
            retentions=tuple(_retentions(plan)),
            settings=(*feature, *level),
            conditions=tuple(_conditions(plan)),
            gated=tuple(_gated(plan)),
            cases=tuple(_cases(plan)),
            hollow=tuple(_hollow(plan)),
            folded=tuple(_folded(plan)),
            received=plan.pipeline is not None and plan.pipeline.source.is_received,
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


def _gated(plan: Plan) -> Iterator[Gated]:
    for key in read_fields(plan):
        if _is_gated(plan, key):
            field = plan.policy.fields[key]
            alone = not field.from_ and field.collect_if is None
            yield Gated(key, place_of(plan.fields[key]), gate_of(field) if alone else None)


def _cases(plan: Plan) -> Iterator[tuple[str, tuple[Condition | None, ...], Pointer]]:
    for key, field in plan.fields.items():
        if field.gives is not None and len(field.branches) > 1:
            yield key, tuple(branch.when for branch in field.branches), place_of(field)


def _hollow(plan: Plan) -> Iterator[Hollow]:
    fields = [field for field in plan.fields.values() if field.gives is not None]
    for star in dict.fromkeys(star for field in fields for star in field.pointer.stars):
        below = [field for field in fields if field.pointer.within(star)]
        if all(_is_gated(plan, field.key) or len(field.branches) > 1 for field in below):
            yield Hollow(str(star), container(star), tuple(below))


def _folded(plan: Plan) -> Iterator[Pointer]:
    for key in dict.fromkeys((plan.policy.tenant, plan.policy.subject)):
        if key is not None and plan.policy.folds(key):
            yield plan.policy.fields[key].pointer


def _is_gated(plan: Plan, key: str) -> bool:
    field = plan.policy.fields[key]
    return field.is_gated or any(_is_gated(plan, input_) for input_ in field.from_)


def read_fields(plan: Plan) -> Sequence[str]:
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
