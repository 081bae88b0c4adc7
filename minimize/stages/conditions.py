"""Conditions over columns: where one holds, where it could hold, where it must.

A condition is evaluated at a place, once per value that stands there. What is true of a record is true of each of its
elements; what is asked of an element that the place does not see (it is evaluated at the list) is taken as true where we
ask what could hold, and as false where we ask what must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.nested import Leaf, spread
from minimize.pointer import Pointer
from minimize.policy.condition import All, AnyOf, Condition, Equals, Feature, Level, Scalar, Within
from minimize.settings.columns import moments
from minimize.techniques import family, plain
from minimize.techniques.distinct import decoded

Mode = Literal["is", "could", "must"]


class Facts(Protocol):
    """What conditions read of one batch."""

    def leaf(self, place: Pointer) -> Leaf:
        """The raw values at a place; a record's own place has one value per record."""
        ...

    def setting(self, atom: Feature | Level) -> pa.BooleanArray:
        """Per record: whether the feature or level is set, without nulls."""
        ...

    def opens(self, key: str, place: Pointer, mode: Mode) -> pa.BooleanArray:
        """Whether the gate of a field is open, at a place."""
        ...


def holds(condition: Condition, facts: Facts, place: Pointer) -> pa.BooleanArray:
    """Where the condition holds: one truth per value at the place, without nulls. Null never matches."""
    return truth(condition, facts, place, "is")


def could_hold(condition: Condition, facts: Facts, place: Pointer) -> pa.BooleanArray:
    """Per list at the place: whether the condition could hold for an element of it, whatever the element says."""
    return truth(condition, facts, place, "could")


def must_hold(condition: Condition, facts: Facts, place: Pointer) -> pa.BooleanArray:
    """Per list at the place: whether the condition holds for every element that it could have."""
    return truth(condition, facts, place, "must")


def truth(condition: Condition, facts: Facts, place: Pointer, mode: Mode) -> pa.BooleanArray:
    """The condition in one of the three modes."""
    match condition:
        case All(of):
            return _fold(pc.and_, True, (truth(part, facts, place, mode) for part in of), facts, place)
        case AnyOf(of):
            return _fold(pc.or_, False, (truth(part, facts, place, mode) for part in of), facts, place)
        case Equals(key, values):
            return _equals(key, values, facts, place, mode)
        case Within():
            return _within(condition, facts, place, mode)
        case _:
            return spread(facts.setting(condition), Leaf(pa.nulls(0)), facts.leaf(place))


def everywhere(value: bool, facts: Facts, place: Pointer) -> pa.BooleanArray:
    """The same truth for each value at a place."""
    return pa.repeat(pa.scalar(value), len(facts.leaf(place).values))


def _fold(
    join: Callable[[pa.Array, pa.Array], pa.BooleanArray],
    empty: bool,
    parts: Iterable[pa.BooleanArray],
    facts: Facts,
    place: Pointer,
) -> pa.BooleanArray:
    found: pa.BooleanArray | None = None
    for part in parts:
        found = part if found is None else join(found, part)
    return everywhere(empty, facts, place) if found is None else found


def _equals(key: str, values: tuple[Scalar, ...], facts: Facts, place: Pointer, mode: Mode) -> pa.BooleanArray:
    pointer = Pointer.parse(key)
    unseen = len(pointer.stars) > len(place.stars)
    opens = facts.opens(key, place, mode)
    if unseen:
        return opens if mode == "could" else everywhere(False, facts, place)
    own = facts.leaf(pointer)
    return pc.and_(spread(matches(own.values, values), own, facts.leaf(place)), opens)


def _within(condition: Within, facts: Facts, place: Pointer, mode: Mode) -> pa.BooleanArray:
    """Where a time is less than so long before another. Both are compared to the microsecond."""
    keys = (condition.field, condition.of)
    pointers = [Pointer.parse(key) for key in keys]
    opens = pc.and_(*(facts.opens(key, place, mode) for key in keys))
    if any(len(pointer.stars) > len(place.stars) for pointer in pointers):
        return opens if mode == "could" else everywhere(False, facts, place)
    below = facts.leaf(place)
    field, of = (spread(decoded(own.values), own, below) for own in map(facts.leaf, pointers))
    return pc.and_(younger(field, of, condition.age), opens)


def younger(times: pa.Array, others: pa.Array, age: timedelta) -> pa.BooleanArray:
    """Where a time is less than this long before the other one; never for a null, or for what is no time.

    >>> day = pa.array([datetime(2026, 11, 24), datetime(2026, 11, 25), None])
    >>> younger(day, pa.array([datetime(2026, 11, 26)] * 3), timedelta(days=2)).to_pylist()
    [False, True, False]
    """
    if not all(family(plain(each.type)) in ("timestamp", "date") for each in (times, others)):
        return pa.repeat(pa.scalar(False), len(times))
    last, first = moments(others), moments(times)
    since = (last - first).view(np.uint64)  # two times may lie further apart than a signed integer reaches
    found = (first > last) | (since < np.uint64(age // timedelta(microseconds=1)))
    return pc.and_(pa.array(found), pc.and_(times.is_valid(), others.is_valid()))


def matches(array: pa.Array, values: Iterable[Scalar]) -> pa.BooleanArray:
    """Where the array has one of these values, compared by the array's type; never for a null.

    >>> matches(pa.array([1, 2, None]), (2.0, "1")).to_pylist()
    [False, True, False]
    """
    if pa.types.is_dictionary(array.type):
        return matches(array.dictionary, values).take(array.indices).fill_null(False)
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    wanted = [found for value in values if (found := _typed(value, array.type)) is not None]
    if not wanted:
        return pa.repeat(pa.scalar(False), len(array))
    return pc.is_in(array, value_set=pa.concat_arrays(wanted), skip_nulls=True)


def _typed(value: Scalar, type_: pa.DataType) -> pa.Array | None:
    """A policy's value as an array of one value of this type; None where no value of the type equals it."""
    try:
        native = _native(value, type_)
        return None if native is None else pa.array([native], _parsed(type_)).cast(type_)
    except (ValueError, OverflowError, TypeError, InvalidOperation, pa.ArrowException):
        return None


def _native(value: Scalar, type_: pa.DataType) -> object:
    match family(plain(type_)):
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
            return _instant(value)
        case "date":
            return date.fromisoformat(value) if isinstance(value, str) else None
        case _:
            return None


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _instant(value: Scalar) -> datetime | None:
    """An ISO 8601 time; without an offset it is UTC."""
    if not isinstance(value, str):
        return None
    read = datetime.fromisoformat(value)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _parsed(type_: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", type_.tz) if pa.types.is_timestamp(type_) else type_
