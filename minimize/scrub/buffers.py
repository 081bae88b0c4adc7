"""The parts of Arrow arrays as numpy sees them: bitmaps, offsets, values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rows = npt.NDArray[np.int64] | None
Mask = npt.NDArray[np.bool_] | None
Kind = Callable[[Any, Rows, Mask], Any]
"""How one kind of array is cleaned: the array, the rows wanted in their order (None for all), which of these are to be there
(None for all)."""

LARGE: Final = frozenset(
    type_.id
    for type_ in (pa.large_string(), pa.large_binary(), pa.large_list(pa.null()), pa.large_list_view(pa.null()))
)


def present(array: pa.Array, rows: Rows, alive: Mask) -> Mask:
    """Which of the wanted rows are there; None when all are."""
    mask = None if array.null_count == 0 else unpacked(array.buffers()[0], array.offset, len(array))
    if mask is not None and rows is not None:
        mask = mask[rows]
    if alive is not None:
        mask = alive if mask is None else mask & alive
    return None if mask is None or mask.all() else mask


def build(
    type_: pa.DataType, length: int, mask: Mask, buffers: Sequence[Any], children: Sequence[Any] = ()
) -> pa.Array:
    """An array from its parts, validity first."""
    return pa.Array.from_buffers(type_, length, [packed(mask), *buffers], children=list(children))


def wanted(array: pa.Array, rows: Rows) -> int:
    """How many rows are wanted."""
    return len(array) if rows is None else len(rows)


def unpacked(buffer: pa.Buffer, offset: int, length: int) -> npt.NDArray[np.bool_]:
    """A run of a bitmap as booleans."""
    first, last = offset // 8, (offset + length + 7) // 8
    bits = np.unpackbits(view(buffer, np.uint8)[first:last], bitorder="little")
    return bits[offset - first * 8 :][:length].view(np.bool_)


def packed(mask: Mask) -> pa.Buffer | None:
    """A mask as a validity bitmap with nothing after its end; none for None."""
    return None if mask is None else pa.py_buffer(np.packbits(mask, bitorder="little"))


def view(buffer: pa.Buffer | None, dtype: Any) -> npt.NDArray[Any]:
    """A buffer as an array of whole items; an empty one for None."""
    return (
        np.empty(0, dtype) if buffer is None else np.frombuffer(buffer, dtype, buffer.size // np.dtype(dtype).itemsize)
    )


def cut(buffer: pa.Buffer | None, start: int, stop: int) -> pa.Buffer:
    """A part of a buffer, not copied."""
    return pa.py_buffer(b"") if buffer is None else buffer.slice(start, stop - start)


def offsets_of(array: pa.Array, dtype: Any) -> npt.NDArray[Any]:
    """The offsets of an array of variable length, one more than it has rows."""
    found = view(array.buffers()[1], dtype)[array.offset : array.offset + len(array) + 1]
    return found if len(found) else np.zeros(1, dtype)


def summed(lengths: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """Offsets from lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def offset_type(type_: pa.DataType) -> Any:
    """The type of its offsets."""
    return np.int64 if type_.id in LARGE else np.int32
