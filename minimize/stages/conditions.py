"""Conditions over columns: where one holds, where it could hold, where it must.

A condition is evaluated at a place, once per value of that place. What is true of a record is true of each of its elements.
If a condition reads an element that the place does not see (it is evaluated at the list), the answer is true for what could
hold, and false for what must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import decode_dictionary
from minimize.arrow.nested import Leaf, repeat_for_leaf
from minimize.arrow.pointers import Pointer
from minimize.policy.condition import (
    AllOf,
    AnyOf,
    Condition,
    ConditionValue,
    FeatureOn,
    FieldEquals,
    LevelAtLeast,
    TimeWithin,
)
from minimize.settings.columns import column_microseconds
from minimize.techniques import type_family, value_type

TruthMode = Literal["is", "could", "must"]


class ConditionFacts(Protocol):
    """What conditions read of one batch."""

    def leaf(self, place: Pointer) -> Leaf:
        """The raw values at a place; a record's own place has one value per record."""
        ...

    def setting(self, atom: FeatureOn | LevelAtLeast) -> pa.BooleanArray:
        """Per record: whether the feature or level is set, without nulls."""
        ...

    def opens(self, key: str, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
        """Whether the gate of a field is open, at a place."""
        ...


def holds(condition: Condition, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """Where the condition holds: one truth per value at the place, without nulls. Null never matches."""
    return evaluate(condition, facts, place, "is")


def could_hold(condition: Condition, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """Per list at the place: whether the condition could hold for an element of it, whatever the element says."""
    return evaluate(condition, facts, place, "could")


def must_hold(condition: Condition, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """Per list at the place: whether the condition holds for every element that it could have."""
    return evaluate(condition, facts, place, "must")


def evaluate(condition: Condition, facts: ConditionFacts, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
    """The condition in one of the three modes."""
    match condition:
        case AllOf(of):
            return _combine_truths(pc.and_, True, (evaluate(part, facts, place, mode) for part in of), facts, place)
        case AnyOf(of):
            return _combine_truths(pc.or_, False, (evaluate(part, facts, place, mode) for part in of), facts, place)
        case FieldEquals(key, values):
            return _evaluate_equals(key, values, facts, place, mode)
        case TimeWithin():
            return _evaluate_within(condition, facts, place, mode)
        case _:
            return repeat_for_leaf(facts.setting(condition), Leaf(pa.nulls(0)), facts.leaf(place))


def constant_truth(value: bool, facts: ConditionFacts, place: Pointer) -> pa.BooleanArray:
    """The same truth for each value at a place."""
    return pa.repeat(pa.scalar(value), len(facts.leaf(place).values))


def _combine_truths(
    join: Callable[[pa.Array, pa.Array], pa.BooleanArray],
    empty: bool,
    parts: Iterable[pa.BooleanArray],
    facts: ConditionFacts,
    place: Pointer,
) -> pa.BooleanArray:
    found: pa.BooleanArray | None = None
    for part in parts:
        found = part if found is None else join(found, part)
    return constant_truth(empty, facts, place) if found is None else found


def _evaluate_equals(
    key: str, values: tuple[ConditionValue, ...], facts: ConditionFacts, place: Pointer, mode: TruthMode
) -> pa.BooleanArray:
    pointer = Pointer.parse(key)
    unseen = len(pointer.stars) > len(place.stars)
    opens = facts.opens(key, place, mode)
    if unseen:
        return opens if mode == "could" else constant_truth(False, facts, place)
    own = facts.leaf(pointer)
    return pc.and_(repeat_for_leaf(match_values(own.values, values), own, facts.leaf(place)), opens)


def _evaluate_within(condition: TimeWithin, facts: ConditionFacts, place: Pointer, mode: TruthMode) -> pa.BooleanArray:
    """Where a time is less than so long before another. Both are compared to the microsecond."""
    keys = (condition.field, condition.reference)
    pointers = [Pointer.parse(key) for key in keys]
    opens = pc.and_(*(facts.opens(key, place, mode) for key in keys))
    if any(len(pointer.stars) > len(place.stars) for pointer in pointers):
        return opens if mode == "could" else constant_truth(False, facts, place)
    below = facts.leaf(place)
    field, of = (repeat_for_leaf(decode_dictionary(own.values), own, below) for own in map(facts.leaf, pointers))
    return pc.and_(is_younger(field, of, condition.age), opens)


def is_younger(times: pa.Array, others: pa.Array, age: timedelta) -> pa.BooleanArray:
    """Where a time is less than this long before the other one; never for a null, or for what is no time.

    >>> day = pa.array([datetime(2026, 11, 24), datetime(2026, 11, 25), None])
    >>> is_younger(day, pa.array([datetime(2026, 11, 26)] * 3), timedelta(days=2)).to_pylist()
    [False, True, False]
    """
    if not all(type_family(value_type(each.type)) in ("timestamp", "date") for each in (times, others)):
        return pa.repeat(pa.scalar(False), len(times))
    last, first = column_microseconds(others), column_microseconds(times)
    since = (last - first).view(np.uint64)  # two times may lie further apart than a signed integer reaches
    found = (first > last) | (since < np.uint64(age // timedelta(microseconds=1)))
    return pc.and_(pa.array(found), pc.and_(times.is_valid(), others.is_valid()))


def match_values(array: pa.Array, values: Iterable[ConditionValue]) -> pa.BooleanArray:
    """Where the array has one of these values, compared by the array's type; never for a null.

    >>> match_values(pa.array([1, 2, None]), (2.0, "1")).to_pylist()
    [False, True, False]
    """
    if pa.types.is_dictionary(array.type):
        return match_values(array.dictionary, values).take(array.indices).fill_null(False)
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    wanted = [found for value in values if (found := _typed_value(value, array.type)) is not None]
    if not wanted:
        return pa.repeat(pa.scalar(False), len(array))
    return pc.is_in(array, value_set=pa.concat_arrays(wanted), skip_nulls=True)


def _typed_value(value: ConditionValue, type_: pa.DataType) -> pa.Array | None:
    """A policy's value as an array of one value of this type; None where no value of the type equals it."""
    try:
        native = _native_value(value, type_)
        return None if native is None else pa.array([native], _parse_type(type_)).cast(type_)
    except (ValueError, OverflowError, TypeError, InvalidOperation, pa.ArrowException):
        return None


def _native_value(value: ConditionValue, type_: pa.DataType) -> object:
    match type_family(value_type(type_)):
        case "boolean":
            return value if isinstance(value, bool) else None
        case "string":
            return value if isinstance(value, str) else None
        case "integer":
            return int(value) if _is_number(value) and value == int(value) else None
        case "double":
            return float(value) if _is_number(value) and value == value else None
        case "decimal":
            return Decimal(str(value)) if _is_number(value) else None
        case "timestamp":
            return _parse_instant(value)
        case "date":
            return date.fromisoformat(value) if isinstance(value, str) else None
        case _:
            return None


def _is_number(value: ConditionValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse_instant(value: ConditionValue) -> datetime | None:
    """An ISO 8601 time; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    read = datetime.fromisoformat(value)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _parse_type(type_: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", type_.tz) if pa.types.is_timestamp(type_) else type_
