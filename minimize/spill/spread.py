"""Where the bytes of a column's values lie, whatever their type, and eight of them of every value at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]
Sizes = npt.NDArray[np.int64]
_MASKS: Final = tuple((1 << (8 * size)) - 1 for size in range(9))
_SPARE: Final = 8
"""Bytes behind the last value, so that eight can be read anywhere."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Values in some bytes: the length of each, and where what stands for it starts there, and its size."""

    lengths: Sizes
    starts: Sizes
    sizes: Sizes
    content: npt.NDArray[np.uint8] = field(repr=False)

    def heads(self, domain: int) -> Words:
        """What each value's encoding starts with: the domain and the length."""
        return self.lengths.astype(np.uint64) | np.uint64(domain << 56)

    def word(self, place: int, count: int) -> Words:
        """The eight bytes from a place on of the first so many values, zeros behind their ends."""
        anywhere: Words = np.ndarray((len(self.content) - 7,), np.uint64, self.content.data, strides=(1,))
        rest = np.clip(self.sizes[:count] - place, 0, 8)
        starts = np.minimum(self.starts[:count] + place, len(anywhere) - 1)
        return anywhere[starts] & np.array(_MASKS, np.uint64)[rest]

    def at(self, rows: Sizes) -> Spread:
        """The values of these rows."""
        return Spread(self.lengths[rows], self.starts[rows], self.sizes[rows], self.content)

    def of(self, rows: Sizes) -> tuple[list[int], list[int]]:
        """Where these values start, and their sizes."""
        return self.starts[rows].tolist(), self.sizes[rows].tolist()

    def with_(self, rows: Sizes, instead: Sequence[bytes]) -> Spread:
        """The values with other bytes, equally many for each, standing for those of these rows."""
        size = len(instead[0])
        starts, sizes = self.starts.copy(), self.sizes.copy()
        starts[rows] = len(self.content) + size * np.arange(len(rows))
        sizes[rows] = size
        return Spread(
            self.lengths, starts, sizes, _roomy(self.content, *(np.frombuffer(each, np.uint8) for each in instead))
        )


def laid_out(values: pa.Array) -> Spread:
    """The values of a plain column; what stands at a null means nothing."""
    return _text(values) if is_text(values.type) else _fixed(values)


def is_text(type_: pa.DataType) -> bool:
    """Whether values have lengths of their own."""
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(type_) for test in tests)


def _text(values: pa.Array) -> Spread:
    values = values.cast(pa.large_string() if _is_string(values.type) else pa.large_binary())
    _, offsets, data = values.buffers()
    ends: Sizes = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    low, high = int(ends[0]), int(ends[-1])
    content = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)[low:high]
    sizes = np.diff(ends)
    return Spread(sizes, ends[:-1] - low, sizes, _roomy(content))


def _fixed(values: pa.Array) -> Spread:
    """Numbers as whole words, so that those of one value have one form."""
    words = _decimal(values) if pa.types.is_decimal(values.type) else _number(values)
    sizes = np.full(len(values), words.itemsize * words.shape[1], np.int64)
    return Spread(
        sizes, np.arange(len(values)) * sizes, sizes, _roomy(np.ascontiguousarray(words).view(np.uint8).ravel())
    )


def _number(values: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_floating(values.type):
        doubles = values.cast(pa.float64()).fill_null(0.0).to_numpy() + 0.0
        return np.where(np.isnan(doubles), np.nan, doubles)[:, None]
    if pa.types.is_boolean(values.type) or pa.types.is_unsigned_integer(values.type):
        return np.asarray(values.cast(pa.uint64()).fill_null(0))[:, None]
    if values.type.bit_width == 32 and not pa.types.is_integer(values.type):
        values = values.cast(pa.int32())
    return np.asarray(values.cast(pa.int64()).fill_null(0))[:, None]


def _decimal(values: pa.Array) -> npt.NDArray[np.int64]:
    if values.type.bit_width < 128:
        values = values.cast(pa.decimal128(values.type.precision, values.type.scale))
    width = values.type.bit_width // 64
    words = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, width)
    return words[values.offset : values.offset + len(values)]


def _is_string(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _roomy(*parts: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.concatenate([*parts, np.zeros(_SPARE, np.uint8)])
