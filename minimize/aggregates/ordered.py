"""Numbers and times as unsigned words that are in the same order, and back."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.spill import Words

_TOP: Final = np.uint64(1 << 63)
_WHOLE: Final = 1 << 52
"""Integers below this one and halves between them are doubles."""


def ordered(values: pa.Array) -> Words:
    """Words of which those of a smaller value are smaller, the first before the second; NaN is above all.

    Takes a plain column of numbers or times without nulls.
    """
    if pa.types.is_decimal(values.type):
        return _of_decimals(values)
    if pa.types.is_floating(values.type):
        return _of_doubles(values.cast(pa.float64()).to_numpy())[:, None]
    if pa.types.is_uint64(values.type):
        return np.asarray(values, np.uint64)[:, None]
    whole = values.cast(pa.int32()) if pa.types.is_date32(values.type) else values
    numbers: npt.NDArray[np.int64] = whole.cast(pa.int64()).to_numpy()
    return (numbers.view(np.uint64) ^ _TOP)[:, None]


def width_of(type_: pa.DataType) -> int:
    """How many words a value has."""
    return 1 + type_.bit_width // 64 if pa.types.is_decimal(type_) and type_.bit_width > 64 else _narrow(type_)


def values_of(words: Words, type_: pa.DataType) -> pa.Array:
    """The values again."""
    if pa.types.is_decimal(type_):
        return _decimals(words, type_)
    first = np.ascontiguousarray(words[:, 0])
    if pa.types.is_floating(type_):
        bits = np.where(first & _TOP, first ^ _TOP, ~first)
        return pa.array(bits.view(np.float64)).cast(type_)
    if pa.types.is_uint64(type_):
        return pa.array(first)
    whole = pa.array((first ^ _TOP).view(np.int64))
    return whole.cast(pa.int32()).cast(type_) if pa.types.is_date32(type_) else whole.cast(type_)


def _narrow(type_: pa.DataType) -> int:
    return 3 if pa.types.is_decimal(type_) else 1


def _of_doubles(values: npt.NDArray[Any]) -> Words:
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    bits = canonical.view(np.uint64)
    return np.where(bits & _TOP, ~bits, bits | _TOP)


def _of_decimals(values: pa.Array) -> Words:
    """First about how large a value is, so that the first word tells most of them apart; then all of it."""
    if values.type.bit_width < 128:
        values = values.cast(pa.decimal128(values.type.precision, values.type.scale))
    width = values.type.bit_width // 64
    data = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, width)
    words = data[values.offset : values.offset + len(values)]
    high, low = words[:, -1], words[:, -2].view(np.uint64)
    about = high * 2.0**64 + np.where(np.abs(high) < _WHOLE, low.astype(np.float64), 0.0)
    signed = high.view(np.uint64) ^ _TOP
    rest = [words[:, place].view(np.uint64) for place in reversed(range(width - 1))]
    return np.column_stack([_of_doubles(about), signed, *rest])


def _decimals(words: Words, type_: pa.DataType) -> pa.Array:
    wide = type_ if type_.bit_width >= 128 else pa.decimal128(type_.precision, type_.scale)
    rest = [words[:, place] for place in reversed(range(2, words.shape[1]))]
    data = np.ascontiguousarray(np.column_stack([*rest, words[:, 1] ^ _TOP]))
    return pa.Array.from_buffers(wide, len(words), [None, pa.py_buffer(data)]).cast(type_)
