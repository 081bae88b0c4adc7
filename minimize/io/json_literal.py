"""Bytes looked for at many places of a text at once: all that is looked at is taken out in one go, a row for each place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minimize.io.rows import Mask

Marks = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
"""A row of eight bytes each for every place."""
WIDTH = 64
"""Bytes of a window."""
WINDOW = WIDTH - 1
"""How many of them are told apart: by the bits of a word but for its sign."""
_WINDOW = np.dtype(f"V{WIDTH}")
_FRACTION, _BIAS = 52, 1023
"""How a double is stored: bits of its fraction, what is added to its exponent."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Some bytes, compared eight by eight; of the last eight as many as there are.

    >>> text = np.frombuffer(b"banana".ljust(16), np.uint8)
    >>> Literal.of(b"na").met(words(text, np.arange(6), 8)).tolist()
    [False, False, True, False, True, False]
    """

    size: int
    words: tuple[np.uint64, ...]
    mask: np.uint64

    @classmethod
    def of(cls, data: bytes) -> Literal:
        """Takes the bytes, at least one."""
        width = -(-len(data) // 8) * 8
        every = np.frombuffer(data.ljust(width, b"\0"), np.uint64)
        mask = np.frombuffer((b"\xff" * len(data)).ljust(width, b"\0"), np.uint64)
        return cls(len(data), tuple(every), mask[-1])

    def __len__(self) -> int:
        return self.size

    @property
    def width(self) -> int:
        """How many bytes are looked at."""
        return 8 * len(self.words)

    def met(self, found: Words) -> Mask:
        """Whether rows begin with them; takes at least as many bytes as are looked at."""
        *others, last = self.words
        met: Mask = found[:, len(others)] & self.mask == last
        for place, word in enumerate(others):
            met &= found[:, place] == word
        return met


def words(text: Marks, places: npt.NDArray[np.int64], width: int = WIDTH) -> Words:
    """So many bytes (a multiple of eight) from each place on; behind it must be as many."""
    view = np.ndarray(len(text) - width + 1, _WINDOW if width == WIDTH else f"V{width}", text, strides=(1,))
    return view[places].view(np.uint64).reshape(-1, width // 8)


def first(found: Words, skip: int, marks: bytes) -> npt.NDArray[np.int64]:
    """Where one of the marks first stands in each row of a window, so many bytes skipped; negative where none does.

    >>> text = np.frombuffer(b"banana".ljust(80), np.uint8)
    >>> (first(words(text, np.arange(6)), 1, b"nb") < 0).tolist(), first(words(text, np.arange(3)), 1, b"nb").tolist()
    ([False, False, False, False, True, True], [2, 1, 2])
    """
    flat = found.view(np.uint8).ravel()
    met = flat == marks[0]
    for mark in marks[1:]:
        met |= flat == mark
    bits = np.packbits(met, bitorder="little").view("<i8")
    bits &= 2**WINDOW - 2**skip
    bits &= -bits
    return _exponents(bits.astype(np.float64))


def _exponents(powers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The exponents of powers of two, as a double holds them; negative for zero. Takes what nobody needs afterwards."""
    exponents = powers.view(np.int64)
    exponents >>= _FRACTION
    exponents -= _BIAS
    return exponents
