"""Filters bound to column types: masks of matching rows, and row groups and files that statistics rule out.

Statistics rule out only what certainly cannot match. In doubt a row group is decoded.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import Pointer
from minimize.errors import ConfigurationError
from minimize.governance.access import TenantSet
from minimize.output.stored_file import StoredFile
from minimize.server.errors import column_error
from minimize.server.request import EQUAL, IN, NULL, ORDERED, FilterCondition, JsonScalar
from minimize.sources.parquet_footer import ParquetFooter
from minimize.techniques import type_family, value_type
from minimize.times import parse_time

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
class BoundCondition:
    """A condition with values of its column's type."""

    column: str
    operator: str
    values: pa.Array = field(repr=False)

    def mask(self, column: pa.Array) -> pa.BooleanArray:
        """Which values meet it; a null meets nothing but the wish for nulls. Of a dictionary each entry is looked at once."""
        if self.operator == NULL:
            return column.is_null() if not pa.types.is_dictionary(column.type) else dictionary_nulls(column)
        if pa.types.is_dictionary(column.type):
            return pc.fill_null(self.mask(column.dictionary).take(column.indices), False)
        if self.operator == IN:
            return pc.and_(pc.is_in(column, value_set=self.values), column.is_valid())
        return pc.fill_null(_COMPARE[self.operator](column, self.values[0]), False)

    def may_match_range(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Whether a value between these two, both included, can meet it."""
        if self.operator in (NULL, "!="):
            return True
        if self.operator in ("<", "<="):
            return _may_hold(_COMPARE[self.operator](low, self.values[0]))
        if self.operator in (">", ">="):
            return _may_hold(_COMPARE[self.operator](high, self.values[0]))
        between = pc.and_(pc.greater_equal(self.values, low), pc.less_equal(self.values, high))
        return bool(pc.any(between).as_py())


def dictionary_nulls(column: pa.DictionaryArray) -> pa.BooleanArray:
    """Where a dictionary-encoded column is null, by its index or by its entry."""
    return pc.fill_null(column.dictionary.is_null().take(column.indices), True)


def bind_condition(condition: FilterCondition, type_: pa.DataType) -> BoundCondition:
    """The condition with values of the type. Raises RefusedError (B004) where the column cannot be compared so."""
    kind = value_type(type_)
    word = type_family(kind)
    if word in (None, "list", "struct", "map"):
        raise column_error("a filter is on a column of single values")
    if condition.operator in ORDERED and word not in (*_NUMBERS, "string"):
        raise column_error("a filter asks for an order that the column does not have")
    if condition.operator == NULL:
        return BoundCondition(condition.column, NULL, pa.array([], kind))
    made = _value_array([_value_of_type(each, word) for each in condition.values], kind)
    if made is None:
        raise column_error("a filter compares a column with values of another type")
    return BoundCondition(condition.column, condition.operator, made)


def combine_masks(masks: Iterable[pa.BooleanArray]) -> pa.BooleanArray | None:
    """Which rows meet all; None where nothing is asked."""
    found = [*masks]
    return reduce(pc.and_, found) if found else None


def _value_of_type(value: JsonScalar, word: str | None) -> Any:
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
        return _parse_decimal(value) if not is_bool else None
    return _parse_text(value, word) if isinstance(value, str) else None


def _parse_text(text: str, word: str | None) -> Any:
    try:
        if word == "timestamp":
            return parse_time(text)
        return date.fromisoformat(text) if word == "date" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error, ConfigurationError):
        return None


def _parse_decimal(value: JsonScalar) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _value_array(values: list[Any], kind: pa.DataType) -> pa.Array | None:
    if None in values:
        return None
    try:
        if pa.types.is_timestamp(kind):
            return pa.array(values, pa.timestamp("us", "UTC")).cast(kind)
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return None


def _may_hold(scalar: pa.Scalar) -> bool:
    return scalar.as_py() is not False


def matching_row_groups(stored: StoredFile, rules: Sequence[BoundCondition]) -> list[int]:
    """The row groups that may hold a row which meets all conditions; these are on columns as they stand in the file."""
    footer = ParquetFooter(stored.file.metadata, stored.schema)
    known = [(rule, leaf) for rule in rules if (leaf := _leaf_index(footer, rule.column)) is not None]
    return [
        group for group in range(footer.groups) if all(_may_match(footer, group, leaf, rule) for rule, leaf in known)
    ]


def folder_matches(value: str | None, type_: pa.DataType, rules: Sequence[BoundCondition]) -> bool:
    """Whether the one value that a folder says for all of its rows meets the conditions on it."""
    made = pa.array([None if value is None else value], pa.string()).cast(type_)
    return all(rule.mask(made)[0].as_py() for rule in rules)


def date_matches(on: str | None, rules: Sequence[BoundCondition]) -> bool:
    """Whether a file of this batch date meets the conditions on it."""
    made = pa.array([None if on is None else date.fromisoformat(on)], pa.date32())
    return all(rule.mask(made)[0].as_py() for rule in rules)


def tenant_conditions(tenants: TenantSet, column: str) -> list[BoundCondition]:
    """The scope as a condition that statistics can settle; none where it is all but some."""
    if tenants.complement:
        return []
    return [BoundCondition(column, "in", pa.array(sorted(tenants.names), pa.string()))]


def _leaf_index(footer: ParquetFooter, column: str) -> int | None:
    return footer.flat_leaf(Pointer((column,))) if column in footer.schema.names else None


def _may_match(footer: ParquetFooter, group: int, leaf: int, rule: BoundCondition) -> bool:
    chunk = footer.metadata.row_group(group).column(leaf)
    if not chunk.is_stats_set or not chunk.statistics.has_min_max:
        return True
    ends = _value_range(chunk.statistics, rule.values.type)
    return ends is None or rule.may_match_range(*ends)


def _value_range(statistics: Any, type_: pa.DataType) -> tuple[pa.Scalar, pa.Scalar] | None:
    """The smallest and the largest value, in the column's type; None where they cannot be had in it."""
    try:
        low, high = pa.array([statistics.min, statistics.max]).cast(type_)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    return low, high
