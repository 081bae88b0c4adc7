"""Columns of text, made whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
PER_NETWORK = 25
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DASHED = [*range(8), *range(9, 13), *range(14, 18), *range(19, 23), *range(24, 36)]


def fixed(letters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Texts of one length from a matrix of ASCII letters."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))


def hexes(random: np.random.Generator, count: int, width: int) -> npt.NDArray[np.uint8]:
    """Random hexadecimal letters, as a matrix."""
    bits = random.integers(0, 256, (count, -(-width // 2)), dtype=np.uint8)
    both = np.stack([bits >> 4, bits & 15], axis=2).reshape(count, -1)
    return _HEX[both[:, :width]]


def guids(random: np.random.Generator, count: int) -> pa.StringArray:
    """Random GUIDs."""
    letters = np.full((count, 36), ord("-"), np.uint8)
    letters[:, _DASHED] = hexes(random, count, 32)
    return fixed(letters)


def digits(random: np.random.Generator, count: int, width: int) -> pa.StringArray:
    """Random decimal digits."""
    return fixed(random.integers(48, 58, (count, width)).astype(np.uint8))


def pick(words: Sequence[str] | pa.Array, codes: Ints) -> pa.StringArray:
    """The words at these places."""
    pool = words if isinstance(words, pa.Array) else pa.array(words, pa.string())
    return pool.take(pa.array(codes))


def joined(*parts: pa.Array | str) -> pa.StringArray:
    """Texts side by side."""
    return pc.binary_join_element_wise(*(pa.scalar(part) if isinstance(part, str) else part for part in parts), "")


def numbers(values: Ints) -> pa.StringArray:
    """Whole numbers as text."""
    return pa.array(values).cast(pa.string())


def sometimes(values: pa.Array, random: np.random.Generator, share: float) -> pa.Array:
    """The values, null where chance says so."""
    there = pa.array(random.random(len(values)) < share)
    return pc.if_else(there, values, pa.nulls(len(values), values.type))


def addresses(random: np.random.Generator, count: int, v6: float = 0.15) -> pa.StringArray:
    """IP addresses in their canonical form, some of them IPv6, a few dozen in a network."""
    networks = -(-count // PER_NETWORK)
    octets = [numbers(random.integers(1, 255, networks)) for _ in range(3)]
    four = joined(*(part for octet in octets for part in (octet, ".")))
    six = joined("2001:db8:", pick(_WORDS, random.integers(0, len(_WORDS), networks)), ":")
    network = random.integers(0, networks, count)
    hosts = [pick(_WORDS, random.integers(0, len(_WORDS), count)) for _ in range(2)]
    full = joined(pick(six, network), hosts[0], "::", hosts[1])
    short = joined(pick(four, network), numbers(random.integers(1, 255, count)))
    return pc.if_else(pa.array(random.random(count) < v6), full, short)


_WORDS = [f"{word:x}" for word in range(1, 65_536)]
