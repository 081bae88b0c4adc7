"""Nested types and arrays restricted to the fields that a policy declares.

A request becomes a tree of fields. The tree prunes a source's types to the declared parts, and arrays are narrowed
to the pruned types. A declared container (`list`, `struct`, `map`, for `presence` or `size`) without needed parts
keeps its shape, and its values are not read.

If a value was null or not declared, nothing of it remains in a buffer that is passed on under another type. `scrub`
ensures this before data is released.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import LIST_TESTS, arrow_type, storage_type
from minimize.sources.base import DeclaredField, SourceRequest

SHAPE_ONLY_MAP = pa.map_(pa.string(), pa.null())


@dataclass(slots=True)
class FieldNode:
    """One place in a record: the field declared there, if any, and the nodes declared below it.

    `mapped` means that a star below this node denotes a map's items, not a list's elements.
    """

    declared: DeclaredField | None = None
    mapped: bool = False
    children: dict[PointerPart, FieldNode] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """Whether a value at or below this node is read."""
        return (self.declared is not None and self.declared.needed) or any(
            child.is_read for child in self.children.values()
        )

    def child(self, part: PointerPart) -> FieldNode | None:
        """The node for this part: a name, or a star."""
        return self.children.get(part)


def field_tree(request: SourceRequest, maps: frozenset[Pointer] = frozenset()) -> FieldNode:
    """The declared fields as a tree, in the request's order. `maps` are additional containers known to be maps."""
    root = FieldNode()
    for declared in request.fields:
        node = root
        for depth, part in enumerate(declared.pointer.parts, 1):
            node = node.children.setdefault(part, FieldNode())
            node.mapped = node.mapped or Pointer(declared.pointer.parts[:depth]) in maps
        node.declared, node.mapped = declared, node.mapped or declared.type == "map"
    return root


def is_list_type(type_: pa.DataType) -> bool:
    """Whether a type is any kind of list."""
    return any(test(type_) for test in LIST_TESTS)


def nested_fields(type_: pa.DataType) -> Iterator[tuple[PointerPart, pa.Field]]:
    """The children of a nested type: a struct's fields by name, a list's elements or a map's items by a star."""
    kind = storage_type(type_)
    if pa.types.is_struct(kind):
        yield from ((kind.field(index).name, kind.field(index)) for index in range(kind.num_fields))
    elif is_list_type(kind):
        yield STAR, kind.value_field
    elif pa.types.is_map(kind):
        yield STAR, kind.item_field


def prune_type(type_: pa.DataType, node: FieldNode) -> pa.DataType:
    """The type of a needed node with its needed parts only. Parts that the source lacks get the policy's type."""
    kind = plain_array_type(type_)
    parts = {part: child for part, child in node.children.items() if child.is_read}
    if pa.types.is_null(kind):
        return declared_type(node)
    if not parts:
        return _shape_only_type(kind)
    have = {part: below.type for part, below in nested_fields(kind)}
    below = {part: prune_type(have.get(part, pa.null()), child) for part, child in parts.items()}
    if pa.types.is_struct(kind):
        order = [part for part in have if part in below] + [part for part in below if part not in have]
        return pa.struct([pa.field(str(part), below[part]) for part in order])
    return pa.map_(kind.key_type, below[STAR]) if pa.types.is_map(kind) else _list_type(kind, below[STAR])


def declared_type(node: FieldNode) -> pa.DataType:
    """The type of a needed node as declared by the policy, for sources without types.

    A container above a star is a list, unless it is a map.
    """
    parts = {part: child for part, child in node.children.items() if child.is_read}
    if not parts:
        return arrow_type(node.declared.type) if node.declared else pa.null()
    if STAR in parts:
        below = declared_type(parts[STAR])
        return pa.map_(pa.string(), below) if node.mapped else pa.list_(below)
    return pa.struct([pa.field(str(part), declared_type(child)) for part, child in parts.items()])


def prune_schema(schema: pa.Schema, root: FieldNode) -> pa.Schema:
    """The needed columns of a schema, in its order, followed by the optional ones that it lacks."""
    have: Mapping[str, pa.DataType] = {column.name: column.type for column in schema}
    names = [name for name in have if (node := root.children.get(name)) is not None and node.is_read]
    names += [str(part) for part, node in root.children.items() if node.is_read and part not in have]
    return pa.schema([(name, prune_type(have.get(name, pa.null()), root.children[name])) for name in names])


def plain_array_type(type_: pa.DataType) -> pa.DataType:
    """The type that a source returns: views, run ends and extensions become plain arrays, which every kernel supports."""
    if pa.types.is_dictionary(type_):
        return pa.dictionary(type_.index_type, plain_array_type(type_.value_type))
    kind = storage_type(type_)
    for test, instead in ((pa.types.is_string_view, pa.string()), (pa.types.is_binary_view, pa.binary())):
        if test(kind):
            return instead
    return kind


def _list_type(kind: pa.DataType, value: pa.DataType) -> pa.DataType:
    large = pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind)
    return pa.large_list(value) if large else pa.list_(value)


def _shape_only_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([])
    if pa.types.is_map(kind):
        return SHAPE_ONLY_MAP
    return _list_type(kind, pa.null()) if is_list_type(kind) else kind


