"""View of a read: filters bound to column types, files they rule out, and columns as the caller may see them.

Masks select the rows of the tenants in scope. A filter applies to what the caller sees.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.access import AccessDecision, TenantSet
from minimize.arrow.dictionaries import value_type
from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub_columns
from minimize.datasets.reader import DATE_COLUMN
from minimize.errors import ConfigurationError
from minimize.output.stored_file import StoredFile, date_scalar
from minimize.server.request import EQUAL, IN, NULL, ORDERED, FilterCondition, JsonScalar, column_error
from minimize.server.snapshot import OutputSnapshot
from minimize.sources.parquet import ParquetFooter
from minimize.techniques import Context, Technique, UnsupportedType, treat, type_family
from minimize.techniques.cache import TechniqueCache
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
"""Types with an order, which conditions may use. Text has one too."""


@dataclass(frozen=True, slots=True)
class BoundCondition:
    """A condition with values of its column's type."""

    column: str
    operator: str
    values: pa.Array = field(repr=False)

    def mask(self, column: pa.Array) -> pa.BooleanArray:
        """Which values meet the condition. A null meets `null` only. Each entry of a dictionary is checked once."""
        if self.operator == NULL:
            return column.is_null() if not pa.types.is_dictionary(column.type) else dictionary_nulls(column)
        if pa.types.is_dictionary(column.type):
            return pc.fill_null(self.mask(column.dictionary).take(column.indices), False)
        if self.operator == IN:
            return pc.and_(pc.is_in(column, value_set=self.values), column.is_valid())
        return pc.fill_null(_COMPARE[self.operator](column, self.values[0]), False)

    def may_match_range(self, low: pa.Scalar, high: pa.Scalar) -> bool:
        """Whether a value between these two, both included, can meet the condition."""
        if self.operator in (NULL, "!="):
            return True
        if self.operator in ("<", "<="):
            return _may_hold(_COMPARE[self.operator](low, self.values[0]))
        if self.operator in (">", ">="):
            return _may_hold(_COMPARE[self.operator](high, self.values[0]))
        between = pc.and_(pc.greater_equal(self.values, low), pc.less_equal(self.values, high))
        return bool(pc.any(between).as_py())


def dictionary_nulls(column: pa.DictionaryArray) -> pa.BooleanArray:
    """Mask of the nulls of a dictionary-encoded column: null index or null entry."""
    return pc.fill_null(column.dictionary.is_null().take(column.indices), True)


def bind_condition(condition: FilterCondition, type_: pa.DataType) -> BoundCondition:
    """The condition with values of the type. Raises RefusedError (B004) if the column cannot be compared in this way."""
    kind = value_type(type_)
    word = type_family(kind)
    if word in (None, "list", "struct", "map"):
        raise column_error("a filter must use a column of single values")
    if condition.operator in ORDERED and word not in (*_NUMBERS, "string"):
        raise column_error("a filter compares by order, but the column has no order")
    if condition.operator == NULL:
        return BoundCondition(condition.column, NULL, pa.array([], kind))
    values = _value_array([_value_of_type(each, word) for each in condition.values], kind)
    if values is None:
        raise column_error("a filter compares a column with values of another type")
    return BoundCondition(condition.column, condition.operator, values)


def combine_masks(masks: Iterable[pa.BooleanArray]) -> pa.BooleanArray | None:
    """The rows that meet all masks; None without masks."""
    all_masks = [*masks]
    return reduce(pc.and_, all_masks) if all_masks else None


def _value_of_type(value: JsonScalar, word: str | None) -> Any:
    """A value of the type family of the column; None if it has another type."""
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
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


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
    """The row groups that may hold a row which meets all conditions; the conditions are on columns as published."""
    footer = ParquetFooter(stored.file.metadata, stored.schema)
    known = [(rule, leaf) for rule in rules if (leaf := _leaf_index(footer, rule.column)) is not None]
    return [
        group for group in range(footer.groups) if all(_may_match(footer, group, leaf, rule) for rule, leaf in known)
    ]


