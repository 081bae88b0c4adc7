"""Columns of generated values, by the million: random ids, times, digits, and picks from small pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Random = np.random.Generator

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_CAPITALS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
_SERIAL = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789", np.uint8)
_DASHES = (8, 12, 16, 20)


def guids(random: Random, count: int) -> pa.StringArray:
    """Random GUIDs of version 4."""
    digits = random.integers(0, 16, (count, 32), np.uint8)
    digits[:, 12] = 4
    digits[:, 16] = 8 + digits[:, 16] % 4
    return fixed(np.insert(_HEX[digits], _DASHES, ord("-"), axis=1))


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
    """IMEIs of the test range (type allocation code 00101700), with their check digit. A million of them differ."""
    return checked("00101700", random.integers(0, 1_000_000) + np.arange(count) * 611_953, 6)


def iccids(random: Random, count: int) -> pa.StringArray:
    """Numbers of SIM cards of country code 999, which is not assigned, with their check digit."""
    return checked("8999901", random.integers(0, 10**11, count), 11)


def checked(prefix: str, numbers: Ints, width: int) -> pa.StringArray:
    """The prefix, the last digits of each number, and the check digit after Luhn (ISO/IEC 7812-1)."""
    digits = np.zeros((len(numbers), len(prefix) + width), np.int64)
    digits[:, : len(prefix)] = [int(digit) for digit in prefix]
    digits[:, len(prefix) :] = numbers[:, np.newaxis] // 10 ** np.arange(width)[::-1] % 10
    doubled = digits[:, ::-1][:, ::2] * 2
    total = digits[:, ::-1][:, 1::2].sum(axis=1) + (doubled // 10 + doubled % 10).sum(axis=1)
    return fixed(np.column_stack([digits, -total % 10]).astype(np.uint8) + np.uint8(ord("0")))


def hexadecimals(random: Random, count: int, width: int) -> pa.StringArray:
    """Random hexadecimal digits in capitals."""
    return fixed(_CAPITALS[random.integers(0, 16, (count, width), np.uint8)])


def secrets(random: Random, count: int, width: int = 24) -> pa.StringArray:
    """Random letters and digits that open nothing."""
    return fixed(_LETTERS[random.integers(0, 64, (count, width), np.uint8)])


def fixed(letters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Strings of equal length from a matrix of ASCII codes."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters).tobytes())
    )


def codes(random: Random, count: int, size: int, skew: float = 0.0) -> Ints:
    """Picks from a pool of so many: even, or with the first more frequent than the last, the more the higher the skew."""
    if not skew:
        return random.integers(0, size, count)
    weights = 1.0 / np.arange(1, size + 1) ** skew
    return np.searchsorted(np.cumsum(weights / weights.sum()), random.random(count)).clip(0, size - 1)


def weighted(random: Random, count: int, weights: Sequence[float]) -> Ints:
    """Picks from a pool by weight."""
    return random.choice(len(weights), count, p=np.asarray(weights) / sum(weights))


def spread(random: Random, count: int, weights: Sequence[float], step: float) -> Ints:
    """Picks from a pool by weight, evenly: of the first so many, each has its share. `step` is irrational, one per column.

    Source: the additive recurrence of Kronecker, as in Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods.
    """
    places = (random.random() + np.arange(count) * step) % 1
    return np.searchsorted(np.cumsum(np.asarray(weights) / sum(weights)), places).clip(0, len(weights) - 1)


def chance(random: Random, count: int, share: float) -> Bools:
    """True for about this share of the rows."""
    return random.random(count) < share


def ordinals(groups: Ints) -> Ints:
    """How many of the rows before each row are of its group."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(groups)]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(groups)), 0))
    result = np.empty(len(groups), np.int64)
    result[order] = np.arange(len(groups)) - starts
    return result


def picked(pool: Sequence[Any], codes: Ints, where: Bools | None = None, type: pa.DataType | None = None) -> pa.Array:
    """Values of a pool by their place in it, dictionary-encoded; null where the mask is false."""
    rows = pa.array(codes.astype(np.int32), mask=None if where is None else ~where)
    return pa.DictionaryArray.from_arrays(rows, pa.array(pool, type))


def taken(column: pa.Array, rows: Ints) -> pa.Array:
    """The values at these places, null for a negative one."""
    return column.take(pa.array(rows, mask=rows < 0))


def only(values: pa.Array, where: Bools) -> pa.Array:
    """The values where the mask is true, null elsewhere."""
    return taken(values, np.where(where, np.arange(len(values)), -1))


def instants(milliseconds: Ints) -> pa.TimestampArray:
    """Milliseconds since 1970, UTC, as times."""
    return pa.array(milliseconds, pa.timestamp("ms", "UTC"))


def dates(days: Ints) -> pa.Date32Array:
    """Days since 1970 as dates."""
    return pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32())
