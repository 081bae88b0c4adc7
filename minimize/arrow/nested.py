"""Leaves of nested Arrow columns: take them out as flat arrays, repeat values down to them, assemble them again.

The order of a leaf's values is the order of a depth-first walk, null lists skipped, so that leaves under the same list are
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
from minimize.arrow.pointers import KEYS, STAR, Pointer, PointerPart

_PROCESS_SECRET: Final = secrets.token_bytes(32)
"""Orders the values of maps where there is no keyring."""
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf's values, and for each star of its pointer (outermost first) the slot above that each element belongs to."""

    values: pa.Array
    parents: tuple[Indices, ...] = ()


def leaf_type(schema: pa.Schema, pointer: Pointer) -> pa.DataType:
    """The type that the pointer names (plain or dictionary-encoded). Raises KeyError where the schema has no such path.

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
    """The values that the pointer names. A value below a null struct or list is null or not there.

    A plain column is given as it is, without a copy. Raises KeyError where the records have no such path.
    """
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


def repeat_for_leaf(values: pa.Array, above: Leaf, below: Leaf) -> pa.Array:
    """Values that stand one per value of `above`, repeated for each value of `below`, whose stars begin with those of `above`."""
    if len(above.parents) == len(below.parents):
        return values
    return values.take(pa.array(_outermost_lists(below.parents[len(above.parents) :])))


def row_indices(below: Leaf, rows: int) -> Indices:
    """For each value of a leaf the index of its record."""
    return _outermost_lists(below.parents) if below.parents else np.arange(rows, dtype=np.int64)


def pruned_schema(schema: pa.Schema, leaves: Mapping[Pointer, pa.DataType]) -> pa.Schema:
    """The schema that `assemble` fills: these leaves, in this order, in containers of the kind that the source has.

    A list of fixed size becomes a list, because gating takes elements out; what the source does not have is a struct.

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
    """The released leaves as nested columns of this schema, in the shape of the source, kept leaves only.

    An element in which a leaf is closed and nothing is left is removed; a list from which gating took everything is null; an
    empty list where `gated_lists` (by the list's pointer, ending in a star) is true is null; a struct without a non-null leaf
    is null, so that gated and absent look alike.

    A map whose keys leave in another form is a list of {key, value}, one whose keys do not leave a list of its values. Either
    is ordered by a hash of the keys as they came in, keyed with `secret` (without one with bytes of this process alone). The
    metadata of the schema's fields says which lists are {key, value}. Without released keys a map keeps those of the source.

    Takes a schema as `pruned_schema` gives it. Gives columns of the types that were released: a leaf that is dictionary-encoded
    stays so. Plain columns are not copied. Raises KeyError where the schema names a leaf that was not released.
    """
    keyed = frozenset(parts for field in schema for parts in key_value_lists(field))
    shape = _Assembler(records, released, closed, gated_lists, keyed, secret or _PROCESS_SECRET)
    columns = [shape.build(field.type, Pointer((field.name,)), records.num_rows).values for field in schema]
    fields = [field.with_type(column.type) for field, column in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=schema.metadata))


@dataclass(frozen=True, slots=True)
class _BuiltColumn:
    """A built array, and where a gate closed something in it (None for nowhere)."""

    values: pa.Array
    touched: Bools | None = None


@dataclass(frozen=True, slots=True)
class _Assembler:
    """What `assemble` puts together, from the outermost container inwards."""

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
        bare = np.logical_and.reduce([_null_mask(child.values) for child in children])
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
        hollow = _as_bools(self.gated_lists.get(below))
        null = _null_mask(source)
        if kept is not None:
            null = null | ((counts == 0) & (np.bincount(slots, minlength=len(source)) > 0))
        if hollow is not None:
            null = null | (hollow & (counts == 0))
        elements = pa.StructArray.from_arrays([keys, inner.values], ["key", "value"]) if keyed else inner.values
        named = keys if pa.types.is_map(type_) else None
        touched = None if inner.touched is None else np.bincount(slots[inner.touched], minlength=len(source)) > 0
        return _BuiltColumn(
            _list_array(type_, counts, _filtered(named, kept), _filtered(elements, kept), null),
            _any_mask((touched, hollow)),
        )

    def _keys(self, pointer: Pointer) -> pa.Array:
        """The keys of a map as they leave."""
        released = self.released.get(pointer.keys)
        return self._source_keys(pointer) if released is None else released

    def _source_keys(self, pointer: Pointer) -> pa.Array:
        return leaf(self.records, pointer.keys).values


