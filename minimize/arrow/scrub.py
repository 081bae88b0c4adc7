"""Arrow columns without hidden bytes: the last step before data reaches a sink, a spill file, a worker or a caller.

An Arrow array can contain hidden data: the value under a null, the rest of the column that a slice was cut from, unused
entries of a dictionary, children under a null parent, and metadata. Anyone who gets the buffers gets all of it. `scrub`
returns an equal array whose buffers contain the visible values and zeros, nothing else. A flat array that is not a slice and
has no nulls keeps its buffers and is not copied.

Top to bottom: parts of arrays as NumPy arrays; arrays without children; nested arrays and the table of types; `scrub`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.hashing import all_distinct, has_large_offsets, number_buffer, stored_offsets, unpacked_bits
from minimize.errors import SchemaError

_RowSelection = npt.NDArray[np.int64] | None
_Mask = npt.NDArray[np.bool_] | None
_Cleaner = Callable[[Any, _RowSelection, _Mask], Any]
"""Cleans one kind of array. Takes the array, the selected rows in order (None for all), and which of these stay valid (None for
all).
"""


def _present_mask(array: pa.Array, rows: _RowSelection, alive: _Mask) -> _Mask:
    """Mask of the selected rows that are valid; None if all are."""
    mask = None if array.null_count == 0 else unpacked_bits(array.buffers()[0], array.offset, len(array))
    if rows is None and alive is None:
        return mask
    if mask is not None and rows is not None:
        mask = mask[rows]
    if alive is not None:
        mask = alive if mask is None else mask & alive
    return None if mask is None or mask.all() else mask


def _build_array(
    type_: pa.DataType, length: int, mask: _Mask, buffers: Sequence[Any], children: Sequence[Any] = ()
) -> pa.Array:
    """An array from its parts, validity first."""
    return pa.Array.from_buffers(type_, length, [_pack_bits(mask), *buffers], children=list(children))


def _row_count(array: pa.Array, rows: _RowSelection) -> int:
    """Number of selected rows."""
    return len(array) if rows is None else len(rows)


def _pack_bits(mask: _Mask) -> pa.Buffer | None:
    """A mask as a validity bitmap with zeros after its end; None for None."""
    return None if mask is None else pa.py_buffer(np.packbits(mask, bitorder="little"))


def _buffer_view(buffer: pa.Buffer | None, dtype: Any) -> npt.NDArray[Any]:
    """A buffer as an array of items; an empty array for None."""
    return (
        np.empty(0, dtype) if buffer is None else np.frombuffer(buffer, dtype, buffer.size // np.dtype(dtype).itemsize)
    )


def _slice_buffer(buffer: pa.Buffer | None, start: int, stop: int) -> pa.Buffer:
    """A part of a buffer, without a copy."""
    return pa.py_buffer(b"") if buffer is None else buffer.slice(start, stop - start)


def _ends_in_zeros(bits: pa.Buffer | None, length: int) -> bool:
    """Whether a bitmap consists of its bits and of zeros up to the end of the last byte."""
    return bits is None or (bits.size == -(-length // 8) and (not length % 8 or not bits[bits.size - 1] >> length % 8))


def _offsets_from_lengths(lengths: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """Offsets from lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _clean_null(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """A null for each selected row."""
    return pa.nulls(_row_count(array, rows))


def _clean_boolean(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """Booleans; bits under nulls and after the end are zero."""
    mask = _present_mask(array, rows, alive)
    if not len(array):
        return pa.array([], array.type)
    bits = unpacked_bits(array.buffers()[1], array.offset, len(array))
    bits = bits if rows is None else bits[rows]
    return _build_array(array.type, len(bits), mask, [_pack_bits(bits if mask is None else bits & mask)])


def _clean_fixed_width(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """Values of fixed width; those under nulls are zero."""
    mask, width, (bits, buffer) = _present_mask(array, rows, alive), array.type.bit_width // 8, array.buffers()
    start, stop = array.offset * width, (array.offset + len(array)) * width
    if rows is None and mask is None:
        if not start and buffer is not None and buffer.size == stop and _ends_in_zeros(bits, len(array)):
            return array
        return _build_array(array.type, len(array), None, [_slice_buffer(buffer, start, stop)])
    if width in _WORD_TYPES:
        values = number_buffer(array, _WORD_TYPES[width])
    else:
        values = _buffer_view(buffer, np.uint8)[start:stop].reshape(len(array), width)
    values = values if rows is None else values[rows]
    values = values if mask is None else _zero_masked(values, mask)
    return _build_array(array.type, len(values), mask, [pa.py_buffer(np.ascontiguousarray(values).reshape(-1))])


_WORD_TYPES: Final[Mapping[int, npt.DTypeLike]] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""Machine words by their width in bytes."""


def _zero_masked(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """A copy with zeros where the mask is false. Multiplication by zero or one costs a fraction of selecting rows."""
    zeroed: npt.NDArray[Any] = np.multiply(values, mask if values.ndim == 1 else mask[:, None], dtype=values.dtype)
    return zeroed


def _clean_binary(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """Strings and bytes; only the visible ones."""
    mask, offsets = _present_mask(array, rows, alive), stored_offsets(array)
    if rows is None and (mask is None or not np.diff(offsets)[~mask].any()):
        return _trimmed_texts(array, offsets, mask, is_same=alive is None)
    picked = _pick_rows(array, rows, mask)
    inner = stored_offsets(picked)
    lengths = np.zeros(_row_count(array, rows), offsets.dtype)
    lengths[slice(None) if mask is None else mask] = np.diff(inner)
    ends = pa.py_buffer(_offsets_from_lengths(lengths, offsets.dtype))
    data = _slice_buffer(picked.buffers()[2], int(inner[0]), int(inner[-1]))
    return _build_array(array.type, len(lengths), mask, [ends, data])


def _trimmed_texts(array: pa.Array, offsets: npt.NDArray[Any], mask: _Mask, *, is_same: bool) -> pa.Array:
    """Texts whose nulls have no bytes, without bytes before or after them. `is_same` says whether the mask is the array's own."""
    (bits, ends, data), start, stop = array.buffers(), int(offsets[0]), int(offsets[-1])
    is_whole = is_same and not start and ends is not None and data is not None
    if is_whole and ends.size == offsets.nbytes and data.size == stop and _ends_in_zeros(bits, len(array)):
        return array
    data = _slice_buffer(data, start, stop)
    return _build_array(array.type, len(array), mask, [pa.py_buffer(offsets - start if start else offsets), data])


def _pick_rows(array: pa.Array, rows: _RowSelection, mask: _Mask) -> pa.Array:
    """The selected valid values, copied into new buffers."""
    if rows is None:
        return array.filter(pa.array(mask))
    return array.take(pa.array(rows if mask is None else rows[mask]))


def _clean_binary_view(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """Views of strings and bytes, with newly built data."""
    plain = pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary()
    return _clean_binary(array.cast(plain), rows, alive).cast(array.type)


_BLOCK: Final = 1 << 15
"""Codes processed together, so that they fit into the processor's cache."""


def _clean(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """An array of any type. Raises SchemaError for types that cannot be scrubbed."""
    common = _CLEANERS_BY_TYPE_ID.get(array.type.id)
    if common is not None:
        return common(array, rows, alive)
    for test, kind in _CLEANERS:
        if test(array.type):
            return kind(array, rows, alive)
    if isinstance(array.type, pa.BaseExtensionType) or pa.types.is_union(array.type):
        raise SchemaError("columns of extension or union types cannot be scrubbed, so they cannot be released")
    return _clean_fixed_width(array, rows, alive)


def _clean_list(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    mask, offsets = _present_mask(array, rows, alive), stored_offsets(array)
    lengths = _selected_lengths(np.diff(offsets), rows, mask)
    if rows is None and lengths.sum() == offsets[-1] - offsets[0]:
        child = _clean(array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0])), None, None)
    else:
        child = _clean(
            array.values, _range_positions(offsets[:-1] if rows is None else offsets[:-1][rows], lengths), None
        )
    return _build_array(
        _list_type(array.type, child),
        len(lengths),
        mask,
        [pa.py_buffer(_offsets_from_lengths(lengths, offsets.dtype))],
        [child],
    )


def _clean_list_view(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    dtype, mask = np.int64 if has_large_offsets(array.type) else np.int32, _present_mask(array, rows, alive)
    starts, sizes = (
        _buffer_view(part, dtype)[array.offset : array.offset + len(array)] for part in array.buffers()[1:3]
    )
    lengths = _selected_lengths(sizes, rows, mask)
    child = _clean(array.values, _range_positions(starts if rows is None else starts[rows], lengths), None)
    buffers = [pa.py_buffer(_offsets_from_lengths(lengths, dtype)[:-1].copy()), pa.py_buffer(lengths.astype(dtype))]
    return _build_array(_list_type(array.type, child), len(lengths), mask, buffers, [child])


def _selected_lengths(lengths: npt.NDArray[Any], rows: _RowSelection, mask: _Mask) -> npt.NDArray[Any]:
    selected = lengths if rows is None else lengths[rows]
    return selected if mask is None else np.where(mask, selected, 0)


def _range_positions(starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The positions start, start + 1, … of each range, one after the other."""
    before = _offsets_from_lengths(lengths, np.int64)
    return np.repeat(starts.astype(np.int64) - before[:-1], lengths) + np.arange(before[-1], dtype=np.int64)


def _list_type(type_: pa.DataType, child: pa.Array) -> pa.DataType:
    """The same list type for the cleaned child, without metadata."""
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


def _clean_fixed_list(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    size, mask = array.type.list_size, _present_mask(array, rows, alive)
    values = array.values.slice(array.offset * size, len(array) * size)
    within = None if rows is None else (rows[:, None] * size + np.arange(size)).reshape(-1)
    was = array.type.value_field
    child = _clean_child(was, values, within, None if mask is None else np.repeat(mask, size))
    field = pa.field(was.name, child.type, was.nullable)
    return _build_array(pa.list_(field, size), _row_count(array, rows), mask, [], [child])


def _clean_struct(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    mask = _present_mask(array, rows, alive)
    old = [array.type.field(index) for index in range(array.type.num_fields)]
    children = [_clean_child(was, array.field(index), rows, mask) for index, was in enumerate(old)]
    fields = [pa.field(was.name, child.type, was.nullable) for was, child in zip(old, children, strict=True)]
    return _build_array(pa.struct(fields), _row_count(array, rows), mask, [], children)


def _clean_child(field: pa.Field, array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    """The child of parents that may be null. If the child must not be null, it is zero or empty under a null parent."""
    child = _clean(array, rows, alive)
    return child if field.nullable or array.null_count else _without_nulls(child)


def _without_nulls(array: pa.Array) -> pa.Array:
    """The same array with zeros and empty values in place of nulls."""
    if array.null_count == 0:
        return array
    if pa.types.is_dictionary(array.type):
        values = array.dictionary if len(array.dictionary) else _without_nulls(pa.nulls(1, array.type.value_type))
        return pa.DictionaryArray.from_arrays(_without_nulls(array.indices), values, ordered=array.type.ordered)
    if not array.type.num_fields:
        return _build_array(array.type, len(array), None, array.buffers()[1:])
    is_struct = pa.types.is_struct(array.type)
    children = [array.field(index) for index in range(array.type.num_fields)] if is_struct else [array.values]
    return _build_array(array.type, len(array), None, array.buffers()[1 : array.type.num_buffers], children)


def _clean_dictionary(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    codes = _dictionary_codes(array.indices, rows)
    mask = _present_mask(array.indices, rows, alive)
    entries = _present_mask(array.dictionary, None, None)
    if entries is not None:
        named = entries[codes if mask is None else np.where(mask, codes, 0)]
        mask = named if mask is None else mask & named
    used = _used_entries(codes if mask is None else codes[mask], len(array.dictionary))
    whole = len(used) == len(array.dictionary)
    values, merged = _distinct_entries(_clean(array.dictionary, None if whole else used, None))
    if whole and merged is None and entries is None and rows is None:
        indices = _clean_fixed_width(array.indices, None, mask)
        return pa.DictionaryArray.from_arrays(indices, values, ordered=array.type.ordered, safe=False)
    renamed = np.zeros(max(len(array.dictionary), 1), codes.dtype)
    renamed[used] = np.arange(len(used)) if merged is None else merged
    fresh = renamed[codes if mask is None else np.where(mask, codes, 0)]
    fresh = fresh if mask is None else np.where(mask, fresh, codes.dtype.type(0))
    indices = _build_array(array.indices.type, len(fresh), mask, [pa.py_buffer(np.ascontiguousarray(fresh))])
    return pa.DictionaryArray.from_arrays(indices, values, ordered=array.type.ordered)


def _dictionary_codes(indices: pa.Array, rows: _RowSelection) -> npt.NDArray[Any]:
    sign = "u" if pa.types.is_unsigned_integer(indices.type) else "i"
    codes = _buffer_view(indices.buffers()[1], np.dtype(f"{sign}{indices.type.bit_width // 8}"))
    codes = codes[indices.offset : indices.offset + len(indices)]
    return codes if rows is None else codes[rows]


def _used_entries(codes: npt.NDArray[Any], entries: int) -> npt.NDArray[np.int64]:
    """The entries that the codes refer to, in order."""
    is_used = np.zeros(entries, np.bool_)
    for start in range(0, len(codes), _BLOCK):
        is_used[codes[start : start + _BLOCK]] = True
        if entries < _BLOCK // 8 and is_used.all():
            break
    return np.flatnonzero(is_used)


def _distinct_entries(values: pa.Array) -> tuple[pa.Array, npt.NDArray[Any] | None]:
    """The distinct values in order, and for each value its index among them; None if all are distinct."""
    if all_distinct(values):
        return values, None
    try:
        encoded = _encodable(values).dictionary_encode()
    except pa.ArrowNotImplementedError:
        return values, None
    if len(encoded.dictionary) == len(values):
        return values, None
    places = encoded.indices.to_numpy()
    return _clean(values, np.unique(places, return_index=True)[1].astype(np.int64), None), places


def _encodable(values: pa.Array) -> pa.Array:
    if pa.types.is_string_view(values.type):
        return values.cast(pa.large_string())
    return values.cast(pa.large_binary()) if pa.types.is_binary_view(values.type) else values


def _clean_run_ends(array: pa.Array, rows: _RowSelection, alive: _Mask) -> pa.Array:
    cleaned = _clean(pc.run_end_decode(array), rows, alive)
    return pc.run_end_encode(cleaned, run_end_type=array.type.run_end_type)


def _any_of(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether at least one of the tests is true for a type."""
    return lambda type_: any(test(type_) for test in tests)


_CLEANERS: tuple[tuple[Callable[[Any], bool], _Cleaner], ...] = (
    (pa.types.is_null, _clean_null),
    (pa.types.is_boolean, _clean_boolean),
    (
        _any_of(pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary),
        _clean_binary,
    ),
    (pa.types.is_dictionary, _clean_dictionary),
    (_any_of(pa.types.is_string_view, pa.types.is_binary_view), _clean_binary_view),
    (_any_of(pa.types.is_list, pa.types.is_large_list, pa.types.is_map), _clean_list),
    (pa.types.is_struct, _clean_struct),
    (pa.types.is_fixed_size_list, _clean_fixed_list),
    (_any_of(pa.types.is_list_view, pa.types.is_large_list_view), _clean_list_view),
    (pa.types.is_run_end_encoded, _clean_run_ends),
)

_CLEANERS_BY_TYPE_ID: dict[int, _Cleaner] = {
    **{type_.id: _clean_binary for type_ in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())},
    **{type_.id: _clean_fixed_width for type_ in (pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.date32())},
    pa.timestamp("us").id: _clean_fixed_width,
    pa.bool_().id: _clean_boolean,
    pa.dictionary(pa.int32(), pa.string()).id: _clean_dictionary,
}
"""The most frequent types, to find their cleaner by a lookup."""


def scrub(data: Any, schema: pa.Schema | None = None) -> Any:
    """Equal data whose buffers contain only the visible values.

    Takes an array or a record batch. Returns the same type. A dictionary keeps only the entries in use, each once, in order,
    without null. Metadata is dropped and replaced by that of `schema`, whose columns match those of the batch by name; a plain
    type in it also matches its dictionary encoding. Nulls stay null. Raises SchemaError for a union, an extension type, or a
    column that is not in the schema.

    >>> rest = scrub(pa.array(["kept", "dropped"]).dictionary_encode()[:1])
    >>> rest.dictionary.to_pylist()
    ['kept']
    """
    if not isinstance(data, pa.RecordBatch):
        return _clean(data, None, None)
    if not data.num_columns:
        return data.replace_schema_metadata(None if schema is None else schema.metadata)
    return scrub_columns(data.columns, data.schema.names, schema)


def scrub_columns(
    columns: Iterable[pa.Array], names: Sequence[str], schema: pa.Schema | None, *, for_parquet: bool = False
) -> pa.RecordBatch:
    """At least one column, with these names, as a batch scrubbed by `scrub`.

    With `for_parquet`, numbers and times keep their buffers: Parquet stores visible and valid values only.
    """
    arrays = [
        column
        if for_parquet and _CLEANERS_BY_TYPE_ID.get(column.type.id) is _clean_fixed_width
        else _clean(column, None, None)
        for column in columns
    ]
    if schema is not None and schema.names == names and schema.types == [array.type for array in arrays]:
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    fields = [_output_field(name, array, schema) for name, array in zip(names, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, None if schema is None else schema.metadata))


def _output_field(name: str, array: pa.Array, schema: pa.Schema | None) -> pa.Field:
    if schema is None:
        return pa.field(name, array.type)
    index = schema.get_field_index(name)
    if index < 0:
        raise SchemaError("a batch has a column that is not in the schema of the output")
    allowed = schema.field(index)
    return allowed if allowed.type == array.type else pa.field(name, array.type, allowed.nullable, allowed.metadata)