def project_columns(records: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of this schema. A column that the records lack is null."""
    have = {name: index for index, name in enumerate(records.schema.names)}
    columns = [
        narrow_array(records.column(have[column.name]), column.type)
        if column.name in have
        else pa.nulls(records.num_rows, column.type)
        for column in schema
    ]
    return pa.record_batch(columns, schema=schema) if columns else batch_without_columns(records.num_rows)


def narrow_array(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """The values in a narrower type: fewer struct children, a wider number, a plain array for a view."""
    if values.type.equals(type_):
        return values
    values = storage_array(values)
    if pa.types.is_null(values.type) or pa.types.is_null(type_):
        return pa.nulls(len(values), type_)
    if pa.types.is_struct(type_):
        return _narrow_struct(values, type_)
    if pa.types.is_map(type_):
        return _narrow_map(values, type_)
    return _narrow_list(values, type_) if is_list_type(type_) else _narrow_leaf(values, type_)


def storage_array(values: pa.Array) -> pa.Array:
    """The storage of an extension type or a run-end encoding."""
    if isinstance(values, pa.ExtensionArray):
        return storage_array(values.storage)
    return pc.run_end_decode(values) if pa.types.is_run_end_encoded(values.type) else values


def list_elements(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The elements of a list or the items of a map in order, without null containers, and each container's length."""
    listed = _as_list(storage_array(values))
    return pc.list_flatten(listed), pc.fill_null(pc.list_value_length(listed), 0)


def _as_list(values: pa.Array) -> pa.Array:
    if not pa.types.is_map(values.type):
        return values
    pair = pa.struct([pa.field("key", values.type.key_type, nullable=False), pa.field("value", values.type.item_type)])
    return values.cast(pa.list_(pair))


def _narrow_leaf(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(type_):
        encoded = (
            values if pa.types.is_dictionary(values.type) else values.cast(storage_type(type_)).dictionary_encode()
        )
        words = encoded.dictionary.cast(type_.value_type)
        return pa.DictionaryArray.from_arrays(encoded.indices.cast(type_.index_type), words)
    if pa.types.is_dictionary(values.type):
        return values.dictionary.cast(type_).take(values.indices)
    return values.cast(type_, safe=not pa.types.is_timestamp(type_))


def _narrow_struct(values: pa.StructArray, type_: pa.StructType) -> pa.Array:
    if type_.num_fields == 0:
        return pa.StructArray.from_buffers(type_, len(values), [_validity_buffer(values)], children=[])
    children = [_narrow_child(values, type_.field(index)) for index in range(type_.num_fields)]
    return pa.StructArray.from_arrays(children, fields=list(type_), mask=values.is_null())


def _narrow_child(values: pa.StructArray, field: pa.Field) -> pa.Array:
    index = values.type.get_field_index(field.name)
    return pa.nulls(len(values), field.type) if index < 0 else narrow_array(values.field(index), field.type)


def _narrow_list(values: pa.Array, type_: pa.DataType) -> pa.Array:
    inner, lengths = list_elements(values)
    array = pa.LargeListArray if pa.types.is_large_list(type_) else pa.ListArray
    width = pa.int64() if pa.types.is_large_list(type_) else pa.int32()
    return array.from_arrays(
        list_offsets(lengths, width), narrow_array(inner, type_.value_type), type_, mask=values.is_null()
    )


def _narrow_map(values: pa.Array, type_: pa.MapType) -> pa.Array:
    inner, lengths = list_elements(values)
    keys, items = inner.field(0), inner.field(1) if inner.type.num_fields > 1 else pa.nulls(len(inner))
    if pa.types.is_null(type_.item_type):
        keys = pa.repeat(pa.scalar("", type_.key_type), len(inner))
    ends = list_offsets(lengths, pa.int32())
    narrowed = pa.MapArray.from_arrays(
        ends, narrow_array(keys, type_.key_type), narrow_array(items, type_.item_type), type_
    )
    return narrowed if values.null_count == 0 else _map_with_nulls(narrowed, values)


def _map_with_nulls(map_array: pa.MapArray, values: pa.Array) -> pa.Array:
    entries = pa.StructArray.from_arrays(
        [map_array.keys, map_array.items], fields=[map_array.type.key_field, map_array.type.item_field]
    )
    return pa.Array.from_buffers(
        map_array.type, len(map_array), [_validity_buffer(values), map_array.buffers()[1]], children=[entries]
    )


def list_offsets(lengths: pa.Array, width: pa.DataType) -> pa.Array:
    """The offsets of consecutive lists of these lengths."""
    ends = pc.cumulative_sum(lengths.cast(pa.int64()))
    return pa.concat_arrays([pa.array([0], pa.int64()), ends]).cast(width)


def _validity_buffer(values: pa.Array) -> pa.Buffer | None:
    return None if values.null_count == 0 else _bitmap(values.is_valid())


def _bitmap(flags: pa.BooleanArray) -> pa.Buffer:
    return pa.concat_arrays([flags]).buffers()[1] if flags.offset == 0 else pc.invert(pc.invert(flags)).buffers()[1]


def batch_without_columns(rows: int) -> pa.RecordBatch:
    """A batch of this many rows without columns."""
    return pa.RecordBatch.from_struct_array(pa.StructArray.from_buffers(pa.struct([]), rows, [None], children=[]))


def table_as_batch(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch."""
    if table.num_columns == 0:
        return batch_without_columns(table.num_rows)
    columns = [_combined_column(column) for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, names=table.schema.names)


def _combined_column(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
