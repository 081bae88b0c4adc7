"""Bytes looked for at many places of a text at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minimize.io.rows import Mask

Marks = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Literal:
    """Some bytes, compared eight by eight; of the last eight as many as there are.

    >>> Literal.of(b"na").met(np.frombuffer(b"banana".ljust(16), np.uint8), np.arange(6)).tolist()
    [False, False, True, False, True, False]
    """

    size: int
    words: tuple[np.uint64, ...]
    mask: np.uint64

    @classmethod
    def of(cls, data: bytes) -> Literal:
        """Takes the bytes, at least one."""
        width = -(-len(data) // 8) * 8
        words = np.frombuffer(data.ljust(width, b"\0"), np.uint64)
        mask = np.frombuffer((b"\xff" * len(data)).ljust(width, b"\0"), np.uint64)
        return cls(len(data), tuple(words), mask[-1])

    def __len__(self) -> int:
        return self.size

    def met(self, text: Marks, places: npt.NDArray[np.int64]) -> Mask:
        """Whether they stand at each place; behind it must be as many bytes, and up to seven more."""
        width = 8 * len(self.words)
        view = np.ndarray(len(text) - width + 1, f"V{width}", text.data, strides=(1,))
        found = view[places].view(np.uint64).reshape(-1, len(self.words))
        *others, last = self.words
        met: Mask = found[:, -1] & self.mask == last
        for place, word in enumerate(others):
            met &= found[:, place] == word
        return met
