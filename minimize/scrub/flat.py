"""Cleaning arrays without children: nulls, booleans, fixed width, strings and bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.scrub.buffers import (
    Mask,
    Rows,
    build,
    cut,
    offset_type,
    offsets_of,
    packed,
    present,
    summed,
    unpacked,
    view,
    wanted,
)


def null(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """As many nulls as are wanted."""
    return pa.nulls(wanted(array, rows))


def boolean(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """Booleans: bits under nulls and after the end are zero."""
    mask = present(array, rows, alive)
    if not len(array):
        return pa.array([], array.type)
    bits = unpacked(array.buffers()[1], array.offset, len(array))
    bits = bits if rows is None else bits[rows]
    return build(array.type, len(bits), mask, [packed(bits if mask is None else bits & mask)])


def fixed(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """Values of fixed width: those under nulls are zero."""
    mask, width, buffer = present(array, rows, alive), array.type.bit_width // 8, array.buffers()[1]
    start, stop = array.offset * width, (array.offset + len(array)) * width
    if rows is None and mask is None:
        return build(array.type, len(array), None, [cut(buffer, start, stop)])
    values = view(buffer, np.uint8)[start:stop].reshape(len(array), width)
    values = _words(values, width)
    values = values if rows is None else values[rows]
    values = values if mask is None else _zeroed(values, mask)
    return build(array.type, len(values), mask, [pa.py_buffer(np.ascontiguousarray(values).reshape(-1))])


def _zeroed(values: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """A copy with zeros where the mask is false: words times zero or one, which costs a fraction of picking rows."""
    zeroed: npt.NDArray[Any] = np.multiply(values, mask if values.ndim == 1 else mask[:, None], dtype=values.dtype)
    return zeroed


def _words(values: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    """Rows of bytes as machine words where a word fits."""
    return values.view(f"u{width}")[:, 0] if width in (1, 2, 4, 8) and values.flags.c_contiguous else values


def binary(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """Strings and bytes: only those that are shown."""
    dtype, mask = offset_type(array.type), present(array, rows, alive)
    offsets = offsets_of(array, dtype)
    if rows is None and (mask is None or not np.diff(offsets)[~mask].any()):
        return build(array.type, len(array), mask, _contiguous(array, offsets))
    picked = _picked(array, rows, mask)
    inner = offsets_of(picked, dtype)
    lengths = np.zeros(wanted(array, rows), dtype)
    lengths[slice(None) if mask is None else mask] = np.diff(inner)
    data = cut(picked.buffers()[2], int(inner[0]), int(inner[-1]))
    return build(array.type, len(lengths), mask, [pa.py_buffer(summed(lengths, dtype)), data])


def _contiguous(array: pa.Array, offsets: npt.NDArray[Any]) -> list[pa.Buffer]:
    data = cut(array.buffers()[2], int(offsets[0]), int(offsets[-1]))
    return [pa.py_buffer(offsets if offsets[0] == 0 else offsets - offsets[0]), data]


def _picked(array: pa.Array, rows: Rows, mask: Mask) -> pa.Array:
    """The wanted values that are there, copied into buffers of their own."""
    if rows is None:
        return array.filter(pa.array(mask))
    return array.take(pa.array(rows if mask is None else rows[mask]))


def binary_view(array: pa.Array, rows: Rows, alive: Mask) -> pa.Array:
    """Views of strings and bytes, with data of their own."""
    plain = pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary()
    return binary(array.cast(plain), rows, alive).cast(array.type)
