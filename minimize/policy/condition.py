"""Conditions: what a field, a case or a whole record may depend on. A monotone tree: there is no `not`.

`Feature` and `Level` ask the collection settings, `Equals` and `Within` fields of the record or of the same list element.
Several keys in one mapping mean all of them, a list of values any of them; null never matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them holds."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them holds."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """The feature is on."""

    name: str


@dataclass(frozen=True, slots=True)
class Level:
    """The level, or a higher one, is set."""

    name: str


@dataclass(frozen=True, slots=True)
class Equals:
    """The field (its key in the policy) has one of these values."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """The field's time is less than this long before that of another field (`of`), or after it."""

    field: str
    age: timedelta
    of: str


Condition = All | AnyOf | Feature | Level | Equals | Within
Atom = Feature | Level | Equals | Within


def atoms(condition: Condition) -> Iterator[Atom]:
    """The leaves of the tree, from left to right."""
    if isinstance(condition, All | AnyOf):
        for part in condition.of:
            yield from atoms(part)
    else:
        yield condition


def fields_of(atom: Atom) -> tuple[str, ...]:
    """The fields that an atom reads.

    >>> fields_of(Within("last_contact", timedelta(days=7), "event_time")), fields_of(Level("full"))
    (('last_contact', 'event_time'), ())
    """
    match atom:
        case Equals(field):
            return (field,)
        case Within(field, _, of):
            return (field, of)
        case _:
            return ()


def read_by(condition: Condition | None) -> Iterator[str]:
    """The fields that a condition reads; none where there is no condition."""
    if condition is not None:
        yield from (field for atom in atoms(condition) for field in fields_of(atom))
