"""View of a read: rows of the tenants in scope, each column through its role's view, filtered by what the caller sees.

Without a view a column is shown as it was released, and conditions on it are met first. With a view, conditions are
met on its result. Batches are scrubbed before they leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.scrub import scrub_columns
from minimize.governance.access import AccessDecision, TenantSet
from minimize.output.reader import DATE_COLUMN
from minimize.server.errors import column_error
from minimize.server.filter import BoundCondition, bind_condition, combine_masks
from minimize.server.request import FilterCondition
from minimize.server.snapshot import OutputSnapshot
from minimize.techniques import Context, Technique, UnsupportedType, treat
from minimize.techniques.cache import TechniqueCache

VIEW_METADATA: Final = "minimize:view"
DICTIONARY_TYPE: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class ReadView:
    """What one read sees of an output.

    shown    the columns that leave, in their order, `date` among them
    views    by column what its released values go through
    released_conditions   conditions on columns as they were released
    view_conditions    conditions on columns as they are seen, where that is another form
    date_conditions  conditions on the batch date
    tenants  whose rows, told by the column `tenant`
    dictionary_columns    columns that are read as dictionaries
    schema   of what leaves
    released the columns as the output has them
    """

    shown: tuple[str, ...]
    views: Mapping[str, tuple[Technique, ...]]
    released_conditions: tuple[BoundCondition, ...]
    view_conditions: tuple[BoundCondition, ...]
    date_conditions: tuple[BoundCondition, ...]
    tenants: TenantSet
    tenant: str | None
    dictionary_columns: frozenset[str]
    schema: pa.Schema
    released: pa.Schema
    decided_at: datetime
    memos: Mapping[str, TechniqueCache] = field(repr=False)

    @property
    def columns_to_read(self) -> frozenset[str]:
        """The columns that are decoded: what leaves, what rows are chosen by, and whose they are."""
        asked = (each.column for each in (*self.released_conditions, *self.view_conditions))
        scope = [] if self.tenants.is_all or self.tenant is None else [self.tenant]
        return frozenset((*self.shown, *asked, *scope)) - {DATE_COLUMN}

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """The rows of a batch that may be seen, as they may be seen; None where there are none."""
        rows = _filter_rows(batch, combine_masks(self._released_masks(batch)))
        if not rows.num_rows:
            return None
        named = {each.column for each in self.view_conditions}
        seen = {name: self._viewed_column(rows, name) for name in dict.fromkeys((*self.shown, *named))}
        mask = combine_masks(each.mask(seen[each.column]) for each in self.view_conditions)
        arrays = [seen[name] for name in self.shown]
        if mask is not None and mask.true_count < len(mask):
            arrays = [array.filter(mask) for array in arrays]
        return None if not len(arrays[0]) else self._output_batch(arrays)

    def empty_batch(self) -> pa.RecordBatch:
        """No rows."""
        return pa.RecordBatch.from_arrays([_empty_array(each.type) for each in self.schema], schema=self.schema)

    def _released_masks(self, batch: pa.RecordBatch) -> Sequence[pa.BooleanArray]:
        masks = [each.mask(self._released_column(batch, each.column)) for each in self.released_conditions]
        return (
            masks
            if self.tenants.is_all or self.tenant is None
            else [self._scope_mask(batch.column(self.tenant)), *masks]
        )

    def _scope_mask(self, column: pa.Array) -> pa.BooleanArray:
        """Rows of the tenants in scope. A row without a tenant is nobody's."""
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
        """A column as it was released; null where a file does not have it."""
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
    """What a read sees, by its decision.

    Takes the columns that were asked for (None: all that are open). Raises RefusedError (B004) for a condition on what is not
    open or cannot be compared so.
    """
    open_ = [*decision.columns, *([DATE_COLUMN] if facts.by_date else [])]
    shown = tuple(open_ if columns is None else columns)
    if not {*shown, *(each.column for each in where)} <= {*open_}:
        raise column_error("a column that is not there, or not open")
    views = {name: view for name, view in decision.views.items() if view}
    types = {
        name: pa.date32() if name == DATE_COLUMN else _viewed_type(facts, name, views.get(name, ())) for name in open_
    }
    rules = [bind_condition(each, types[each.column]) for each in where]
    coded = facts.dictionary_columns & frozenset(shown)
    return ReadView(
        shown,
        views,
        tuple(each for each in rules if each.column != DATE_COLUMN and each.column not in views),
        tuple(each for each in rules if each.column in views),
        tuple(each for each in rules if each.column == DATE_COLUMN),
        decision.tenants,
        facts.tenant,
        facts.dictionary_columns,
        pa.schema([_output_field(facts, name, types[name], name in coded, views.get(name, ())) for name in shown]),
        facts.schema,
        at,
        {name: TechniqueCache() for name in views},
    )


def _viewed_type(facts: OutputSnapshot, name: str, view: Sequence[Technique]) -> pa.DataType:
    """The type of a column as it is seen."""
    try:
        return reduce(lambda kind, step: step.output_type(kind), view, facts.schema.field(name).type)
    except UnsupportedType:
        pass
    raise column_error("a view that this column cannot have")


def _output_field(
    facts: OutputSnapshot, name: str, type_: pa.DataType, coded: bool, view: Sequence[Technique]
) -> pa.Field:
    """The field of a column that leaves: its metadata, and what its view does."""
    if name == DATE_COLUMN:
        return pa.field(DATE_COLUMN, type_)
    kind = DICTIONARY_TYPE if coded and pa.types.is_string(type_) else type_
    told = {VIEW_METADATA: ",".join(step.name for step in view)} if view else {}
    return pa.field(name, kind, metadata={**(facts.schema.field(name).metadata or {}), **told} or None)


def _filter_rows(rows: pa.RecordBatch, mask: pa.BooleanArray | None) -> pa.RecordBatch:
    return rows if mask is None or mask.true_count == len(mask) else rows.filter(mask)


def _cast_column(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """The column in the encoding that leaves."""
    if array.type == type_:
        return array
    if pa.types.is_dictionary(type_):
        return array.cast(type_) if pa.types.is_dictionary(array.type) else array.dictionary_encode().cast(type_)
    return array.cast(type_)


def _empty_array(type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        return pa.DictionaryArray.from_arrays(pa.array([], type_.index_type), pa.array([], type_.value_type))
    return pa.array([], type_)
