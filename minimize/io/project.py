"""Arrays brought to a pruned type: the declared parts of what a source decoded, and nothing beside them.

Where a value was null or not declared nothing of it stays in a buffer that is handed on under another type; `scrub` is what
makes sure of it before anything leaves.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.shape import listy
from minimize.io.types import plain


def project(records: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of this schema; a column that the records lack is all null."""
    have = {name: index for index, name in enumerate(records.schema.names)}
    columns = [
        narrow(records.column(have[column.name]), column.type)
        if column.name in have
        else pa.nulls(records.num_rows, column.type)
        for column in schema
    ]
    return pa.record_batch(columns, schema=schema) if columns else rows_only(records.num_rows)


def narrow(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """The values as a narrower type: fewer struct children, a wider number, a plain array for a view."""
    if values.type.equals(type_):
        return values
    values = undressed(values)
    if pa.types.is_null(values.type) or pa.types.is_null(type_):
        return pa.nulls(len(values), type_)
    if pa.types.is_struct(type_):
        return _struct(values, type_)
    if pa.types.is_map(type_):
        return _map(values, type_)
    return _list(values, type_) if listy(type_) else _leaf(values, type_)


def undressed(values: pa.Array) -> pa.Array:
    """The values behind an extension type or a run-end encoding."""
    if isinstance(values, pa.ExtensionArray):
        return undressed(values.storage)
    return pc.run_end_decode(values) if pa.types.is_run_end_encoded(values.type) else values


def elements(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The elements of a list or the items of a map in order, null containers skipped, and each container's length."""
    listed = _as_list(undressed(values))
    return pc.list_flatten(listed), pc.fill_null(pc.list_value_length(listed), 0)


def _as_list(values: pa.Array) -> pa.Array:
    if not pa.types.is_map(values.type):
        return values
    pair = pa.struct([pa.field("key", values.type.key_type, nullable=False), pa.field("value", values.type.item_type)])
    return values.cast(pa.list_(pair))


def _leaf(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        encoded = values if pa.types.is_dictionary(values.type) else values.cast(plain(type_)).dictionary_encode()
        words = encoded.dictionary.cast(type_.value_type)
        return pa.DictionaryArray.from_arrays(encoded.indices.cast(type_.index_type), words)
    if pa.types.is_dictionary(values.type):
        return values.dictionary.cast(type_).take(values.indices)
    return values.cast(type_, safe=not pa.types.is_timestamp(type_))


def _struct(values: pa.StructArray, type_: pa.StructType) -> pa.Array:
    if type_.num_fields == 0:
        return pa.StructArray.from_buffers(type_, len(values), [_validity(values)], children=[])
    children = [_child(values, type_.field(index)) for index in range(type_.num_fields)]
    return pa.StructArray.from_arrays(children, fields=list(type_), mask=values.is_null())


def _child(values: pa.StructArray, wanted: pa.Field) -> pa.Array:
    index = values.type.get_field_index(wanted.name)
    return pa.nulls(len(values), wanted.type) if index < 0 else narrow(values.field(index), wanted.type)


def _list(values: pa.Array, type_: pa.DataType) -> pa.Array:
    inner, lengths = elements(values)
    array = pa.LargeListArray if pa.types.is_large_list(type_) else pa.ListArray
    width = pa.int64() if pa.types.is_large_list(type_) else pa.int32()
    return array.from_arrays(offsets(lengths, width), narrow(inner, type_.value_type), type_, mask=values.is_null())


def _map(values: pa.Array, type_: pa.MapType) -> pa.Array:
    inner, lengths = elements(values)
    keys, items = inner.field(0), inner.field(1) if inner.type.num_fields > 1 else pa.nulls(len(inner))
    if pa.types.is_null(type_.item_type):
        keys = pa.repeat(pa.scalar("", type_.key_type), len(inner))
    ends = offsets(lengths, pa.int32())
    held = pa.MapArray.from_arrays(ends, narrow(keys, type_.key_type), narrow(items, type_.item_type), type_)
    return held if values.null_count == 0 else _with_nulls(held, values)


def _with_nulls(held: pa.MapArray, values: pa.Array) -> pa.Array:
    entries = pa.StructArray.from_arrays([held.keys, held.items], fields=[held.type.key_field, held.type.item_field])
    return pa.Array.from_buffers(held.type, len(held), [_validity(values), held.buffers()[1]], children=[entries])


def offsets(lengths: pa.Array, width: pa.DataType) -> pa.Array:
    """The offsets of lists that have these lengths and stand one after the other."""
    ends = pc.cumulative_sum(lengths.cast(pa.int64()))
    return pa.concat_arrays([pa.array([0], pa.int64()), ends]).cast(width)


def _validity(values: pa.Array) -> pa.Buffer | None:
    return None if values.null_count == 0 else _bits(values.is_valid())


def _bits(flags: pa.BooleanArray) -> pa.Buffer:
    return pa.concat_arrays([flags]).buffers()[1] if flags.offset == 0 else pc.invert(pc.invert(flags)).buffers()[1]


def rows_only(rows: int) -> pa.RecordBatch:
    """A batch of so many rows and no columns."""
    return pa.RecordBatch.from_struct_array(pa.StructArray.from_buffers(pa.struct([]), rows, [None], children=[]))


def whole(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch."""
    if table.num_columns == 0:
        return rows_only(table.num_rows)
    columns = [_joined(column) for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, names=table.schema.names)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
