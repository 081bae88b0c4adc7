"""Retention rules for a file: ages and conditions of today's policy, certainty of a condition.

A condition held when a value was written. If one of its facts changes, the others are taken as they were. Under `any` it is
not known which fact held, so only what the file shows counts. In doubt the condition does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.arrow.nested import Leaf, leaf, repeat_for_leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.datasets.lifecycle_events import EventKind
from minimize.datasets.record_age import UNKNOWN_TIME, EventTimeBounds
from minimize.policy.condition import (
    AllOf,
    Atom,
    Condition,
    FeatureOn,
    FieldEquals,
    TimeWithin,
    atoms,
    conjuncts,
    constant_truth,
    evaluate,
    setting_atoms,
    surely,
)
from minimize.policy.fields import gate_condition, treatments_of
from minimize.policy.model import Field, Policy
from minimize.policy.treatments import DROP
from minimize.stages.conditions import match_values


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A field of the file, and the conditions on its values that depend on features with a shorter retention."""

    key: str
    pointer: Pointer
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """The rules for one file: maximum age of records, conditions on records and on values, retention of features."""

    age: timedelta | None = None
    records: tuple[Condition, ...] = ()
    fields: tuple[FieldRule, ...] = ()
    features: Mapping[str, timedelta] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)
    """Pointers of the file's fields, by key."""

    @classmethod
    def for_file(cls, older_policy: Policy, today: Policy, pointers: Mapping[str, Pointer]) -> RetentionRules:
        """The rules of today's policy for a file of an older policy.

        A field that today's policy no longer declares follows the older policy, with today's retention of its features.
        """
        features = dict(_feature_retentions(older_policy, today))
        rules = (
            FieldRule(
                key,
                pointer,
                tuple(
                    _depending_on(_all_written_conditions(key, _declaring_policy(key, older_policy, today)), features)
                ),
            )
            for key, pointer in pointers.items()
        )
        return cls(
            age=today.retention,
            records=tuple(_depending_on(gate_condition(today.records).parts, features)),
            fields=tuple(rule for rule in rules if rule.conditions),
            features=features,
            pointers=pointers,
        )

    @property
    def shortest_age(self) -> timedelta | None:
        """The lowest age at which data of the file can be due."""
        kept = {name for rule in self.fields for condition in rule.conditions for name in features_in(condition)}
        kept |= {name for condition in self.records for name in features_in(condition)}
        ages = [self.features[name] for name in kept & self.features.keys()]
        return min([*ages, *([] if self.age is None else [self.age])], default=None)


def features_in(condition: Condition) -> Iterator[str]:
    """The features in a condition."""
    yield from (atom.name for atom in atoms(condition) if isinstance(atom, FeatureOn))


def written_conditions(field: Field) -> Iterator[Condition]:
    """The conditions of a value when it was written: its gate, and the cases that release a value."""
    gate = gate_condition(field)
    if gate.parts:
        yield gate
    yield from (case.when for case in field.cases if case.do != DROP)


def current_conditions(key: str, policy: Policy) -> Iterator[Condition]:
    """The conditions for collecting a value today: gates of all its source fields, and cases that depend on settings.

    The case that decided is unknown, so all of them must hold.
    """
    field = policy.fields[key]
    gate = gate_condition(field)
    if gate.parts:
        yield gate
    for case in field.cases:
        if case.do != DROP and any(setting_atoms(case.when)):
            yield case.when
    for source_key in field.from_:
        yield from current_conditions(source_key, policy)


def _declaring_policy(key: str, older_policy: Policy, today: Policy) -> Policy:
    return today if key in today.fields else older_policy


def _all_written_conditions(key: str, policy: Policy) -> Iterator[Condition]:
    yield from written_conditions(policy.fields[key])
    for source_key in policy.fields[key].from_:
        yield from _all_written_conditions(source_key, policy)


def _depending_on(conditions: Iterable[Condition], features: Collection[str]) -> Iterator[Condition]:
    yield from (each for each in conditions if any(name in features for name in features_in(each)))


