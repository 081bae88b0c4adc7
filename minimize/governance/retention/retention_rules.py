"""Retention rules for a file: ages and conditions of today's policy, certainty of a condition, personal devices.

A condition held when a value was written. If one of its facts changes, the others are taken as they were. Under `any` it is
not known which fact held, so only what the file shows counts. In doubt the condition does not hold.

The field that names the owner of a device is called `owner_type` or `ownerType`, at any depth, and has the value `personal`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.arrow.nested import has_leaf, leaf, repeat_for_leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.governance.event_times import UNKNOWN_TIME, EventTimeBounds
from minimize.policy.condition import (
    AllOf,
    AnyOf,
    Atom,
    Condition,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
    atoms,
)
from minimize.policy.fields import is_dropped, treatments_of
from minimize.policy.model import DROP, Field, Policy
from minimize.stages.conditions import field_gate, match_values
from minimize.techniques import Technique, TechniqueStep
from minimize.techniques.keep import Keep
from minimize.techniques.mask import Mask


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A field of the file, and what must hold for a value of it that depends on features that are kept for less long."""

    key: str
    pointer: Pointer
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """How old a record may be, what must hold for it, what for values, and how long features are kept.

    pointers  where the fields of the file stand, by key
    """

    age: timedelta | None = None
    records: tuple[Condition, ...] = ()
    fields: tuple[FieldRule, ...] = ()
    features: Mapping[str, timedelta] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)

    @classmethod
    def for_file(cls, then: Policy, today: Policy, schema: pa.Schema) -> RetentionRules:
        """The rules of today's policy for a file of the policy that it was written under.

        What today's policy does not declare any more is judged by the one of then, features by their retention of today.
        """
        features = dict(_feature_retentions(then, today))
        pointers = field_pointers(then, schema)
        rules = (
            FieldRule(
                key,
                pointer,
                tuple(_depending_on(_all_written_conditions(key, _declaring_policy(key, then, today)), features)),
            )
            for key, pointer in pointers.items()
        )
        return cls(
            age=today.retention,
            records=tuple(_depending_on(_record_conditions(today), features)),
            fields=tuple(rule for rule in rules if rule.conditions),
            features=features,
            pointers=pointers,
        )

    @property
    def shortest_age(self) -> timedelta | None:
        """The least age at which anything of the file can be due."""
        kept = {name for rule in self.fields for each in rule.conditions for name in features_in(each)}
        kept |= {name for each in self.records for name in features_in(each)}
        ages = [self.features[name] for name in kept & self.features.keys()]
        return min([*ages, *([] if self.age is None else [self.age])], default=None)


def field_pointers(policy: Policy, schema: pa.Schema) -> dict[str, Pointer]:
    """Where the fields of a policy stand in a file: those that it holds."""
    found = {key: each.pointer for key, each in policy.fields.items() if not is_dropped(each)}
    return {key: pointer for key, pointer in found.items() if has_leaf(schema, pointer)}


def features_in(condition: Condition) -> Iterator[str]:
    """The features that a condition asks for."""
    yield from (atom.name for atom in atoms(condition) if isinstance(atom, FeatureOn))


def written_conditions(field: Field) -> Iterator[Condition]:
    """What a value of a field depended on when it was written: its gate, and the cases that let something through."""
    gate = field_gate(field)
    if gate.parts:
        yield gate
    yield from (case.when for case in field.cases if case.do != DROP)


def current_conditions(key: str, policy: Policy) -> Iterator[Condition]:
    """What must hold today for a value to be collected: the gates of all that it is made from, and cases that ask settings.

    Which case decided is not known: all of those must hold.
    """
    field = policy.fields[key]
    gate = field_gate(field)
    if gate.parts:
        yield gate
    for case in field.cases:
        if case.do != DROP and any(isinstance(atom, FeatureOn | LevelAtLeast) for atom in atoms(case.when)):
            yield case.when
    for each in field.from_:
        yield from current_conditions(each, policy)


def _declaring_policy(key: str, then: Policy, today: Policy) -> Policy:
    return today if key in today.fields else then


def _all_written_conditions(key: str, policy: Policy) -> Iterator[Condition]:
    yield from written_conditions(policy.fields[key])
    for each in policy.fields[key].from_:
        yield from _all_written_conditions(each, policy)


def _record_conditions(policy: Policy) -> Iterator[Condition]:
    if policy.records.feature is not None:
        yield FeatureOn(policy.records.feature)
    if policy.records.collect_if is not None:
        yield policy.records.collect_if


def _depending_on(conditions: Iterator[Condition], features: Collection[str]) -> Iterator[Condition]:
    yield from (each for each in conditions if any(name in features for name in features_in(each)))


def _feature_retentions(then: Policy, today: Policy) -> Iterator[tuple[str, timedelta]]:
    for name, feature in {**then.features, **today.features}.items():
        if feature.retention is not None:
            yield name, feature.retention


ChangedFacts = Callable[[Atom], Bools | None]
"""Per record whether a fact holds now, where it changed; None for one that is as it was."""