def folder_matches(value: str | None, type_: pa.DataType, rules: Sequence[BoundCondition]) -> bool:
    """Whether the value of a partition folder, which holds for all of its rows, meets the conditions."""
    values = pa.array([None if value is None else value], pa.string()).cast(type_)
    return all(rule.mask(values)[0].as_py() for rule in rules)


def date_matches(on: str | None, rules: Sequence[BoundCondition]) -> bool:
    """Whether this batch date meets the conditions."""
    dates = pa.repeat(date_scalar(on), 1)
    return all(rule.mask(dates)[0].as_py() for rule in rules)


def tenant_conditions(tenants: TenantSet, column: str) -> list[BoundCondition]:
    """The tenants in scope as a condition on statistics; none if the scope excludes tenants."""
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
    """The smallest and largest value in the type of the column; None if they cannot be converted."""
    try:
        low, high = pa.array([statistics.min, statistics.max]).cast(type_)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None
    return low, high


VIEW_METADATA: Final = "minimize:view"
DICTIONARY_TYPE: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class ReadView:
    """The view of one read: columns, forms, conditions and tenants."""

    shown: tuple[str, ...]
    """The columns to send, in their order, including `date`."""
    views: Mapping[str, tuple[Technique, ...]]
    """The techniques that are applied to released values, by column."""
    released_conditions: tuple[BoundCondition, ...]
    """Conditions on columns as published."""
    view_conditions: tuple[BoundCondition, ...]
    """Conditions on columns in the form that the caller sees, if that is different."""
    date_conditions: tuple[BoundCondition, ...]
    """Conditions on the batch date."""
    tenants: TenantSet
    """The tenants in scope, compared with the column `tenant`."""
    tenant: str | None
    dictionary_columns: frozenset[str]
    """Columns that are read as dictionaries."""
    schema: pa.Schema
    """The schema of the batches to send."""
    released: pa.Schema
    """The columns as published."""
    decided_at: datetime
    memos: Mapping[str, TechniqueCache] = field(repr=False)

    @property
    def columns_to_read(self) -> frozenset[str]:
        """The columns to decode: those to send, those of conditions, and the tenant."""
        compared = (each.column for each in (*self.released_conditions, *self.view_conditions))
        scope = [] if self.tenants.is_all or self.tenant is None else [self.tenant]
        return frozenset((*self.shown, *compared, *scope)) - {DATE_COLUMN}

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """The rows of a batch that the caller may see, in the permitted form; None if there are none."""
        rows = _filter_rows(batch, combine_masks(self._released_masks(batch)))
        if not rows.num_rows:
            return None
        named = {each.column for each in self.view_conditions}
        column_by_name = {name: self._viewed_column(rows, name) for name in dict.fromkeys((*self.shown, *named))}
        mask = combine_masks(each.mask(column_by_name[each.column]) for each in self.view_conditions)
        arrays = [column_by_name[name] for name in self.shown]
        if mask is not None and mask.true_count < len(mask):
            arrays = [array.filter(mask) for array in arrays]
        return None if not len(arrays[0]) else self._output_batch(arrays)

    def empty_batch(self) -> pa.RecordBatch:
        """A batch without rows."""
        return pa.RecordBatch.from_arrays([_empty_array(each.type) for each in self.schema], schema=self.schema)

    def _released_masks(self, batch: pa.RecordBatch) -> Sequence[pa.BooleanArray]:
        masks = [each.mask(self._released_column(batch, each.column)) for each in self.released_conditions]
        return (
            masks
            if self.tenants.is_all or self.tenant is None
            else [self._scope_mask(batch.column(self.tenant)), *masks]
        )

    def _scope_mask(self, column: pa.Array) -> pa.BooleanArray:
        """Rows of the tenants in scope. A row without a tenant is never in scope."""
        if pa.types.is_dictionary(column.type):
            return pc.fill_null(self._scope_mask(column.dictionary).take(column.indices), False)
        named = pc.is_in(column.cast(pa.string()), value_set=pa.array(sorted(self.tenants.names), pa.string()))
        return pc.and_(pc.invert(named) if self.tenants.complement else named, column.is_valid())

    def _viewed_column(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        """A column in the form that is shown."""
        values = self._released_column(rows, name)
        context = Context(name, self.decided_at, cache=self.memos.get(name))
        for step in self.views.get(name, ()):
            values = treat(step, values, context).values
        return values

    def _released_column(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        """A column as published; null if a file lacks it."""
        if name in rows.schema.names:
            return rows.column(name)
        return pa.nulls(rows.num_rows, pa.date32() if name == DATE_COLUMN else self.released.field(name).type)

    def _output_batch(self, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
        fitted = [_cast_column(array, each.type) for array, each in zip(arrays, self.schema, strict=True)]
        return scrub_columns(fitted, self.schema.names, self.schema)


def bind_view(
    facts: OutputSnapshot,
    decision: AccessDecision,
    columns: Sequence[str] | None,
    where: Sequence[FilterCondition],
    at: datetime,
) -> ReadView:
    """The view of a read by its decision.

    Takes the requested columns (None: all accessible ones). Raises RefusedError (B004) for a condition on a column that is not
    accessible or cannot be compared in this way.
    """
    open_ = [*decision.columns, *([DATE_COLUMN] if facts.by_date else [])]
    shown = tuple(open_ if columns is None else columns)
    if not {*shown, *(each.column for each in where)} <= {*open_}:
        raise column_error("a column does not exist or is not accessible to you")
    views = {name: view for name, view in decision.views.items() if view}
    types = {
        name: pa.date32() if name == DATE_COLUMN else _viewed_type(facts, name, views.get(name, ())) for name in open_
    }
    rules = [bind_condition(each, types[each.column]) for each in where]
    coded = facts.dictionary_columns & frozenset(shown)
    return ReadView(
        shown=shown,
        views=views,
        released_conditions=tuple(each for each in rules if each.column != DATE_COLUMN and each.column not in views),
        view_conditions=tuple(each for each in rules if each.column in views),
        date_conditions=tuple(each for each in rules if each.column == DATE_COLUMN),
        tenants=decision.tenants,
        tenant=facts.tenant,
        dictionary_columns=facts.dictionary_columns,
        schema=pa.schema(
            [_output_field(facts, name, types[name], name in coded, views.get(name, ())) for name in shown]
        ),
        released=facts.schema,
        decided_at=at,
        memos={name: TechniqueCache() for name in views},
    )


def _viewed_type(facts: OutputSnapshot, name: str, view: Sequence[Technique]) -> pa.DataType:
    """The type of a column in the view."""
    try:
        return reduce(lambda kind, step: step.output_type(kind), view, facts.schema.field(name).type)
    except UnsupportedType:
        pass
    raise column_error("the view cannot be applied to the type of this column")


def _output_field(
    facts: OutputSnapshot, name: str, type_: pa.DataType, coded: bool, view: Sequence[Technique]
) -> pa.Field:
    """The field of a column to send, with its metadata and the techniques of its view."""
    if name == DATE_COLUMN:
        return pa.field(DATE_COLUMN, type_)
    kind = DICTIONARY_TYPE if coded and pa.types.is_string(type_) else type_
    applied = {VIEW_METADATA: ",".join(step.name for step in view)} if view else {}
    return pa.field(name, kind, metadata={**(facts.schema.field(name).metadata or {}), **applied} or None)


def _filter_rows(rows: pa.RecordBatch, mask: pa.BooleanArray | None) -> pa.RecordBatch:
    return rows if mask is None or mask.true_count == len(mask) else rows.filter(mask)


def _cast_column(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """The column in the encoding to send."""
    if array.type == type_:
        return array
    if pa.types.is_dictionary(type_):
        return array.cast(type_) if pa.types.is_dictionary(array.type) else array.dictionary_encode().cast(type_)
    return array.cast(type_)


def _empty_array(type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        return pa.DictionaryArray.from_arrays(pa.array([], type_.index_type), pa.array([], type_.value_type))
    return pa.array([], type_)