def key_value_lists(field: pa.Field) -> frozenset[tuple[PointerPart, ...]]:
    """Where a column has lists of {key, value} in place of maps, as its metadata says."""
    prefix = b"minimize:technique/"
    places = (
        name[len(prefix) - 1 :]
        for name, how in (field.metadata or {}).items()
        if name.startswith(prefix) and how != b"keep"
    )
    found = (Pointer.parse(place.decode()) for place in places)
    return frozenset(pointer.parts[:-1] for pointer in found if pointer.is_keys)


def _key_value_lists_above(schema: pa.Schema, pointer: Pointer) -> frozenset[tuple[PointerPart, ...]]:
    return (
        frozenset()
        if pointer.is_flat
        else key_value_lists(schema.field(pointer.top))
        if pointer.top in schema.names
        else frozenset()
    )


def _hashed_key_order(keys: pa.Array, slots: Indices, secret: bytes) -> Indices:
    """The elements of each map in the order of a keyed hash of their keys."""
    encoded = keys.dictionary_encode()
    texts = (value if isinstance(value, bytes) else str(value).encode() for value in encoded.dictionary.to_pylist())
    hashes = (hashlib.blake2b(text, digest_size=8, key=secret[:64], person=b"map keys").digest() for text in texts)
    ranks = np.frombuffer(b"".join(hashes), np.uint64)
    order: Indices = np.lexsort((ranks[encoded.indices.to_numpy(zero_copy_only=False)], slots))
    return order


def _child_type(type_: pa.DataType | None, part: PointerPart, *, keyed: bool = False) -> pa.DataType | None:
    """The type one part further down; None where there is no such part. `keyed` says that a list is of {key, value}."""
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
    """For each element the index of its list."""
    counts = pc.list_value_length(_as_lists(values)).fill_null(0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(values), dtype=np.int64), counts)


def _elements(values: pa.Array, part: PointerPart, *, keyed: bool) -> pa.Array:
    """The elements of all lists, or the values or keys of all maps; `keyed` says that a list is of {key, value}."""
    if pa.types.is_map(values.type):
        return _struct_child(_entries(values), "key" if part is KEYS else "value")
    return _struct_child(values.flatten(), "key" if part is KEYS else "value") if keyed else values.flatten()


def _entries(values: pa.MapArray) -> pa.StructArray:
    return _as_lists(values).flatten()


def _as_lists(values: pa.Array) -> pa.Array:
    """Maps as lists of key and value (their buffers are the same); lists as they are."""
    if not pa.types.is_map(values.type):
        return values
    key = pa.field("key", values.type.key_type, nullable=False)
    return values.cast(pa.list_(pa.struct([key, pa.field("value", values.type.item_type)])))


def _struct_child(values: pa.StructArray, name: str) -> pa.Array:
    """A child of a struct, null where the struct is; not copied where no struct is null."""
    index = values.type.get_field_index(name)
    return values.field(index) if values.null_count == 0 else pc.struct_field(values, [index])


def _outermost_lists(parents: tuple[Indices, ...]) -> Indices:
    """The innermost elements' slots at the outermost level."""
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
    """Lists of these lengths. The null ones are empty, so that no value hides behind them."""
    wide = pa.types.is_large_list(type_)
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64 if wide else np.int32)
    if keys is not None:
        return pa.MapArray.from_arrays(pa.array(ends), keys, values, mask=_null_mask_array(null))
    kind: Any = pa.LargeListArray if wide else pa.ListArray
    return kind.from_arrays(pa.array(ends), values, mask=_null_mask_array(null))


def _remaining_elements(inner: _BuiltColumn) -> Bools | None:
    """The elements that stay: all but those in which a gate closed something and nothing is left. None for all."""
    if inner.touched is None:
        return None
    gone = inner.touched & _null_mask(inner.values)
    return ~gone if gone.any() else None


def _filtered(values: pa.Array | None, mask: Bools | None) -> pa.Array | None:
    return values if values is None or mask is None else values.filter(pa.array(mask))


def _null_mask(values: pa.Array) -> Bools:
    found: Bools = values.is_null().to_numpy(zero_copy_only=False)
    return found


def _null_mask_array(null: Bools) -> pa.BooleanArray | None:
    return pa.array(null) if null.any() else None


def _as_bools(mask: pa.BooleanArray | None) -> Bools | None:
    if mask is None:
        return None
    found: Bools = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _any_mask(masks: Iterator[Bools | None] | tuple[Bools | None, ...]) -> Bools | None:
    """Where any of them is true; None where all are None."""
    found = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(found) if found else None


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
