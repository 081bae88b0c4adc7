"""A batch as somebody sees it: rows in scope, each column through its view, rows chosen by what comes out of it, and scrubbed.

What is filtered on is the form that is shown. Where a column has no view that is the released one, and then conditions are met
before anything else is done; where it has one, they are met behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from minimize.door.facts import Facts
from minimize.door.matching import Bound, all_of, bound
from minimize.door.refusing import no_column
from minimize.door.where import Condition
from minimize.governance.access import Decision, Tenants
from minimize.io.published import DATE
from minimize.scrub import scrubbed
from minimize.techniques import Context, Technique, TypeRefused, treat
from minimize.techniques.memo import Memo

VIEW: Final = "minimize:view"
CODED: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Shape:
    """What one read sees of an output.

    shown    the columns that leave, in their order, `date` among them
    views    by column what its released values go through
    before   conditions on columns as they were released
    after    conditions on columns as they are seen, where that is another form
    on_date  conditions on the batch date
    tenants  whose rows, told by the column `tenant`
    coded    columns that are read as dictionaries
    schema   of what leaves
    released the columns as the output has them
    """

    shown: tuple[str, ...]
    views: Mapping[str, tuple[Technique, ...]]
    before: tuple[Bound, ...]
    after: tuple[Bound, ...]
    on_date: tuple[Bound, ...]
    tenants: Tenants
    tenant: str | None
    coded: frozenset[str]
    schema: pa.Schema
    released: pa.Schema
    at: datetime
    memos: Mapping[str, Memo] = field(repr=False)

    @property
    def read(self) -> frozenset[str]:
        """The columns that are decoded: what leaves, what rows are chosen by, and whose they are."""
        asked = (each.column for each in (*self.before, *self.after))
        scope = [] if self.tenants.is_all or self.tenant is None else [self.tenant]
        return frozenset((*self.shown, *asked, *scope)) - {DATE}

    def batch(self, given: pa.RecordBatch) -> pa.RecordBatch | None:
        """The rows of a batch that may be seen, as they may be seen; None where there are none."""
        rows = _kept(given, all_of(self._before(given)))
        if not rows.num_rows:
            return None
        named = {each.column for each in self.after}
        seen = {name: self._seen(rows, name) for name in dict.fromkeys((*self.shown, *named))}
        mask = all_of(each.mask(seen[each.column]) for each in self.after)
        arrays = [seen[name] for name in self.shown]
        if mask is not None and mask.true_count < len(mask):
            arrays = [array.filter(mask) for array in arrays]
        return None if not len(arrays[0]) else self._leaving(arrays)

    def empty(self) -> pa.RecordBatch:
        """No rows."""
        return pa.RecordBatch.from_arrays([_nothing(each.type) for each in self.schema], schema=self.schema)

    def _before(self, given: pa.RecordBatch) -> Sequence[pa.BooleanArray]:
        masks = [each.mask(self._released(given, each.column)) for each in self.before]
        return masks if self.tenants.is_all or self.tenant is None else [self._scope(given.column(self.tenant)), *masks]

    def _scope(self, column: pa.Array) -> pa.BooleanArray:
        """Rows of the tenants in scope. A row without a tenant is nobody's."""
        if pa.types.is_dictionary(column.type):
            return pc.fill_null(self._scope(column.dictionary).take(column.indices), False)
        named = pc.is_in(column.cast(pa.string()), value_set=pa.array(sorted(self.tenants.names), pa.string()))
        return pc.and_(pc.invert(named) if self.tenants.but else named, column.is_valid())

    def _seen(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        """A column in the form that is shown."""
        values = self._released(rows, name)
        context = Context(name, self.at, memo=self.memos.get(name))
        for step in self.views.get(name, ()):
            values = treat(step, values, context).values
        return values

    def _released(self, rows: pa.RecordBatch, name: str) -> pa.Array:
        """A column as it was released; null where a file does not have it."""
        if name in rows.schema.names:
            return rows.column(name)
        return pa.nulls(rows.num_rows, pa.date32() if name == DATE else self.released.field(name).type)

    def _leaving(self, arrays: Sequence[pa.Array]) -> pa.RecordBatch:
        fitted = [_fitted(array, each.type) for array, each in zip(arrays, self.schema, strict=True)]
        return scrubbed(fitted, self.schema.names, self.schema)


def shape(
    facts: Facts, decision: Decision, columns: Sequence[str] | None, where: Sequence[Condition], at: datetime
) -> Shape:
    """What a read sees, by its decision.

    Takes the columns that were asked for (None: all that are open). Raises RefusedError (B004) for a condition on what is not
    open or cannot be compared so.
    """
    open_ = [*decision.columns, *([DATE] if facts.by_date else [])]
    shown = tuple(open_ if columns is None else columns)
    if not {*shown, *(each.column for each in where)} <= {*open_}:
        raise no_column("a column that is not there, or not open")
    views = {name: view for name, view in decision.views.items() if view}
    types = {name: pa.date32() if name == DATE else _type(facts, name, views.get(name, ())) for name in open_}
    rules = [bound(each, types[each.column]) for each in where]
    coded = facts.coded & frozenset(shown)
    return Shape(
        shown,
        views,
        tuple(each for each in rules if each.column != DATE and each.column not in views),
        tuple(each for each in rules if each.column in views),
        tuple(each for each in rules if each.column == DATE),
        decision.tenants,
        facts.tenant,
        facts.coded,
        pa.schema([_leaves(facts, name, types[name], name in coded, views.get(name, ())) for name in shown]),
        facts.schema,
        at,
        {name: Memo() for name in views},
    )


def _type(facts: Facts, name: str, view: Sequence[Technique]) -> pa.DataType:
    """The type of a column as it is seen."""
    try:
        return reduce(lambda kind, step: step.gives(kind), view, facts.schema.field(name).type)
    except TypeRefused:
        pass
    raise no_column("a view that this column cannot have")


def _leaves(facts: Facts, name: str, type_: pa.DataType, coded: bool, view: Sequence[Technique]) -> pa.Field:
    """The field of a column that leaves: its metadata, and what its view does."""
    if name == DATE:
        return pa.field(DATE, type_)
    kind = CODED if coded and pa.types.is_string(type_) else type_
    told = {VIEW: ",".join(step.name for step in view)} if view else {}
    return pa.field(name, kind, metadata={**(facts.schema.field(name).metadata or {}), **told} or None)


def _kept(rows: pa.RecordBatch, mask: pa.BooleanArray | None) -> pa.RecordBatch:
    return rows if mask is None or mask.true_count == len(mask) else rows.filter(mask)


def _fitted(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """The column in the encoding that leaves."""
    if array.type == type_:
        return array
    if pa.types.is_dictionary(type_):
        return array.cast(type_) if pa.types.is_dictionary(array.type) else array.dictionary_encode().cast(type_)
    return array.cast(type_)


def _nothing(type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        return pa.DictionaryArray.from_arrays(pa.array([], type_.index_type), pa.array([], type_.value_type))
    return pa.array([], type_)
