"""The bytes of a column's values one after another, whatever their type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Laid:
    """Values as their bytes, and where each begins, with the end of the last."""

    content: Bytes = field(repr=False)
    offsets: Offsets = field(repr=False)

    @classmethod
    def of(cls, values: Sequence[bytes]) -> Self:
        """Some values."""
        ends = np.cumsum([0, *map(len, values)])
        return cls(np.frombuffer(b"".join(values), np.uint8), ends)

    def one(self, row: int) -> bytes:
        """The bytes of one value."""
        return self.content[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def without(self, rows: Offsets) -> Laid:
        """The values, those of some rows empty."""
        sizes = np.diff(self.offsets)
        kept = np.repeat(~np.isin(np.arange(len(sizes)), rows), sizes)
        sizes[rows] = 0
        return Laid(self.content[self.offsets[0] : self.offsets[-1]][kept], np.append(0, np.cumsum(sizes)))


def laid_out(values: pa.Array) -> Laid:
    """The values of a plain column; what stands at a null means nothing."""
    return _text(values) if _is_text(values.type) else _fixed(values)


def _is_text(type_: pa.DataType) -> bool:
    tests = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{test}")(type_) for test in tests)


def _text(values: pa.Array) -> Laid:
    values = values.cast(pa.large_string() if _is_string(values.type) else pa.large_binary())
    _, offsets, data = values.buffers()
    ends: Offsets = np.frombuffer(offsets, np.int64) if len(values) else np.zeros(1, np.int64)
    content = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return Laid(content, ends[values.offset : values.offset + len(values) + 1] if len(values) else ends)


def _fixed(values: pa.Array) -> Laid:
    """Numbers as whole words, so that those of one value have one form."""
    words = _decimal(values) if pa.types.is_decimal(values.type) else _number(values)
    ends = np.arange(len(values) + 1) * (words.itemsize * words.shape[1])
    return Laid(np.ascontiguousarray(words).view(np.uint8).ravel(), ends)


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
