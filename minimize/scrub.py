"""Arrow columns without hidden bytes: the last thing that happens to data before a sink, a spill, a worker or a caller.

An Arrow array can carry more than it shows: the value under a null, the rest of the column that a slice was cut from, entries
of a dictionary that no row uses, children under a null parent, metadata. Whoever gets the buffers gets all of it. `scrub`
gives an equal array whose buffers hold what is shown and zeros, nothing else. A flat array that is whole and has no nulls
keeps its buffers; nothing is copied.

Every kind of array is one function here: it takes the array, the rows wanted (None for all, in order) and a mask of the rows
that are there (None for all), so that parents clean their children by asking for less of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.errors import SchemaError

Rows = npt.NDArray[np.int64] | None
Mask = npt.NDArray[np.bool_] | None
Kind = Callable[[Any, Rows, Mask], Any]


def scrub(data: Any, schema: pa.Schema | None = None) -> Any:
    """Equal data whose buffers hold nothing but what is shown.

    Takes an array or a record batch. Gives the same type; a dictionary keeps only the entries in use, each once, in order,
    and no null among them. Metadata is dropped but for what `schema` (whose columns are those of the batch, by name; a
    plain type there also stands for its dictionary encoding) says. Nulls stay null. Raises SchemaError for a union, an
    extension type, or a column that the schema does not have.

    >>> rest = scrub(pa.array(["kept", "dropped"]).dictionary_encode()[:1])
    >>> rest.dictionary.to_pylist()
    ['kept']
    """
    if not isinstance(data, pa.RecordBatch):
        return _clean(data, None, None)
    arrays = [_clean(column, None, None) for column in data.columns]
    names = data.schema.names
    fields = [_field(name, array, schema) for name, array in zip(names, arrays, strict=True)]
    metadata = None if schema is None else schema.metadata
    if not arrays:
        return data.replace_schema_metadata(metadata)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata))


def _field(name: str, array: pa.Array, schema: pa.Schema | None) -> pa.Field:
    if schema is None:
        return pa.field(name, array.type)
    index = schema.get_field_index(name)
    if index < 0:
        raise SchemaError("a column is to be written that the output's schema does not have")
    allowed = schema.field(index)
    return allowed if allowed.type == array.type else pa.field(name, array.type, allowed.nullable, allowed.metadata)


def _clean(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    for test, kind in _KINDS:
        if test(array.type):
            return kind(array, rows, alive)
    if isinstance(array.type, pa.BaseExtensionType) or pa.types.is_union(array.type):
        raise SchemaError("columns of extension or union types cannot be cleaned, so they cannot leave")
    return _fixed(array, rows, alive)


def _present(array: pa.Array, rows: Rows, alive: Mask) -> Mask:
    """Which of the wanted rows are there; None when all are."""
    mask = None if array.null_count == 0 else _bits(array.buffers()[0], array.offset, len(array))
    if mask is not None and rows is not None:
        mask = mask[rows]
    if alive is not None:
        mask = alive if mask is None else mask & alive
    return None if mask is None or mask.all() else mask


def _build(
    type_: pa.DataType, length: int, mask: Mask, buffers: Sequence[Any], children: Sequence[Any] = ()
) -> pa.Array:
    return pa.Array.from_buffers(type_, length, [_packed(mask), *buffers], children=list(children))


def _length(array: pa.Array, rows: Rows) -> int:
    return len(array) if rows is None else len(rows)


def _bits(buffer: pa.Buffer, offset: int, length: int) -> npt.NDArray[np.bool_]:
    first, last = offset // 8, (offset + length + 7) // 8
    bits = np.unpackbits(_view(buffer, np.uint8)[first:last], bitorder="little")
    return bits[offset - first * 8 :][:length].view(np.bool_)


def _packed(mask: Mask) -> pa.Buffer | None:
    return None if mask is None else pa.py_buffer(np.packbits(mask, bitorder="little"))


def _view(buffer: pa.Buffer | None, dtype: Any) -> npt.NDArray[Any]:
    return (
        np.empty(0, dtype) if buffer is None else np.frombuffer(buffer, dtype, buffer.size // np.dtype(dtype).itemsize)
    )


def _cut(buffer: pa.Buffer | None, start: int, stop: int) -> pa.Buffer:
    return pa.py_buffer(b"") if buffer is None else buffer.slice(start, stop - start)


def _null(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    return pa.nulls(_length(array, rows))


def _boolean(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    mask = _present(array, rows, alive)
    if not len(array):
        return pa.array([], array.type)
    bits = _bits(array.buffers()[1], array.offset, len(array))
    bits = bits if rows is None else bits[rows]
    return _build(array.type, len(bits), mask, [_packed(bits if mask is None else bits & mask)])


def _fixed(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    mask, width, buffer = _present(array, rows, alive), array.type.bit_width // 8, array.buffers()[1]
    start, stop = array.offset * width, (array.offset + len(array)) * width
    if rows is None and mask is None:
        return _build(array.type, len(array), None, [_cut(buffer, start, stop)])
    values = _view(buffer, np.uint8)[start:stop].reshape(len(array), width)
    values = _words(values, width)
    values = values.copy() if rows is None else values[rows]
    if mask is not None:
        values[~mask] = 0
    return _build(array.type, len(values), mask, [pa.py_buffer(np.ascontiguousarray(values).reshape(-1))])


def _words(values: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Rows of bytes as machine words where a word fits."""
    return values.view(f"u{width}")[:, 0] if width in (1, 2, 4, 8) and values.flags.c_contiguous else values


