"""Leaves of nested Arrow columns: extract them as flat arrays, repeat values for them, assemble them again.

The order of a leaf's values is the order of a depth-first walk without null lists, so that leaves below the same list are
aligned. Lists and maps contribute one step to `parents` each; structs contribute none.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.arrow.hashing import null_mask
from minimize.arrow.pointers import KEYS, STAR, Pointer, PointerPart

_PROCESS_SECRET: Final = secrets.token_bytes(32)
"""Orders the values of maps if there is no keyring."""
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf's values and, for each star of its pointer (outermost first), the slot above that each element belongs to."""

    values: pa.Array
    parents: tuple[Indices, ...] = ()


def leaf_type(schema: pa.Schema, pointer: Pointer) -> pa.DataType:
    """The type at the pointer (plain or dictionary-encoded). Raises KeyError if the schema has no such path.

    >>> schema = pa.schema([("apps", pa.list_(pa.struct([("name", pa.string())])))])
    >>> leaf_type(schema, Pointer.parse("/apps/*/name"))
    DataType(string)
    """
    index = schema.get_field_index(pointer.top)
    type_: pa.DataType | None = None if index < 0 else schema.field(index).type
    keyed = _key_value_lists_above(schema, pointer)
    for depth, part in enumerate(pointer.parts[1:], 1):
        type_ = _child_type(type_, part, keyed=pointer.parts[:depth] in keyed)
    if type_ is None:
        raise KeyError(str(pointer))
    return type_


def has_leaf(schema: pa.Schema, pointer: Pointer) -> bool:
    """Whether the schema has such a path."""
    try:
        leaf_type(schema, pointer)
    except KeyError:
        return False
    return True


def leaf(records: pa.RecordBatch, pointer: Pointer) -> Leaf:
    """The values at the pointer. A value below a null struct or list is null or absent.

    A plain column is returned unchanged and not copied. A pointer without parts has one null per record. Raises KeyError if the
    records have no such path.
    """
    if not pointer.parts:
        return Leaf(pa.nulls(records.num_rows))
    index = records.schema.get_field_index(pointer.top)
    if pointer.is_flat and index >= 0:
        return Leaf(records.column(index))
    leaf_type(records.schema, pointer)
    values = records.column(index)
    parents: list[Indices] = []
    keyed = _key_value_lists_above(records.schema, pointer)
    for depth, part in enumerate(pointer.parts[1:], 1):
        if isinstance(part, str):
            values = _struct_child(values, part)
        else:
            parents.append(_list_indices(values))
            values = _elements(values, part, keyed=pointer.parts[:depth] in keyed)
    return Leaf(values, tuple(parents))


def leaf_values(records: pa.RecordBatch, pointer: Pointer) -> pa.Array:
    """The values of `leaf`."""
    index = records.schema.get_field_index(pointer.parts[0]) if len(pointer.parts) == 1 else -1
    return leaf(records, pointer).values if index < 0 else records.column(index)


def repeat_for_leaf(values: pa.Array, above: Leaf, below: Leaf) -> pa.Array:
    """Values with one per value of `above`, repeated for each value of `below`, whose stars begin with those of `above`."""
    if len(above.parents) == len(below.parents):
        return values
    return values.take(pa.array(_outermost_lists(below.parents[len(above.parents) :])))


def row_indices(below: Leaf, rows: int) -> Indices:
    """The record index of each value of a leaf."""
    return _outermost_lists(below.parents) if below.parents else np.arange(rows, dtype=np.int64)


def pruned_schema(schema: pa.Schema, leaves: Mapping[Pointer, pa.DataType]) -> pa.Schema:
    """The schema that `assemble` fills: these leaves in this order, in the containers of the source.

    A list of fixed size becomes a list, because gating removes elements. Containers that the source lacks become structs.

    >>> schema = pa.schema([("a", pa.struct([("b", pa.int32()), ("c", pa.int32())]))])
    >>> pruned_schema(schema, {Pointer.parse("/a/c"): pa.string()})
    a: struct<c: string>
      child 0, c: string
    """
    type_ = _pruned_type(pa.struct(list(schema)), {pointer.parts: type_ for pointer, type_ in leaves.items()})
    return pa.schema(list(type_.fields))


