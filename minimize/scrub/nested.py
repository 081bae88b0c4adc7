"""Cleaning any array: the table of kinds, and those with children, which ask for less of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import SchemaError
from minimize.scrub.buffers import Kind, Mask, Rows, build, offset_type, offsets_of, present, summed, view, wanted
from minimize.scrub.flat import binary, binary_view, boolean, fixed, null
from minimize.words import all_distinct

_BLOCK: Final = 1 << 15
"""Codes that are looked at together: few enough for a processor's cache."""


def clean(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """Any array, by its kind. Raises SchemaError for one that cannot be cleaned."""
    common = _COMMON.get(array.type.id)
    if common is not None:
        return common(array, rows, alive)
    for test, kind in _KINDS:
        if test(array.type):
            return kind(array, rows, alive)
    if isinstance(array.type, pa.BaseExtensionType) or pa.types.is_union(array.type):
        raise SchemaError("columns of extension or union types cannot be cleaned, so they cannot leave")
    return fixed(array, rows, alive)


def _list(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    dtype, mask = offset_type(array.type), present(array, rows, alive)
    offsets = offsets_of(array, dtype)
    lengths = _lengths(np.diff(offsets), rows, mask)
    if rows is None and lengths.sum() == offsets[-1] - offsets[0]:
        child = clean(array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), None, None)
    else:
        child = clean(array.values, _ranges(offsets[:-1] if rows is None else offsets[:-1][rows], lengths), None)
    return build(_list_type(array.type, child), len(lengths), mask, [pa.py_buffer(summed(lengths, dtype))], [child])


def _list_view(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    dtype, mask = offset_type(array.type), present(array, rows, alive)
    starts, sizes = (view(part, dtype)[array.offset : array.offset + len(array)] for part in array.buffers()[1:3])
    lengths = _lengths(sizes, rows, mask)
    child = clean(array.values, _ranges(starts if rows is None else starts[rows], lengths), None)
    buffers = [pa.py_buffer(summed(lengths, dtype)[:-1].copy()), pa.py_buffer(lengths.astype(dtype))]
    return build(_list_type(array.type, child), len(lengths), mask, buffers, [child])


def _lengths(lengths: npt.NDArray[Any], rows: Rows, mask: Mask) -> npt.NDArray[Any]:
    wanted = lengths if rows is None else lengths[rows]
    return wanted if mask is None else np.where(mask, wanted, 0)


def _ranges(starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The positions start, start + 1, … of each range, one after the other."""
    before = summed(lengths, np.int64)
    return np.repeat(starts.astype(np.int64) - before[:-1], lengths) + np.arange(before[-1], dtype=np.int64)


def _list_type(type_: pa.DataType, child: pa.Array) -> pa.DataType:
    """The list type again, over the cleaned child and without metadata."""
    if pa.types.is_map(type_):
        key, item = child.type.field(0), child.type.field(1)
        return pa.map_(key, item, keys_sorted=type_.keys_sorted)
    field = pa.field(type_.value_field.name, child.type, type_.value_field.nullable)
    makers: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
        (pa.types.is_list, pa.list_),
        (pa.types.is_large_list, pa.large_list),
        (pa.types.is_list_view, pa.list_view),
        (pa.types.is_large_list_view, pa.large_list_view),
    )
    return next(make(field) for test, make in makers if test(type_))


def _fixed_list(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    size, mask = array.type.list_size, present(array, rows, alive)
    values = array.values.slice(array.offset * size, len(array) * size)
    within = None if rows is None else (rows[:, None] * size + np.arange(size)).reshape(-1)
    was = array.type.value_field
    child = _below(was, values, within, None if mask is None else np.repeat(mask, size))
    field = pa.field(was.name, child.type, was.nullable)
    return build(pa.list_(field, size), wanted(array, rows), mask, [], [child])


def _struct(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    mask = present(array, rows, alive)
    old = [array.type.field(index) for index in range(array.type.num_fields)]
    children = [_below(was, array.field(index), rows, mask) for index, was in enumerate(old)]
    fields = [pa.field(was.name, child.type, was.nullable) for was, child in zip(old, children, strict=True)]
    return build(pa.struct(fields), wanted(array, rows), mask, [], children)


def _below(field: pa.Field, array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """The child of parents that may be null; where it must not be null itself it is zero or empty under a null parent."""
    child = clean(array, rows, alive)
    return child if field.nullable or array.null_count else _solid(child)


def _solid(array: pa.Array) -> pa.Array:
    """The same with zeros and empty values for its nulls."""
    if array.null_count == 0:
        return array
    if pa.types.is_dictionary(array.type):
        values = array.dictionary if len(array.dictionary) else _solid(pa.nulls(1, array.type.value_type))
        return pa.DictionaryArray.from_arrays(_solid(array.indices), values, ordered=array.type.ordered)
    if not array.type.num_fields:
        return build(array.type, len(array), None, array.buffers()[1:])
    is_struct = pa.types.is_struct(array.type)
    children = [array.field(index) for index in range(array.type.num_fields)] if is_struct else [array.values]
    return build(array.type, len(array), None, array.buffers()[1 : array.type.num_buffers], children)


def _dictionary(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    codes = _codes(array.indices, rows)
    mask = present(array.indices, rows, alive)
    entries = present(array.dictionary, None, None)
    if entries is not None:
        named = entries[codes if mask is None else np.where(mask, codes, 0)]
        mask = named if mask is None else mask & named
    used = _used(codes if mask is None else codes[mask], len(array.dictionary))
    whole = len(used) == len(array.dictionary)
    values, merged = _distinct(clean(array.dictionary, None if whole else used, None))
    if whole and merged is None and entries is None and rows is None:
        indices = fixed(array.indices, None, mask)
        return pa.DictionaryArray.from_arrays(indices, values, ordered=array.type.ordered, safe=False)
    renamed = np.zeros(max(len(array.dictionary), 1), codes.dtype)
    renamed[used] = np.arange(len(used)) if merged is None else merged
    fresh = renamed[codes if mask is None else np.where(mask, codes, 0)]
    fresh = fresh if mask is None else np.where(mask, fresh, codes.dtype.type(0))
    indices = build(array.indices.type, len(fresh), mask, [pa.py_buffer(np.ascontiguousarray(fresh))])
    return pa.DictionaryArray.from_arrays(indices, values, ordered=array.type.ordered)


def _codes(indices: pa.Array, rows: Rows) -> npt.NDArray[Any]:
    sign = "u" if pa.types.is_unsigned_integer(indices.type) else "i"
    codes = view(indices.buffers()[1], np.dtype(f"{sign}{indices.type.bit_width // 8}"))
    codes = codes[indices.offset : indices.offset + len(indices)]
    return codes if rows is None else codes[rows]


def _used(codes: npt.NDArray[Any], entries: int) -> npt.NDArray[np.int64]:
    """The entries that codes point at, in order."""
    found = np.zeros(entries, np.bool_)
    for start in range(0, len(codes), _BLOCK):
        found[codes[start : start + _BLOCK]] = True
        if entries < _BLOCK // 8 and found.all():
            break
    return np.flatnonzero(found)


def _distinct(values: pa.Array) -> tuple[pa.Array, npt.NDArray[Any] | None]:
    """The distinct values in order, and for each value its place among them; None where all are distinct."""
    if all_distinct(values):
        return values, None
    try:
        encoded = _encodable(values).dictionary_encode()
    except pa.ArrowNotImplementedError:
        return values, None
    if len(encoded.dictionary) == len(values):
        return values, None
    places = encoded.indices.to_numpy()
    return clean(values, np.unique(places, return_index=True)[1].astype(np.int64), None), places


def _encodable(values: pa.Array) -> pa.Array:
    if pa.types.is_string_view(values.type):
        return values.cast(pa.large_string())
    return values.cast(pa.large_binary()) if pa.types.is_binary_view(values.type) else values


def _run_ends(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    cleaned = clean(pc.run_end_decode(array), rows, alive)
    return pc.run_end_encode(cleaned, run_end_type=array.type.run_end_type)


def _any_of(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether one of these tests holds for a type."""
    return lambda type_: any(test(type_) for test in tests)


_KINDS: tuple[tuple[Callable[[Any], bool], Kind], ...] = (
    (pa.types.is_null, null),
    (pa.types.is_boolean, boolean),
    (_any_of(pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary), binary),
    (pa.types.is_dictionary, _dictionary),
    (_any_of(pa.types.is_string_view, pa.types.is_binary_view), binary_view),
    (_any_of(pa.types.is_list, pa.types.is_large_list, pa.types.is_map), _list),
    (pa.types.is_struct, _struct),
    (pa.types.is_fixed_size_list, _fixed_list),
    (_any_of(pa.types.is_list_view, pa.types.is_large_list_view), _list_view),
    (pa.types.is_run_end_encoded, _run_ends),
)

_COMMON: dict[int, Kind] = {
    **{type_.id: binary for type_ in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())},
    **{type_.id: fixed for type_ in (pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.date32())},
    pa.timestamp("us").id: fixed,
    pa.bool_().id: boolean,
    pa.dictionary(pa.int32(), pa.string()).id: _dictionary,
}
"""The kinds that are met most, found without asking."""
