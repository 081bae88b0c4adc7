"""Columns of codes as one code: a code for each combination that was seen, the same over all batches.

A combination is an integer: each column has some of its bits, more as its codes grow. What does not fit into one integer goes
on in the next, behind the code of what stands before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.codebook import Integers

_WHOLE: Final = 62
"""Bits of an integer."""
_CODE: Final = 31
"""Bits that a code may have."""
_SPARE: Final = 2
"""Bits that a column gets beyond those that it wants."""


class Combinations:
    """Hands out codes in the order in which combinations first come. Codes that come in are below 2**31.

    >>> seen = Combinations(2)
    >>> seen.encode([np.array([7, 0, 7]), np.array([1, 1, 1])], 3).tolist()
    [0, 1, 0]
    >>> [column.tolist() for column in seen.columns()]
    [[7, 0], [1, 1]]
    """

    def __init__(self, columns: int) -> None:
        self._bits = [_SPARE] * columns
        self._steps = list(_planned(self._bits))

    def __len__(self) -> int:
        return len(self._steps[-1])

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The code of each of so many rows."""
        wanted = [int(column.max(initial=0)).bit_length() for column in columns]
        if any(want > bits for want, bits in zip(wanted, self._bits, strict=True)):
            self._widen(wanted)
        return self._encode(columns, rows)

    def columns(self, codes: Codes | None = None) -> list[Codes]:
        """Each column's code in each combination, or in some."""
        left = np.arange(len(self)) if codes is None else codes
        found: list[Codes] = []
        for step in reversed(self._steps):
            left, some = step.columns(left)
            found = [*some, *found]
        return found

    def _encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        codes, at = np.zeros(rows, np.int64), 0
        for step in self._steps:
            end = at + len(step.bits)
            codes, at = step.encode(codes, columns[at:end]), end
        return codes

    def _widen(self, wanted: Sequence[int]) -> None:
        """More bits for what has too few. What was seen keeps its code: it comes again in the same order."""
        known, count = self.columns(), len(self)
        pairs = zip(wanted, self._bits, strict=True)
        self._bits = [bits if want <= bits else min(want + _SPARE, _CODE) for want, bits in pairs]
        self._steps = list(_planned(self._bits))
        self._encode(known, count)


class _Step:
    """The columns that are in one integer, behind the code of those before."""

    def __init__(self, bits: Sequence[int]) -> None:
        self.bits = bits
        self._seen = Integers()

    def __len__(self) -> int:
        return len(self._seen)

    def encode(self, before: Codes, columns: Sequence[Codes]) -> Codes:
        packed = before
        for column, bits in zip(columns, self.bits, strict=True):
            packed = packed << bits
            packed |= column
        encoded = pa.array(packed).dictionary_encode()
        places: Codes = encoded.indices.to_numpy()
        return self._seen.codes(encoded.dictionary.to_numpy()).take(places)

    def columns(self, codes: Codes) -> tuple[Codes, list[Codes]]:
        """The codes before, and the columns."""
        packed, found = self._seen.values[codes], list[Codes]()
        for bits in reversed(self.bits):
            found.insert(0, packed & ((1 << bits) - 1))
            packed = packed >> bits
        return packed, found


def _planned(bits: Sequence[int]) -> Iterator[_Step]:
    """As many columns a step as its integer has bits for."""
    some: list[int] = []
    room = _WHOLE
    for each in bits:
        if sum(some) + each > room:
            yield _Step(some)
            some, room = [], _WHOLE - _CODE
        some.append(each)
    yield _Step(some)
