"""Conditions: what a field, a case or a whole record may depend on. A monotone tree: there is no `not`.

`Feature` and `Level` ask the collection settings, `Equals` a field of the record or of the same list element. Several keys
in one mapping mean all of them, a list of values any of them; null never matches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


Condition = All | AnyOf | Feature | Level | Equals
Atom = Feature | Level | Equals


def atoms(condition: Condition) -> Iterator[Atom]:
    """The leaves of the tree, from left to right."""
    if isinstance(condition, All | AnyOf):
        for part in condition.of:
            yield from atoms(part)
    else:
        yield condition
