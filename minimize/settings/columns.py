"""Columns of records as numbers: who (as an index into those whom settings name) and when (microseconds)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.settings.timeline import Bools, Integers

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_MILLISECONDS_A_DAY = 86_400_000
_MICROSECONDS_A_DAY = 86_400_000_000
_NAMES = (pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
_FURTHEST = np.iinfo(np.int64).max


def index(values: pa.Array, known: pa.Array) -> Integers:
    """Where each value stands among the known strings, -1 for nowhere. Integers are compared in decimal."""
    if pa.types.is_dictionary(values.type):
        entries = np.append(index(values.dictionary, known), -1)
        indices = pc.fill_null(values.indices.cast(pa.int64()), len(values.dictionary))
        return np.asarray(entries[indices.to_numpy()], np.int64)
    found = pc.index_in(_text(values), value_set=known, skip_nulls=True).fill_null(-1)
    return np.array(found.to_numpy(zero_copy_only=False), np.int64)


def moments(times: pa.Array) -> Integers:
    """Timestamps or dates as whole microseconds since 1970, rounded down; what stands for null is any number."""
    if pa.types.is_dictionary(times.type):
        times = times.dictionary_decode()
    if pa.types.is_date32(times.type):
        return _scaled(_plain(times.cast(pa.int32())), _MICROSECONDS_A_DAY)
    if pa.types.is_date64(times.type):
        return _scaled(_plain(times.view(pa.int64())) // _MILLISECONDS_A_DAY, _MICROSECONDS_A_DAY)
    ticks, rate = _plain(times.view(pa.int64())), _PER_SECOND[times.type.unit]
    if rate > 1_000_000:
        return ticks // (rate // 1_000_000)
    return ticks if rate == 1_000_000 else _scaled(ticks, 1_000_000 // rate)


def _scaled(ticks: Integers, factor: int) -> Integers:
    """Times in microseconds. What lies further away than these reach is as far away as they do."""
    return np.clip(ticks.astype(np.int64), -(_FURTHEST // factor), _FURTHEST // factor) * factor


def named(values: pa.Array) -> Bools | None:
    """Where somebody is whom settings could name; None for everywhere."""
    plain = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if plain != pa.string() and not any(test(plain) for test in (*_NAMES, *_BYTES)):
        return np.zeros(len(values), np.bool_)
    return valid(values)


def valid(values: pa.Array) -> Bools | None:
    """Where a value is; None for everywhere."""
    if pa.types.is_dictionary(values.type) and values.dictionary.null_count:
        values = values.dictionary_decode()
    return np.array(pc.is_valid(values).to_numpy(zero_copy_only=False), np.bool_) if values.null_count else None


def _plain(numbers: pa.Array) -> Integers:
    if not numbers.null_count:
        return np.asarray(numbers.to_numpy(zero_copy_only=False), np.int64)
    return np.array(pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False), np.int64)


def _text(values: pa.Array) -> pa.Array:
    """The values as the strings that settings would name them by; bytes are UTF-8. What settings cannot name is null."""
    kind = values.type
    if kind == pa.string():
        return values
    if any(test(kind) for test in _BYTES):
        return values.cast(options=pc.CastOptions(pa.string(), allow_invalid_utf8=True))
    return values.cast(pa.string()) if any(test(kind) for test in _NAMES) else pa.nulls(len(values), pa.string())
