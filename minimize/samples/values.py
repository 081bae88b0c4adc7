"""Columns of generated values, by the million: random ids, times, digits, and picks from small pools."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Random = np.random.Generator

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_SERIAL = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789", np.uint8)
_DASHES = (8, 12, 16, 20)


def guids(random: Random, count: int) -> pa.StringArray:
    """Random GUIDs of version 4."""
    letters = _HEX[random.integers(0, 16, (count, 32), np.uint8)]
    letters[:, 12] = ord("4")
    letters[:, 16] = _HEX[random.integers(8, 12, count, np.uint8)]
    return fixed(np.insert(letters, _DASHES, ord("-"), axis=1))


def serials(random: Random, count: int, width: int = 10) -> pa.StringArray:
    """Serial numbers that no manufacturer gave."""
    return fixed(_SERIAL[random.integers(0, 32, (count, width), np.uint8)])


def macs(random: Random, count: int) -> pa.StringArray:
    """Locally administered MAC addresses."""
    letters = np.full((count, 17), ord(":"), np.uint8)
    places = [place for place in range(17) if place % 3 != 2]
    letters[:, places] = _HEX[random.integers(0, 16, (count, 12), np.uint8)]
    letters[:, :2] = np.frombuffer(b"02", np.uint8)
    return fixed(letters)


def imeis(random: Random, count: int) -> pa.StringArray:
    """IMEIs of the test range (type allocation code 00101700), with their check digit."""
    digits = np.zeros((count, 15), np.uint8)
    digits[:, :8] = [0, 0, 1, 0, 1, 7, 0, 0]
    digits[:, 8:14] = random.integers(0, 10, (count, 6), np.uint8)
    doubled = digits[:, 1:14:2] * 2
    total = digits[:, 0:14:2].sum(axis=1) + (doubled // 10 + doubled % 10).sum(axis=1)
    digits[:, 14] = (10 - total % 10) % 10
    return fixed(digits + ord("0"))


def fixed(letters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Strings of equal length from a matrix of ASCII codes."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters).tobytes())
    )


def times(milliseconds: Ints) -> pa.StringArray:
    """Instants (milliseconds since 1970, UTC) as ISO 8601 with `Z`."""
    text = pa.array(milliseconds, pa.timestamp("ms", "UTC")).cast(pa.string())
    return pc.utf8_replace_slice(text, 10, 11, "T")


def days(numbers: Ints) -> pa.StringArray:
    """Days since 1970 as ISO 8601 dates."""
    return pa.array(numbers.astype(np.int32), pa.int32()).cast(pa.date32()).cast(pa.string())


def codes(random: Random, count: int, size: int, skew: float = 0.0) -> Ints:
    """Picks from a pool of so many: even, or with the first more frequent than the last, the more the higher the skew."""
    if not skew:
        return random.integers(0, size, count)
    weights = 1.0 / np.arange(1, size + 1) ** skew
    return np.searchsorted(np.cumsum(weights / weights.sum()), random.random(count)).clip(0, size - 1)


def weighted(random: Random, count: int, weights: Sequence[float]) -> Ints:
    """Picks from a pool by weight."""
    return random.choice(len(weights), count, p=np.asarray(weights) / sum(weights))


def chance(random: Random, count: int, share: float) -> Bools:
    """True for about this share of the rows."""
    return random.random(count) < share


def only(values: pa.Array, where: Bools) -> pa.Array:
    """The values where the mask is true, null elsewhere."""
    return pc.if_else(pa.array(where), values, pa.nulls(len(values), values.type))
