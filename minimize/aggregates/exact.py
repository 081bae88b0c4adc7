"""Sums that are exact: every number becomes integers at powers of two, which add up without rounding in any order.

A double is its 53-bit mantissa at its exponent; an integer is itself at exponent 0; a decimal is its unscaled integer, in
words of 64 bits. Integers are kept as a high and a low half of 32 bits, so that no sum can overflow; Python's unbounded
integers put a group's parts together at the end, and one division rounds once (a superaccumulator: Kulisch, Computer
Arithmetic and Validity, 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.aggregates.cells import Cells, summed
from minimize.codebook import unpack

_LOWEST = 1126
"""The lowest exponent of a double's mantissa as an integer is -1126 (the smallest subnormal is 2**52 at -1126)."""
_SPECIAL = 4096
_INFINITE, _MINUS_INFINITE, _NAN = _SPECIAL, _SPECIAL + 1, _SPECIAL + 2


@dataclass(frozen=True, slots=True)
class Total:
    """An exact sum: `units` × 2**`exponent`, and whether it holds a NaN or an infinity (then `special` is the sum)."""

    units: int = 0
    exponent: int = 0
    special: float | None = None

    @property
    def integer(self) -> int:
        """The sum of integers (or of a decimal's unscaled integers)."""
        return self.units << self.exponent if self.exponent >= 0 else self.units >> -self.exponent

    def over(self, count: int) -> float:
        """The sum divided by a count, rounded once."""
        if self.special is not None:
            return self.special
        up, down = max(self.exponent, 0), max(-self.exponent, 0)
        return _divide(self.units << up, count << down)


class ExactSums:
    """Exact sums per group of doubles, integers or decimals."""

    def __init__(self) -> None:
        self._cells = Cells(width=2)

    def add(self, groups: Codes, values: pa.Array) -> None:
        """Adds values without nulls to their groups."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if pa.types.is_floating(values.type):
            self._add_doubles(groups, values.to_numpy(zero_copy_only=False).astype(np.float64))
        elif pa.types.is_decimal(values.type):
            self._add_decimals(groups, values)
        else:
            self._add_words(groups, values.to_numpy(zero_copy_only=False), 0)

    def merge(self, other: Self, groups: Codes) -> None:
        """Adds other sums; `groups[i]` is our code for their group i."""
        rows, columns, halves = other._cells.settle()
        self._put(groups[rows], columns, halves)

    def totals(self, groups: int) -> list[Total]:
        """The sum of each group."""
        units, special = [0] * groups, [0.0] * groups
        rows, columns, halves = self._cells.settle()
        lowest = int(columns[columns < _SPECIAL].min(initial=_SPECIAL)) % _SPECIAL
        # A loop over distinct (group, exponent) cells: what they hold is beyond 64 bits.
        for group, column, (high, low) in zip(rows.tolist(), columns.tolist(), halves.tolist(), strict=True):
            if column >= _SPECIAL:
                special[group] += (np.inf, -np.inf, np.nan)[column - _SPECIAL]
            else:
                units[group] += ((high << 32) + low) << (column - lowest)
        exponent = lowest - _LOWEST
        return [Total(sum_, exponent, None if odd == 0 else odd) for sum_, odd in zip(units, special, strict=True)]

    def _add_doubles(self, groups: Codes, values: npt.NDArray[np.float64]) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            self._add_special(groups[~finite], values[~finite])
            groups, values = groups[finite], values[finite]
        mantissas, exponents = np.frexp(values)
        whole = np.ldexp(mantissas, 53).astype(np.int64)
        self._put(groups, exponents.astype(np.int64) - 53 + _LOWEST, _halves(whole))

    def _add_special(self, groups: Codes, values: npt.NDArray[np.float64]) -> None:
        columns = np.where(np.isnan(values), _NAN, np.where(values > 0, _INFINITE, _MINUS_INFINITE)).astype(np.int64)
        self._put(groups, columns, np.zeros((len(values), 2), np.int64))

    def _add_words(self, groups: Codes, words: npt.NDArray[np.integer], exponent: int) -> None:
        self._put(groups, np.full(len(words), exponent + _LOWEST, np.int64), _halves(words))

    def _add_decimals(self, groups: Codes, values: pa.Array) -> None:
        words = _words(values)
        count = words.shape[1]
        for place in range(count - 1):
            self._add_words(groups, words[:, place].view(np.uint64), 64 * place)
        self._add_words(groups, words[:, count - 1], 64 * (count - 1))

    def _put(self, groups: Codes, columns: Codes, halves: npt.NDArray[np.int64]) -> None:
        keys, sums = summed(groups, columns, halves)
        self._cells.add(*unpack(keys), np.column_stack([sums[:, 0] + (sums[:, 1] >> 32), sums[:, 1] & 0xFFFFFFFF]))


def _halves(words: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    wide = words if words.dtype == np.uint64 else words.astype(np.int64)
    thirty_two = wide.dtype.type(32)
    mask = wide.dtype.type(0xFFFFFFFF)
    return np.column_stack([(wide >> thirty_two).astype(np.int64), (wide & mask).astype(np.int64)])


def _words(values: pa.Array) -> npt.NDArray[np.int64]:
    if values.type.bit_width < 128:
        values = values.cast(pa.decimal128(values.type.precision, values.type.scale))
    width = values.type.bit_width // 64
    data = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, width)
    return data[values.offset : values.offset + len(values)]


def _divide(units: int, by: int) -> float:
    try:
        return units / by
    except OverflowError:
        return float("inf") if units > 0 else float("-inf")