def _feature_retentions(older_policy: Policy, today: Policy) -> Iterator[tuple[str, timedelta]]:
    for name, feature in {**older_policy.features, **today.features}.items():
        if feature.retention is not None:
            yield name, feature.retention


ChangedFacts = Callable[[Atom], Bools | None]
"""Per record whether a fact surely holds now, if it changed; None for an unchanged fact."""


@dataclass(frozen=True)
class StoredFacts:
    """The facts about the values at one place (a leaf) in a batch of a file, as defined by `Facts`.

    What has not changed is unknown unless the file shows it.
    """

    batch: pa.RecordBatch = field(repr=False)
    policy: Policy
    pointers: Mapping[str, Pointer]
    """The fields of the file, by key."""
    place: Pointer
    changed: ChangedFacts
    """The facts that changed."""

    def holds(self, condition: Condition) -> Bools:
        """Whether the condition surely holds: one truth value per leaf value."""
        return np.asarray(surely(evaluate(condition, self)).to_numpy(zero_copy_only=False), np.bool_)

    def still_holds(self, condition: Condition) -> Bools:
        """Whether a condition that held when a value was written surely holds now. The parts that did not change hold."""
        parts = (part for part in conjuncts(condition) if any(self.changed(atom) is not None for atom in atoms(part)))
        return self.holds(AllOf(tuple(parts)))

    def spread(self, rows: Bools) -> Bools:
        """Repeats a truth value of each record for its leaf values."""
        return rows[row_indices(self._leaf, self.batch.num_rows)] if self.place.stars else rows

    def __len__(self) -> int:
        return len(self._leaf.values)

    def setting(self, atom: Atom) -> pa.BooleanArray:
        """Whether the fact holds now, if it changed."""
        now = self.changed(atom)
        return constant_truth(None, len(self)) if now is None else _true_or_unknown(self.spread(now))

    def equals(self, atom: FieldEquals) -> pa.BooleanArray:
        """Whether the field has one of the values: now, if that changed, else if the file has its original values."""
        pointer = self.pointers.get(atom.field)
        if self.changed(atom) is not None or pointer is None or len(pointer.stars) > len(self.place.stars):
            return self.setting(atom)
        if not shows_original(self.policy.fields[atom.field]):
            return constant_truth(None, len(self))
        field_leaf = leaf(self.batch, pointer)
        matches = pc.if_else(
            field_leaf.values.is_valid(), match_values(field_leaf.values, atom.values), pa.scalar(None, pa.bool_())
        )
        return repeat_for_leaf(matches, field_leaf, self._leaf)

    def within(self, atom: TimeWithin) -> pa.BooleanArray:
        """Whether the largest possible age between the two times is within the limit. Unknown otherwise."""
        return _true_or_unknown(self.spread(self._certainly_within(atom)))

    @cached_property
    def _leaf(self) -> Leaf:
        return leaf(self.batch, self.place)

    def _certainly_within(self, atom: TimeWithin) -> Bools:
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


def _true_or_unknown(certain: Bools) -> pa.BooleanArray:
    return pa.array(certain, mask=~certain)


def shows_original(field: Field) -> bool:
    """Whether the file has every value of a field as received."""
    ways = list(treatments_of(field))
    return len(ways) == 1 and not isinstance(ways[0], str) and all(step.changes_nothing for step in ways[0])


USER: Final = "user"
"""The holder of a feature that is the user's own."""


def own_fields(policy: Policy) -> frozenset[str]:
    """The fields of features that only the user may turn on. They are the user's own, and not the organization's."""
    user_features = {name for name, feature in policy.features.items() if feature.holders == (USER,)}
    return frozenset(key for key, field in policy.fields.items() if field.feature in user_features)


def removes_records(kind: EventKind, policy: Policy) -> bool:
    """Whether an event removes whole records under a policy. Other events remove or replace values."""
    return kind != "became_personal" and not (kind == "company_data_removed" and own_fields(policy))