def assemble(
    records: pa.RecordBatch,
    released: Mapping[Pointer, pa.Array],
    closed: Mapping[Pointer, pa.BooleanArray],
    gated_lists: Mapping[Pointer, pa.BooleanArray],
    schema: pa.Schema,
    secret: bytes = b"",
) -> pa.RecordBatch:
    """The released leaves as nested columns of this schema, in the shape of the source, without other leaves.

    An element that has a closed leaf and no other content is removed. A list is null if gating removed all its elements, or if it
    is empty and `gated_lists` (by the list's pointer, ending in a star) is true. A struct without a non-null leaf is null. So
    gated and absent values look alike.

    A map whose keys are released in another form becomes a list of {key, value}. A map whose keys are not released becomes a list
    of its values. Both are ordered by a hash of the original keys, keyed with `secret` (by default, random bytes of this
    process). The metadata of the schema's fields marks the lists of {key, value}. Without released keys a map keeps those of the
    source.

    Takes a schema made by `pruned_schema`. The columns have the types that were released: a dictionary-encoded leaf stays so.
    Plain columns are not copied. Raises KeyError if the schema contains a leaf that was not released.
    """
    keyed = frozenset(parts for field in schema for parts in key_value_lists(field))
    shape = _Assembler(records, released, closed, gated_lists, keyed, secret or _PROCESS_SECRET)
    columns = [shape.build(field.type, Pointer((field.name,)), records.num_rows).values for field in schema]
    fields = [field.with_type(column.type) for field, column in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=schema.metadata))


@dataclass(frozen=True, slots=True)
class _BuiltColumn:
    """A built array and a mask of the slots in which a gate closed something (None for no slot)."""

    values: pa.Array
    touched: Bools | None = None


@dataclass(frozen=True, slots=True)
class _Assembler:
    """Assembles the columns from the outermost container inwards."""

    records: pa.RecordBatch
    released: Mapping[Pointer, pa.Array]
    closed: Mapping[Pointer, pa.BooleanArray]
    gated_lists: Mapping[Pointer, pa.BooleanArray]
    keyed: frozenset[tuple[PointerPart, ...]]
    secret: bytes = field(repr=False)

    def build(self, type_: pa.DataType, pointer: Pointer, slots: int) -> _BuiltColumn:
        if pointer in self.released:
            return _BuiltColumn(self.released[pointer], _as_bools(self.closed.get(pointer)))
        if pa.types.is_struct(type_):
            return self._build_struct(type_, pointer, slots)
        if _is_list(type_):
            return self._build_list(type_, pointer)
        raise KeyError(str(pointer))

    def _build_struct(self, type_: pa.StructType, pointer: Pointer, slots: int) -> _BuiltColumn:
        children = [self.build(field.type, Pointer((*pointer.parts, field.name)), slots) for field in type_.fields]
        fields = [
            field.with_type(child.values.type).with_nullable(True)
            for field, child in zip(type_.fields, children, strict=True)
        ]
        bare = np.logical_and.reduce([null_mask(child.values) for child in children])
        values = pa.StructArray.from_arrays(
            [child.values for child in children], fields=fields, mask=_null_mask_array(bare)
        )
        return _BuiltColumn(values, _any_mask(child.touched for child in children))

    def _build_list(self, type_: pa.DataType, pointer: Pointer) -> _BuiltColumn:
        source = leaf(self.records, pointer).values
        below = Pointer((*pointer.parts, STAR))
        slots = _list_indices(source)
        keyed = pointer.parts in self.keyed
        item = type_.value_type.field("value").type if keyed else _item_type(type_)
        inner = self.build(item, below, slots.size)
        keys = self._keys(pointer) if keyed or pa.types.is_map(type_) else None
        if pa.types.is_map(source.type) and not pa.types.is_map(type_):
            order = pa.array(_hashed_key_order(self._source_keys(pointer), slots, self.secret))
            touched = None if inner.touched is None else inner.touched[order]
            inner, keys = _BuiltColumn(inner.values.take(order), touched), None if keys is None else keys.take(order)
        kept = _remaining_elements(inner)
        counts = np.bincount(slots if kept is None else slots[kept], minlength=len(source))
        gated = _as_bools(self.gated_lists.get(below))
        null = null_mask(source)
        if kept is not None:
            null = null | ((counts == 0) & (np.bincount(slots, minlength=len(source)) > 0))
        if gated is not None:
            null = null | (gated & (counts == 0))
        elements = pa.StructArray.from_arrays([keys, inner.values], ["key", "value"]) if keyed else inner.values
        named = keys if pa.types.is_map(type_) else None
        touched = None if inner.touched is None else np.bincount(slots[inner.touched], minlength=len(source)) > 0
        return _BuiltColumn(
            _list_array(type_, counts, _filtered(named, kept), _filtered(elements, kept), null),
            _any_mask((touched, gated)),
        )

    def _keys(self, pointer: Pointer) -> pa.Array:
        """The released keys of a map."""
        released = self.released.get(pointer.keys)
        return self._source_keys(pointer) if released is None else released

    def _source_keys(self, pointer: Pointer) -> pa.Array:
        return leaf(self.records, pointer.keys).values


