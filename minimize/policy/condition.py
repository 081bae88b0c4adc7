"""Conditions of a field, a case or a whole record, as a monotone tree: there is no `not`.

`FeatureOn` and `LevelAtLeast` read the collection settings; `FieldEquals` and `TimeWithin` read fields of the record or of
the same list element. All keys of a mapping must match; of a list of values, one must match. Null never matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

ConditionValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts are true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class FeatureOn:
    """The feature is on."""

    name: str


@dataclass(frozen=True, slots=True)
class LevelAtLeast:
    """The level, or a higher one, is set."""

    name: str


@dataclass(frozen=True, slots=True)
class FieldEquals:
    """The field (its key in the policy) has one of these values."""

    field: str
    values: tuple[ConditionValue, ...]


@dataclass(frozen=True, slots=True)
class TimeWithin:
    """The field's time is less than this long before that of another field (`of`), or after it."""

    field: str
    age: timedelta
    reference: str


Condition = AllOf | AnyOf | FeatureOn | LevelAtLeast | FieldEquals | TimeWithin
Atom = FeatureOn | LevelAtLeast | FieldEquals | TimeWithin


def atoms(condition: Condition) -> Iterator[Atom]:
    """The leaves of the tree, from left to right."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from atoms(part)
    else:
        yield condition


def fields_of_atom(atom: Atom) -> tuple[str, ...]:
    """The fields that an atom reads.

    >>> fields_of_atom(TimeWithin("last_contact", timedelta(days=7), "event_time")), fields_of_atom(LevelAtLeast("full"))
    (('last_contact', 'event_time'), ())
    """
    match atom:
        case FieldEquals(field):
            return (field,)
        case TimeWithin(field, _, of):
            return (field, of)
        case _:
            return ()


def fields_read_by_condition(condition: Condition | None) -> Iterator[str]:
    """The fields that a condition reads; none if the condition is None."""
    if condition is not None:
        yield from (field for atom in atoms(condition) for field in fields_of_atom(atom))
