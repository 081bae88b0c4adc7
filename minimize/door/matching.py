"""Conditions bound to the type of a column: which rows meet them, and which row groups cannot hold any that do."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.door.refusing import no_column
from minimize.door.where import EQUAL, IN, NULL, ORDERED, Condition, Plain
from minimize.errors import ConfigurationError
from minimize.techniques import family, plain
from minimize.times import moment

_COMPARE: Final = {
    EQUAL: pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_NUMBERS: Final = ("integer", "double", "decimal", "timestamp", "date")
"""These have an order that a condition may ask for; texts, too."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition with values of its column's type."""

    column: str
    operator: str
    values: pa.Array = field(repr=False)

    def mask(self, column: pa.Array) -> pa.BooleanArray:
        """Which values meet it; a null meets nothing but the wish for nulls. Of a dictionary each entry is looked at once."""
        if self.operator == NULL:
            return column.is_null() if not pa.types.is_dictionary(column.type) else decoded_null(column)
        if pa.types.is_dictionary(column.type):
            return pc.fill_null(self.mask(column.dictionary).take(column.indices), False)
        if self.operator == IN:
            return pc.and_(pc.is_in(column, value_set=self.values), column.is_valid())
        return pc.fill_null(_COMPARE[self.operator](column, self.values[0]), False)

    def may_lie_in(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Whether a value between these two, both included, can meet it."""
        if self.operator in (NULL, "!="):
            return True
        if self.operator in ("<", "<="):
            return _holds(_COMPARE[self.operator](low, self.values[0]))
        if self.operator in (">", ">="):
            return _holds(_COMPARE[self.operator](high, self.values[0]))
        between = pc.and_(pc.greater_equal(self.values, low), pc.less_equal(self.values, high))
        return bool(pc.any(between).as_py())


def decoded_null(column: pa.DictionaryArray) -> pa.BooleanArray:
    """Where a dictionary-encoded column is null, by its index or by its entry."""
    return pc.fill_null(column.dictionary.is_null().take(column.indices), True)


def bound(condition: Condition, type_: pa.DataType) -> Bound:
    """The condition with values of the type. Raises RefusedError (B004) where the column cannot be compared so."""
    kind = plain(type_)
    word = family(kind)
    if word in (None, "list", "struct", "map"):
        raise no_column("a filter is on a column of single values")
    if condition.operator in ORDERED and word not in (*_NUMBERS, "string"):
        raise no_column("a filter asks for an order that the column does not have")
    if condition.operator == NULL:
        return Bound(condition.column, NULL, pa.array([], kind))
    made = _array([_value(each, word) for each in condition.values], kind)
    if made is None:
        raise no_column("a filter compares a column with values of another type")
    return Bound(condition.column, condition.operator, made)


def all_of(masks: Iterable[pa.BooleanArray]) -> pa.BooleanArray | None:
    """Which rows meet all; None where nothing is asked."""
    found = [*masks]
    return reduce(pc.and_, found) if found else None


def _value(value: Plain, word: str | None) -> Any:
    """A value of the column's family; None where it is of another."""
    is_text, is_bool = isinstance(value, str), isinstance(value, bool)
    if word == "string":
        return value if is_text else None
    if word == "boolean":
        return value if is_bool else None
    if word == "integer":
        return value if isinstance(value, int) and not is_bool else None
    if word == "double":
        return float(value) if isinstance(value, int | float) and not is_bool else None
    if word == "decimal":
        return _decimal(value) if not is_bool else None
    return _parsed(value, word) if isinstance(value, str) else None


def _parsed(text: str, word: str | None) -> Any:
    try:
        if word == "timestamp":
            return moment(text)
        return date.fromisoformat(text) if word == "date" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error, ConfigurationError):
        return None


def _decimal(value: Plain) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _array(values: list[Any], kind: pa.DataType) -> pa.Array | None:
    if None in values:
        return None
    try:
        if pa.types.is_timestamp(kind):
            return pa.array(values, pa.timestamp("us", "UTC")).cast(kind)
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return None


def _holds(scalar: pa.Scalar) -> bool:
    return scalar.as_py() is not False