def key_value_lists(field: pa.Field) -> frozenset[tuple[PointerPart, ...]]:
    """The paths of a column that are lists of {key, value} instead of maps, from its metadata."""
    prefix = b"minimize:technique/"
    places = (
        name[len(prefix) - 1 :]
        for name, how in (field.metadata or {}).items()
        if name.startswith(prefix) and how != b"keep"
    )
    pointers = (Pointer.parse(place.decode()) for place in places)
    return frozenset(pointer.parts[:-1] for pointer in pointers if pointer.is_keys)


def _key_value_lists_above(schema: pa.Schema, pointer: Pointer) -> frozenset[tuple[PointerPart, ...]]:
    return (
        frozenset()
        if pointer.is_flat
        else key_value_lists(schema.field(pointer.top))
        if pointer.top in schema.names
        else frozenset()
    )


def _hashed_key_order(keys: pa.Array, slots: Indices, secret: bytes) -> Indices:
    """The elements of each map, ordered by a keyed hash of their keys."""
    encoded = keys.dictionary_encode()
    texts = (value if isinstance(value, bytes) else str(value).encode() for value in encoded.dictionary.to_pylist())
    hashes = (hashlib.blake2b(text, digest_size=8, key=secret[:64], person=b"map keys").digest() for text in texts)
    ranks = np.frombuffer(b"".join(hashes), np.uint64)
    order: Indices = np.lexsort((ranks[encoded.indices.to_numpy(zero_copy_only=False)], slots))
    return order


def _child_type(type_: pa.DataType | None, part: PointerPart, *, keyed: bool = False) -> pa.DataType | None:
    """The type one part further down; None if there is no such part. `keyed` marks a list of {key, value}."""
    if type_ is None or isinstance(part, str) == _is_list(type_):
        return None
    if keyed and not pa.types.is_map(type_):
        return type_.value_type.field("value" if part is STAR else "key").type
    if part is KEYS:
        return type_.key_type if pa.types.is_map(type_) else None
    if part is STAR:
        return _item_type(type_)
    if not pa.types.is_struct(type_):
        return None
    index = type_.get_field_index(str(part))
    return None if index < 0 else type_.field(index).type


def _is_list(type_: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)
    views = (pa.types.is_list_view, pa.types.is_large_list_view)
    return any(test(type_) for test in (*tests, *views))


def _item_type(type_: pa.DataType) -> pa.DataType:
    return type_.item_type if pa.types.is_map(type_) else type_.value_type


def _list_indices(values: pa.Array) -> Indices:
    """The index of the list of each element."""
    counts = pc.list_value_length(_as_lists(values)).fill_null(0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(values), dtype=np.int64), counts)


