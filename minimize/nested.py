"""Leaves of nested Arrow columns: taking them out flat, spreading masks down to them, and putting them back.

The order of a leaf's values is the order of a depth-first walk, null lists skipped, so that leaves under the same list are
aligned. Lists and maps contribute one step to `parents` each; structs contribute none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.pointer import STAR, Part, Pointer

Bools = npt.NDArray[np.bool_]
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
    type_: pa.DataType | None = pa.struct(list(schema))
    for part in pointer.parts:
        type_ = _below(type_, part)
    if type_ is None:
        raise KeyError(str(pointer))
    return type_


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
    for part in pointer.parts[1:]:
        if part is STAR:
            parents.append(_slots(values))
            values = _elements(values)
        else:
            values = _child(values, str(part))
    return Leaf(values, tuple(parents))


def spread(values: pa.Array, above: Leaf, below: Leaf) -> pa.Array:
    """Values that stand one per value of `above`, repeated for each value of `below`, whose stars begin with those of `above`."""
    if len(above.parents) == len(below.parents):
        return values
    return values.take(pa.array(_ancestors(below.parents[len(above.parents) :])))


def rows_of(below: Leaf, rows: int) -> Indices:
    """For each value of a leaf the index of its record."""
    return _ancestors(below.parents) if below.parents else np.arange(rows, dtype=np.int64)


def pruned(schema: pa.Schema, leaves: Mapping[Pointer, pa.DataType]) -> pa.Schema:
    """The schema that `assemble` fills: these leaves, in this order, in containers of the kind that the source has.

    A list of fixed size becomes a list, because gating takes elements out; what the source does not have is a struct.

    >>> schema = pa.schema([("a", pa.struct([("b", pa.int32()), ("c", pa.int32())]))])
    >>> pruned(schema, {Pointer.parse("/a/c"): pa.string()})
    a: struct<c: string>
      child 0, c: string
    """
    type_ = _pruned(pa.struct(list(schema)), {pointer.parts: type_ for pointer, type_ in leaves.items()})
    return pa.schema(list(type_.fields))


def assemble(
    records: pa.RecordBatch,
    released: Mapping[Pointer, pa.Array],
    closed: Mapping[Pointer, pa.BooleanArray],
    hollow: Mapping[Pointer, pa.BooleanArray],
    schema: pa.Schema,
) -> pa.RecordBatch:
    """The released leaves as nested columns of this schema, in the shape of the source, kept leaves only.

    An element in which a leaf is closed and nothing is left is removed; a list from which gating took everything is null; an
    empty list where `hollow` (by the list's pointer, ending in a star) is true is null; a struct without a non-null leaf
    is null, so that gated and absent look alike. Keys of maps come out as they are.

    Takes a schema as `pruned` gives it. Gives columns of the types that were released: a leaf that is dictionary-encoded
    stays so. Plain columns are not copied. Raises KeyError where the schema names a leaf that was not released.
    """
    shape = _Shape(records, released, closed, hollow)
    columns = [shape.build(field.type, Pointer((field.name,)), records.num_rows).values for field in schema]
    fields = [field.with_type(column.type) for field, column in zip(schema, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=schema.metadata))


@dataclass(frozen=True, slots=True)
class _Built:
    """A built array, and where a gate closed something in it (None for nowhere)."""

    values: pa.Array
    touched: Bools | None = None


@dataclass(frozen=True, slots=True)
class _Shape:
    """What `assemble` puts together, from the outermost container inwards."""

    records: pa.RecordBatch
    released: Mapping[Pointer, pa.Array]
    closed: Mapping[Pointer, pa.BooleanArray]
    hollow: Mapping[Pointer, pa.BooleanArray]

    def build(self, type_: pa.DataType, pointer: Pointer, slots: int) -> _Built:
        if pointer in self.released:
            return _Built(self.released[pointer], _bools(self.closed.get(pointer)))
        if pa.types.is_struct(type_):
            return self._struct(type_, pointer, slots)
        if _is_list(type_):
            return self._list(type_, pointer)
        raise KeyError(str(pointer))

    def _struct(self, type_: pa.StructType, pointer: Pointer, slots: int) -> _Built:
        children = [self.build(field.type, Pointer((*pointer.parts, field.name)), slots) for field in type_.fields]
        fields = [
            field.with_type(child.values.type).with_nullable(True)
            for field, child in zip(type_.fields, children, strict=True)
        ]
        bare = np.logical_and.reduce([_nulls(child.values) for child in children])
        values = pa.StructArray.from_arrays([child.values for child in children], fields=fields, mask=_mask(bare))
        return _Built(values, _either(child.touched for child in children))

    def _list(self, type_: pa.DataType, pointer: Pointer) -> _Built:
        source = leaf(self.records, pointer).values
        below = Pointer((*pointer.parts, STAR))
        slots = _slots(source)
        inner = self.build(_item_type(type_), below, slots.size)
        kept = _kept(inner)
        counts = np.bincount(slots if kept is None else slots[kept], minlength=len(source))
        hollow = _bools(self.hollow.get(below))
        null = _nulls(source)
        if kept is not None:
            null = null | ((counts == 0) & (np.bincount(slots, minlength=len(source)) > 0))
        if hollow is not None:
            null = null | (hollow & (counts == 0))
        keys = _child(_entries(source), "key") if pa.types.is_map(type_) else None
        touched = None if inner.touched is None else np.bincount(slots[inner.touched], minlength=len(source)) > 0
        return _Built(
            _list_array(type_, counts, _some(keys, kept), _some(inner.values, kept), null),
            _either((touched, hollow)),
        )


def _below(type_: pa.DataType | None, part: Part) -> pa.DataType | None:
    """The type one part further down; None where there is no such part."""
    if type_ is None or (part is STAR) != _is_list(type_):
        return None
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


def _slots(values: pa.Array) -> Indices:
    """For each element the index of its list."""
    counts = pc.list_value_length(_as_lists(values)).fill_null(0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(values), dtype=np.int64), counts)


def _elements(values: pa.Array) -> pa.Array:
    """The elements of all lists, or the values of all maps."""
    return _child(_entries(values), "value") if pa.types.is_map(values.type) else values.flatten()


def _entries(values: pa.MapArray) -> pa.StructArray:
    return _as_lists(values).flatten()


def _as_lists(values: pa.Array) -> pa.Array:
    """Maps as lists of key and value (their buffers are the same); lists as they are."""
    if not pa.types.is_map(values.type):
        return values
    key = pa.field("key", values.type.key_type, nullable=False)
    return values.cast(pa.list_(pa.struct([key, pa.field("value", values.type.item_type)])))


def _child(values: pa.StructArray, name: str) -> pa.Array:
    """A child of a struct, null where the struct is; not copied where no struct is null."""
    index = values.type.get_field_index(name)
    return values.field(index) if values.null_count == 0 else pc.struct_field(values, [index])


def _ancestors(parents: tuple[Indices, ...]) -> Indices:
    """The innermost elements' slots at the outermost level."""
    slots = parents[-1]
    for above in reversed(parents[:-1]):
        slots = above[slots]
    return slots


def _pruned(source: pa.DataType | None, leaves: Mapping[tuple[Part, ...], pa.DataType]) -> pa.DataType:
    if () in leaves:
        return leaves[()]
    groups: dict[Part, dict[tuple[Part, ...], pa.DataType]] = {}
    for parts, type_ in leaves.items():
        groups.setdefault(parts[0], {})[parts[1:]] = type_
    if STAR in groups:
        return _list_type(source, _pruned(_below(source, STAR), groups[STAR]))
    return pa.struct([pa.field(str(part), _pruned(_below(source, part), group)) for part, group in groups.items()])


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
        return pa.MapArray.from_arrays(pa.array(ends), keys, values, mask=_mask(null))
    kind: Any = pa.LargeListArray if wide else pa.ListArray
    return kind.from_arrays(pa.array(ends), values, mask=_mask(null))


def _kept(inner: _Built) -> Bools | None:
    """The elements that stay: all but those in which a gate closed something and nothing is left. None for all."""
    if inner.touched is None:
        return None
    gone = inner.touched & _nulls(inner.values)
    return ~gone if gone.any() else None


def _some(values: pa.Array | None, kept: Bools | None) -> pa.Array | None:
    return values if values is None or kept is None else values.filter(pa.array(kept))


def _nulls(values: pa.Array) -> Bools:
    found: Bools = values.is_null().to_numpy(zero_copy_only=False)
    return found


def _mask(null: Bools) -> pa.BooleanArray | None:
    return pa.array(null) if null.any() else None


def _bools(mask: pa.BooleanArray | None) -> Bools | None:
    if mask is None:
        return None
    found: Bools = mask.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _either(masks: Iterator[Bools | None] | tuple[Bools | None, ...]) -> Bools | None:
    """Where any of them is true; None where all are None."""
    found = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(found) if found else None


__all__ = ["Leaf", "assemble", "leaf", "leaf_type", "pruned", "rows_of", "spread"]
