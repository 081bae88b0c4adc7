"""Columns of codes as one code: a code for each combination that was seen, the same over all batches.

The widest two columns become one code by a look into a table with a cell for each pair, that code and the next column another
one, and so on: what goes on is how many combinations were seen, not how many there could be. From where on a table would be too
large, the columns that are left are one integer, or several, and told apart by a hash table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.aggregates.tabled import Tabled
from minimize.codebook import Integers

_WHOLE: Final = 62
"""Bits of an integer."""
_CODE: Final = 31
"""Bits that a code may have."""
_CELLS: Final = 1 << 22
"""Cells that a table may have."""
_LEAST: Final = 1 << 16
_PER_ROW: Final = 16
"""Cells that it may have for each row that was seen, beyond the least."""


class Combinations:
    """Hands out codes in the order in which combinations first come. Codes that come in are below 2**31.

    >>> seen = Combinations(2)
    >>> seen.encode([np.array([7, 0, 7]), np.array([1, 1, 1])], 3).tolist()
    [0, 1, 0]
    >>> [column.tolist() for column in seen.columns()]
    [[7, 0], [1, 1]]
    """

    def __init__(self, columns: int) -> None:
        self._bits = [0] * columns
        self._order, self._steps = list(range(columns)), list(_planned(self._bits, columns))
        self._rows = 0

    def __len__(self) -> int:
        return len(self._steps[-1].seen)

    def encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        """The code of each of so many rows."""
        self._rows += rows
        wanted = [int(column.max(initial=0)).bit_length() for column in columns]
        if any(want > bits for want, bits in zip(wanted, self._bits, strict=True)):
            self._lay(list(map(max, wanted, self._bits)), len(columns))
        return self._encode(columns, rows)

    def columns(self, codes: Codes | None = None) -> list[Codes]:
        """Each column's code in each combination, or in some."""
        left = np.arange(len(self)) if codes is None else codes
        found: list[Codes] = []
        for step in reversed(self._steps):
            left, some = step.columns(left)
            found = [*some, *found]
        places = np.argsort(np.array(self._order, np.int64)).tolist()
        return [found[place] for place in places]

    def _encode(self, columns: Sequence[Codes], rows: int) -> Codes:
        ordered = [columns[place] for place in self._order]
        codes, at, most = np.zeros(rows, np.int64), 0, min(_CELLS, _LEAST + _PER_ROW * self._rows)
        for number, step in enumerate(self._steps):
            before = len(self._steps[number - 1].seen) if number else 1
            if isinstance(step.seen, Tabled) and before << sum(step.bits) > most:
                self._lay(self._bits, at)
                return self._encode(columns, rows)
            end = at + len(step.bits)
            codes, at = step.encode(codes, ordered[at:end], before), end
        return codes

    def _lay(self, bits: list[int], tabled: int) -> None:
        """Other bits, or fewer tables. What was seen keeps its code: it comes again in the same order."""
        known, count = self.columns(), len(self)
        self._bits = bits
        self._order = sorted(range(len(bits)), key=lambda place: -bits[place])
        self._steps = list(_planned([bits[place] for place in self._order], tabled))
        if count:
            self._encode(known, count)


class _Step:
    """The columns that are in one integer, behind the code of those before."""

    def __init__(self, bits: Sequence[int], seen: Tabled | Integers) -> None:
        self.bits = bits
        self.seen = seen

    def encode(self, before: Codes, columns: Sequence[Codes], size: int) -> Codes:
        """The codes, given those of the columns before and how many of these there are."""
        packed, rest = before, list(zip(columns, self.bits, strict=True))
        if size < 2 and rest:
            packed, rest = columns[0], rest[1:]
        for column, bits in rest:
            packed = packed << bits
            packed |= column
        if isinstance(self.seen, Tabled):
            return self.seen.codes(packed, size << sum(self.bits)).astype(np.int64)
        encoded = pa.array(packed).dictionary_encode()
        places: Codes = encoded.indices.to_numpy()
        return self.seen.codes(encoded.dictionary.to_numpy()).take(places)

    def columns(self, codes: Codes) -> tuple[Codes, list[Codes]]:
        """The codes before, and the columns."""
        packed, found = self.seen.values[codes], list[Codes]()
        for bits in reversed(self.bits):
            found.insert(0, packed & ((1 << bits) - 1))
            packed = packed >> bits
        return packed, found


def _planned(bits: Sequence[int], tabled: int) -> Iterator[_Step]:
    """The first columns by tables, two in the first one; of the others as many a step as its integer has bits for."""
    if tabled:
        yield _Step(bits[: min(2, tabled)], Tabled())
    for place in range(2, tabled):
        yield _Step([bits[place]], Tabled())
    some: list[int] = []
    room = _WHOLE - (_CODE if tabled else 0)
    for each in bits[tabled:]:
        if sum(some) + each > room:
            yield _Step(some, Integers())
            some, room = [], _WHOLE - _CODE
        some.append(each)
    if some or not tabled:
        yield _Step(some, Integers())