def _elements(values: pa.Array, part: PointerPart, *, keyed: bool) -> pa.Array:
    """The elements of all lists, or the values or keys of all maps. `keyed` marks a list of {key, value}."""
    if pa.types.is_map(values.type):
        return _struct_child(_entries(values), "key" if part is KEYS else "value")
    return _struct_child(values.flatten(), "key" if part is KEYS else "value") if keyed else values.flatten()


def _entries(values: pa.MapArray) -> pa.StructArray:
    return _as_lists(values).flatten()


def _as_lists(values: pa.Array) -> pa.Array:
    """Maps as lists of key and value (with the same buffers); lists unchanged."""
    if not pa.types.is_map(values.type):
        return values
    key = pa.field("key", values.type.key_type, nullable=False)
    return values.cast(pa.list_(pa.struct([key, pa.field("value", values.type.item_type)])))


def _struct_child(values: pa.StructArray, name: str) -> pa.Array:
    """A child of a struct, null if the struct is null. Not copied if no struct is null."""
    index = values.type.get_field_index(name)
    return values.field(index) if values.null_count == 0 else pc.struct_field(values, [index])


def _outermost_lists(parents: tuple[Indices, ...]) -> Indices:
    """The outermost slots of the innermost elements."""
    slots = parents[-1]
    for above in reversed(parents[:-1]):
        slots = above[slots]
    return slots


def _pruned_type(source: pa.DataType | None, leaves: Mapping[tuple[PointerPart, ...], pa.DataType]) -> pa.DataType:
    if () in leaves:
        return leaves[()]
    groups: dict[PointerPart, dict[tuple[PointerPart, ...], pa.DataType]] = {}
    for parts, type_ in leaves.items():
        groups.setdefault(parts[0], {})[parts[1:]] = type_
    if STAR in groups:
        return _list_type(source, _pruned_type(_child_type(source, STAR), groups[STAR]))
    return pa.struct(
        [pa.field(str(part), _pruned_type(_child_type(source, part), group)) for part, group in groups.items()]
    )


def _list_type(source: pa.DataType | None, item: pa.DataType) -> pa.DataType:
    if source is not None and pa.types.is_map(source):
        return pa.map_(source.key_type, item)
    if source is not None and (pa.types.is_large_list(source) or pa.types.is_large_list_view(source)):
        return pa.large_list(item)
    return pa.list_(item)


def _list_array(type_: pa.DataType, counts: Indices, keys: pa.Array | None, values: pa.Array, null: Bools) -> pa.Array:
    """Lists of these lengths. Null lists are empty, so that they hide no value."""
    wide = pa.types.is_large_list(type_)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64 if wide else np.int32)
    if keys is not None:
        return pa.MapArray.from_arrays(pa.array(ends), keys, values, mask=_null_mask_array(null))
    kind: Any = pa.LargeListArray if wide else pa.ListArray
    return kind.from_arrays(pa.array(ends), values, mask=_null_mask_array(null))


def _remaining_elements(inner: _BuiltColumn) -> Bools | None:
    """The elements that are kept: all except those with something closed and nothing left. None for all."""
    if inner.touched is None:
        return None
    gone = inner.touched & null_mask(inner.values)
    return ~gone if gone.any() else None


def _filtered(values: pa.Array | None, mask: Bools | None) -> pa.Array | None:
    return values if values is None or mask is None else values.filter(pa.array(mask))


def _null_mask_array(null: Bools) -> pa.BooleanArray | None:
    return pa.array(null) if null.any() else None


def _as_bools(mask: pa.BooleanArray | None) -> Bools | None:
    if mask is None:
        return None
    bools: Bools = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return bools


def _any_mask(masks: Iterator[Bools | None] | tuple[Bools | None, ...]) -> Bools | None:
    """Mask that is true where any of the masks is true; None if all are None."""
    present_masks = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(present_masks) if present_masks else None


__all__ = [
    "Leaf",
    "assemble",
    "has_leaf",
    "key_value_lists",
    "leaf",
    "leaf_type",
    "pruned_schema",
    "repeat_for_leaf",
    "row_indices",
]
