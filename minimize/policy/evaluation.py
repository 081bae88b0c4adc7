"""Evaluation of conditions in three-valued logic (Kleene): a condition is true, false or unknown, for whole columns.

A truth is a Boolean array with one value per row. Null means unknown: the facts decide neither way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from minimize.policy.condition import AllOf, AnyOf, Atom, Condition, FeatureOn, FieldEquals, LevelAtLeast, TimeWithin

ALWAYS: Final = AllOf(())
NEVER: Final = AnyOf(())


class Facts(Protocol):
    """The facts about some rows: how many there are, and for each kind of atom its truth per row."""

    def __len__(self) -> int:
        """The number of rows."""

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Whether the feature is on, or the level is set."""

    def equals(self, atom: FieldEquals) -> pa.BooleanArray:
        """Whether the field has one of the values."""

    def within(self, atom: TimeWithin) -> pa.BooleanArray:
        """Whether the field's time is within the age."""


def evaluate(condition: Condition, facts: Facts) -> pa.BooleanArray:
    """The truth of the condition, per row of the facts."""
    match condition:
        case AllOf(parts):
            truths = (evaluate(part, facts) for part in parts)
            return reduce(pc.and_kleene, truths) if parts else constant_truth(True, len(facts))
        case AnyOf(parts):
            truths = (evaluate(part, facts) for part in parts)
            return reduce(pc.or_kleene, truths) if parts else constant_truth(False, len(facts))
        case FieldEquals():
            return facts.equals(condition)
        case TimeWithin():
            return facts.within(condition)
        case _:
            return facts.setting(condition)


def surely(truth: pa.BooleanArray) -> pa.BooleanArray:
    """Whether the condition is true, independent of what is unknown."""
    return truth.fill_null(False) if truth.null_count else truth  # copies even without nulls: 15 % of the gate


def possibly(truth: pa.BooleanArray) -> pa.BooleanArray:
    """Whether the condition is true or unknown."""
    return truth.fill_null(True) if truth.null_count else truth


def constant_truth(value: bool | None, rows: int) -> pa.BooleanArray:
    """The same truth for each row; None for unknown."""
    return pa.repeat(pa.scalar(value, pa.bool_()), rows)


@dataclass(frozen=True, slots=True)
class RowFacts:
    """The facts about one row, as defined by `Facts`, from a function that gives the truth of an atom; None for unknown."""

    truth_of: Callable[[Atom], bool | None]

    def __len__(self) -> int:
        return 1

    def setting(self, atom: Atom) -> pa.BooleanArray:
        """The truth of the atom."""
        return constant_truth(self.truth_of(atom), 1)

    equals = within = setting

    def outcome(self, condition: Condition) -> bool | None:
        """The truth of a condition; None for unknown."""
        truth: bool | None = evaluate(condition, self)[0].as_py()
        return truth

    def simplify(self, condition: Condition) -> Condition:
        """The part of a condition that the facts leave open: `ALWAYS` or `NEVER` if they decide it.

        >>> facts = RowFacts(lambda atom: False if atom == FeatureOn("usage") else None)
        >>> facts.simplify(AnyOf((FeatureOn("usage"), FieldEquals("owner", ("corporate",)))))
        FieldEquals(field='owner', values=('corporate',))
        """
        truth = self.outcome(condition)
        if truth is not None:
            return ALWAYS if truth else NEVER
        if not isinstance(condition, AllOf | AnyOf):
            return condition
        left = [self.simplify(part) for part in condition.parts if self.outcome(part) is None]
        return left[0] if len(left) == 1 else type(condition)(tuple(left))