@dataclass(frozen=True)
class ConditionCertainty:
    """What one batch of a file shows of conditions at one place (a leaf).

    pointers  the fields of the file, by key
    changed   the facts that changed
    """

    batch: pa.RecordBatch = field(repr=False)
    policy: Policy
    pointers: dict[str, Pointer]
    place: Pointer
    changed: ChangedFacts

    def holds(self, condition: Condition, held_when_written: bool = True) -> Bools:
        """One truth per value at the place. `held_when_written` says that the condition did hold when the value was written."""
        if held_when_written and not any(self.changed(atom) is not None for atom in atoms(condition)):
            return self._everywhere(True)
        match condition:
            case AllOf(of):
                return np.asarray(
                    np.logical_and.reduce(
                        [self._everywhere(True), *(self.holds(part, held_when_written) for part in of)]
                    ),
                    np.bool_,
                )
            case AnyOf(of):
                alone = held_when_written and len(of) == 1
                return np.asarray(
                    np.logical_or.reduce([self._everywhere(False), *(self.holds(part, alone) for part in of)]), np.bool_
                )
            case atom:
                return self._atom(atom)

    def spread(self, rows: Bools) -> Bools:
        """What is true of records, for each value at the place."""
        if not self.place.stars:
            return rows
        spread_: Bools = rows[row_indices(leaf(self.batch, self.place), self.batch.num_rows)]
        return spread_

    def _atom(self, atom: Atom) -> Bools:
        now = self.changed(atom)
        if now is not None:
            return self.spread(now)
        if isinstance(atom, TimeWithin):
            return self.spread(self._certainly_within(atom))
        pointer = self.pointers.get(atom.field) if isinstance(atom, FieldEquals) else None
        if not isinstance(atom, FieldEquals) or pointer is None or not shows_original(self.policy.fields[atom.field]):
            return self._everywhere(False)
        own = leaf(self.batch, pointer)
        found = match_values(own.values, atom.values)
        if self.place.parts:
            found = repeat_for_leaf(found, own, leaf(self.batch, self.place))
        elif own.parents:  # a whole record, and a field of its elements
            return self._everywhere(False)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)

    def _certainly_within(self, atom: TimeWithin) -> Bools:
        """Per record whether even the oldest time that may be meant is within the age of even the newest other one."""
        keys = (atom.field, atom.reference)
        fields = [self.policy.fields[key] for key in keys if key in self.pointers and key in self.policy.fields]
        clocks = [
            clock for field in fields if (clock := EventTimeBounds.for_field(field, self.batch.schema)) is not None
        ]
        if len(clocks) < len(keys):
            return np.zeros(self.batch.num_rows, np.bool_)
        oldest, newest = clocks[0].oldest(self.batch), clocks[1].newest(self.batch)
        known = (oldest != UNKNOWN_TIME) & (newest != UNKNOWN_TIME)
        age = np.where(known, newest, 0) - np.where(known, oldest, 0)
        return np.asarray(known & (age < atom.age // timedelta(microseconds=1)), np.bool_)

    def _everywhere(self, truth: bool) -> Bools:
        length = len(leaf(self.batch, self.place).values) if self.place.parts else self.batch.num_rows
        return np.full(length, truth)


def shows_original(field: Field) -> bool:
    """Whether every value of a field stands in the file as it came in."""
    ways = list(treatments_of(field))
    return len(ways) == 1 and not isinstance(ways[0], str) and all(isinstance(step, Keep) for step in ways[0])


OWNER_FIELDS: Final = ("owner_type", "ownerType")
PERSONAL: Final = "personal"


@dataclass(frozen=True, slots=True)
class PersonalTreatment:
    """What becomes of a field's values on a device that became personal.

    gates  conditions that must hold again
    chain   the chain that values go through; none where they stay as they are, None where they go
    is_repeatable  whether they may go through it twice
    """

    gates: tuple[Condition, ...] = ()
    chain: tuple[Technique, ...] | None = ()
    is_repeatable: bool = True


def owner_field(policy: Policy) -> str | None:
    """The key of the field that says who owns a device."""
    keys = (key for key, field in policy.fields.items() if field.pointer.parts[-1] in OWNER_FIELDS)
    return next(keys, None)


def personal_treatment(policy: Policy, key: str, owner: str) -> PersonalTreatment | None:
    """What becomes of a field; None where nobody asks who owns the device."""
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


def _gates_of(policy: Policy, key: str) -> Iterator[Condition]:
    gate = field_gate(policy.fields[key])
    if gate.parts:
        yield gate
    for each in policy.fields[key].from_:
        yield from _gates_of(policy, each)


def _depends_on_owner(condition: Condition, owner: str) -> bool:
    return any(isinstance(atom, FieldEquals) and atom.field == owner for atom in atoms(condition))


def _personal_chain(field: Field, owner: str) -> tuple[TechniqueStep, ...] | None:
    """The chain of the case that decides for a personal device; None where it drops the value, or that is not known."""
    for case in field.cases:
        outcome = _outcome_if_personal(case.when, owner)
        if outcome is not False:
            return case.do if outcome and case.do != DROP else None
    return None if field.otherwise == DROP else field.otherwise


def _outcome_if_personal(condition: Condition, owner: str) -> bool | None:
    """Whether a condition holds for a personal device, whatever else is so; None where that depends."""
    match condition:
        case AllOf(of):
            found = {_outcome_if_personal(part, owner) for part in of}
            return False if False in found else None if None in found else True
        case AnyOf(of):
            found = {_outcome_if_personal(part, owner) for part in of}
            return True if True in found else None if None in found else False
        case FieldEquals(field, values) if field == owner:
            return PERSONAL in values
    return None


def _releasing_chains(field: Field) -> list[tuple[TechniqueStep, ...]]:
    ways = (*(case.do for case in field.cases), field.otherwise)
    return [way for way in ways if not isinstance(way, str)]


def _is_keep_chain(chain: Sequence[TechniqueStep]) -> bool:
    return all(isinstance(step, Keep) for step in chain)


def _needs_only_value(chain: Sequence[TechniqueStep]) -> bool:
    """Whether a chain needs nothing but the value."""
    return all(
        isinstance(step, Technique) and not step.reads() | step.key_names and not step.needs_time for step in chain
    )
