"""What today's policy wants of a file that was written under another: how old its records and its features' values may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from minimize.nested import leaf_type
from minimize.pointer import Pointer
from minimize.policy.condition import Condition, Feature, Level, atoms
from minimize.policy.fields import is_dropped
from minimize.policy.model import DROP, Field, Policy
from minimize.stages.facts import gate_of


@dataclass(frozen=True, slots=True)
class FieldRule:
    """A field of the file, and what must hold for a value of it that depends on features that are kept for less long."""

    key: str
    pointer: Pointer
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How old a record may be, what must hold for it, what for values, and how long features are kept.

    pointers  where the fields of the file stand, by key
    """

    age: timedelta | None = None
    records: tuple[Condition, ...] = ()
    fields: tuple[FieldRule, ...] = ()
    features: Mapping[str, timedelta] = field(default_factory=dict)
    pointers: Mapping[str, Pointer] = field(default_factory=dict)

    @classmethod
    def of(cls, then: Policy, today: Policy, schema: pa.Schema) -> Rules:
        """The rules of today's policy for a file of the policy that it was written under.

        What today's policy does not declare any more is judged by the one of then, features by their retention of today.
        """
        features = dict(_retentions(then, today))
        pointers = fields_of(then, schema)
        rules = (
            FieldRule(key, pointer, tuple(_depending(_wanted(key, _declaring(key, then, today)), features)))
            for key, pointer in pointers.items()
        )
        return cls(
            age=today.retention,
            records=tuple(_depending(_of_records(today), features)),
            fields=tuple(rule for rule in rules if rule.conditions),
            features=features,
            pointers=pointers,
        )

    @property
    def shortest(self) -> timedelta | None:
        """The least age at which anything of the file can be due."""
        kept = {name for rule in self.fields for each in rule.conditions for name in features_in(each)}
        kept |= {name for each in self.records for name in features_in(each)}
        ages = [self.features[name] for name in kept & self.features.keys()]
        return min([*ages, *([] if self.age is None else [self.age])], default=None)


def fields_of(policy: Policy, schema: pa.Schema) -> dict[str, Pointer]:
    """Where the fields of a policy stand in a file: those that it holds."""
    found = {key: each.pointer for key, each in policy.fields.items() if not is_dropped(each)}
    return {key: pointer for key, pointer in found.items() if _has(schema, pointer)}


def features_in(condition: Condition) -> Iterator[str]:
    """The features that a condition asks for."""
    yield from (atom.name for atom in atoms(condition) if isinstance(atom, Feature))


def wanted(field: Field) -> Iterator[Condition]:
    """What a value of a field depended on when it was written: its gate, and the cases that let something through."""
    gate = gate_of(field)
    if gate.of:
        yield gate
    yield from (case.when for case in field.cases if case.do != DROP)


def conditions_of(key: str, policy: Policy) -> Iterator[Condition]:
    """What must hold today for a value to be collected: the gates of all that it is made from, and cases that ask settings.

    Which case decided is not known: all of those must hold.
    """
    field = policy.fields[key]
    gate = gate_of(field)
    if gate.of:
        yield gate
    for case in field.cases:
        if case.do != DROP and any(isinstance(atom, Feature | Level) for atom in atoms(case.when)):
            yield case.when
    for each in field.from_:
        yield from conditions_of(each, policy)


def _declaring(key: str, then: Policy, today: Policy) -> Policy:
    return today if key in today.fields else then


def _wanted(key: str, policy: Policy) -> Iterator[Condition]:
    yield from wanted(policy.fields[key])
    for each in policy.fields[key].from_:
        yield from _wanted(each, policy)


def _of_records(policy: Policy) -> Iterator[Condition]:
    if policy.records.feature is not None:
        yield Feature(policy.records.feature)
    if policy.records.collect_if is not None:
        yield policy.records.collect_if


def _depending(conditions: Iterator[Condition], features: Collection[str]) -> Iterator[Condition]:
    yield from (each for each in conditions if any(name in features for name in features_in(each)))


def _retentions(then: Policy, today: Policy) -> Iterator[tuple[str, timedelta]]:
    for name, feature in {**then.features, **today.features}.items():
        if feature.retention is not None:
            yield name, feature.retention


def _has(schema: pa.Schema, pointer: Pointer) -> bool:
    try:
        leaf_type(schema, pointer)
    except KeyError:
        return False
    return True