def _offsets(array: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    found = _view(array.buffers()[1], dtype)[array.offset : array.offset + len(array) + 1]
    return found if len(found) else np.zeros(1, dtype)


def _summed(lengths: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    offsets = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _dtype(type_: pa.DataType) -> Any:
    """The type of its offsets."""
    return np.int64 if any(test(type_) for test in _LARGE) else np.int32


def _binary(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    dtype, mask = _dtype(array.type), _present(array, rows, alive)
    offsets = _offsets(array, dtype)
    if rows is None and (mask is None or not np.diff(offsets)[~mask].any()):
        return _build(array.type, len(array), mask, _contiguous(array, offsets))
    picked = _picked(array, rows, mask)
    inner = _offsets(picked, dtype)
    lengths = np.zeros(_length(array, rows), dtype)
    lengths[slice(None) if mask is None else mask] = np.diff(inner)
    data = _cut(picked.buffers()[2], int(inner[0]), int(inner[-1]))
    return _build(array.type, len(lengths), mask, [pa.py_buffer(_summed(lengths, dtype)), data])


def _contiguous(array: pa.Array, offsets: npt.NDArray[Any]) -> list[pa.Buffer]:
    data = _cut(array.buffers()[2], int(offsets[0]), int(offsets[-1]))
    return [pa.py_buffer(offsets if offsets[0] == 0 else offsets - offsets[0]), data]


def _picked(array: pa.Array, rows: Rows, mask: Mask) -> pa.Array:
    """The wanted values that are there, copied into buffers of their own."""
    if rows is None:
        return array.filter(pa.array(mask))
    return array.take(pa.array(rows if mask is None else rows[mask]))


def _binary_view(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    plain = pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary()
    return _binary(array.cast(plain), rows, alive).cast(array.type)


def _list(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    dtype, mask = _dtype(array.type), _present(array, rows, alive)
    offsets = _offsets(array, dtype)
    lengths = _lengths(np.diff(offsets), rows, mask)
    if rows is None and lengths.sum() == offsets[-1] - offsets[0]:
        child = _clean(array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), None, None)
    else:
        child = _clean(array.values, _ranges(offsets[:-1] if rows is None else offsets[:-1][rows], lengths), None)
    return _build(_list_type(array.type, child), len(lengths), mask, [pa.py_buffer(_summed(lengths, dtype))], [child])


def _list_view(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    dtype, mask = _dtype(array.type), _present(array, rows, alive)
    starts, sizes = (_view(part, dtype)[array.offset : array.offset + len(array)] for part in array.buffers()[1:3])
    lengths = _lengths(sizes, rows, mask)
    child = _clean(array.values, _ranges(starts if rows is None else starts[rows], lengths), None)
    buffers = [pa.py_buffer(_summed(lengths, dtype)[:-1].copy()), pa.py_buffer(lengths.astype(dtype))]
    return _build(_list_type(array.type, child), len(lengths), mask, buffers, [child])


def _lengths(lengths: npt.NDArray[Any], rows: Rows, mask: Mask) -> npt.NDArray[Any]:
    wanted = lengths if rows is None else lengths[rows]
    return wanted if mask is None else np.where(mask, wanted, 0)


def _ranges(starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The positions start, start + 1, … of each range, one after the other."""
    before = _summed(lengths, np.int64)
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
    size, mask = array.type.list_size, _present(array, rows, alive)
    values = array.values.slice(array.offset * size, len(array) * size)
    within = None if rows is None else (rows[:, None] * size + np.arange(size)).reshape(-1)
    was = array.type.value_field
    child = _below(was, values, within, None if mask is None else np.repeat(mask, size))
    field = pa.field(was.name, child.type, was.nullable)
    return _build(pa.list_(field, size), _length(array, rows), mask, [], [child])


def _struct(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    mask = _present(array, rows, alive)
    old = [array.type.field(index) for index in range(array.type.num_fields)]
    children = [_below(was, array.field(index), rows, mask) for index, was in enumerate(old)]
    fields = [pa.field(was.name, child.type, was.nullable) for was, child in zip(old, children, strict=True)]
    return _build(pa.struct(fields), _length(array, rows), mask, [], children)


def _below(field: pa.Field, array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """The child of parents that may be null; where it must not be null itself it is zero or empty under a null parent."""
    child = _clean(array, rows, alive)
    return child if field.nullable or array.null_count else _solid(child)


def _solid(array: pa.Array) -> pa.Array:
    """The same with zeros and empty values for its nulls."""
    if array.null_count == 0:
        return array
    if pa.types.is_dictionary(array.type):
        values = array.dictionary if len(array.dictionary) else _solid(pa.nulls(1, array.type.value_type))
        return pa.DictionaryArray.from_arrays(_solid(array.indices), values, ordered=array.type.ordered)
    if not array.type.num_fields:
        return _build(array.type, len(array), None, array.buffers()[1:])
    is_struct = pa.types.is_struct(array.type)
    children = [array.field(index) for index in range(array.type.num_fields)] if is_struct else [array.values]
    return _build(array.type, len(array), None, array.buffers()[1 : array.type.num_buffers], children)


def _dictionary(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    codes = _codes(array.indices, rows)
    mask = _present(array.indices, rows, alive)
    entries = _present(array.dictionary, None, None)
    if entries is not None:
        named = entries[codes if mask is None else np.where(mask, codes, 0)]
        mask = named if mask is None else mask & named
    used = np.flatnonzero(_tally(codes if mask is None else codes[mask], len(array.dictionary)))
    whole = len(used) == len(array.dictionary)
    values, merged = _distinct(_clean(array.dictionary, None if whole else used, None))
    renamed = np.zeros(max(len(array.dictionary), 1), codes.dtype)
    renamed[used] = merged
    fresh = renamed[codes if mask is None else np.where(mask, codes, 0)]
    fresh = fresh if mask is None else np.where(mask, fresh, codes.dtype.type(0))
    indices = _build(array.indices.type, len(fresh), mask, [pa.py_buffer(np.ascontiguousarray(fresh))])
    return pa.DictionaryArray.from_arrays(indices, values, ordered=array.type.ordered)


def _codes(indices: pa.Array, rows: Rows) -> npt.NDArray[Any]:
    codes = _view(indices.buffers()[1], np.dtype(indices.type.to_pandas_dtype()))
    codes = codes[indices.offset : indices.offset + len(indices)]
    return codes if rows is None else codes[rows]


def _tally(codes: npt.NDArray[Any], entries: int) -> npt.NDArray[np.int64]:
    return np.bincount(codes.astype(np.int64, copy=False), minlength=entries)


def _distinct(values: pa.Array) -> tuple[pa.Array, npt.NDArray[Any]]:
    """The distinct values in order, and for each value its place among them."""
    try:
        encoded = _encodable(values).dictionary_encode()
    except pa.ArrowNotImplementedError:
        return values, np.arange(len(values))
    if len(encoded.dictionary) == len(values):
        return values, np.arange(len(values))
    places = encoded.indices.to_numpy()
    return _clean(values, np.unique(places, return_index=True)[1].astype(np.int64), None), places


def _encodable(values: pa.Array) -> pa.Array:
    if pa.types.is_string_view(values.type):
        return values.cast(pa.large_string())
    return values.cast(pa.large_binary()) if pa.types.is_binary_view(values.type) else values


def _run_ends(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    cleaned = _clean(pc.run_end_decode(array), rows, alive)
    return pc.run_end_encode(cleaned, run_end_type=array.type.run_end_type)


def _any_of(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda type_: any(test(type_) for test in tests)


_types = pa.types
_LARGE = (_types.is_large_string, _types.is_large_binary, _types.is_large_list, _types.is_large_list_view)
_KINDS: tuple[tuple[Callable[[Any], bool], Kind], ...] = (
    (_types.is_null, _null),
    (_types.is_boolean, _boolean),
    (_any_of(_types.is_string, _types.is_binary, _types.is_large_string, _types.is_large_binary), _binary),
    (_types.is_dictionary, _dictionary),
    (_any_of(_types.is_string_view, _types.is_binary_view), _binary_view),
    (_any_of(_types.is_list, _types.is_large_list, _types.is_map), _list),
    (_types.is_struct, _struct),
    (_types.is_fixed_size_list, _fixed_list),
    (_any_of(_types.is_list_view, _types.is_large_list_view), _list_view),
    (_types.is_run_end_encoded, _run_ends),
)
