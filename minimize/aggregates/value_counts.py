"""Parts of the quantile: values as ordered words, the number of rows of each value, and the subjects of each value.

Counts are settled in parts, in the order of the values. A part contains some groups, selected by a multiplicative hash, because
few values of many groups could not be divided by value. If many values of few groups exceed a part, it is divided by value,
smaller values first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.dictionaries import Bools, Codes, decode_dictionary, run_starts
from minimize.arrow.hashing import SPREAD_FACTOR, decimal_words
from minimize.arrow.value_dictionary import ValueDictionary
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace

_SIGN_BIT: Final = np.uint64(1 << 63)
_EXACT_DOUBLE: Final = 1 << 52
"""Integers below this one, and the halves between them, are exact as doubles."""


def to_ordered_words(values: pa.Array) -> HashWords:
    """Words in the order of the values: smaller values have smaller words, compared word by word. NaN is the largest.

    Takes a plain column of numbers or times without nulls.
    """
    if pa.types.is_decimal(values.type):
        return _decimal_words(values)
    if pa.types.is_floating(values.type):
        return _double_words(values.cast(pa.float64()).to_numpy())[:, None]
    if pa.types.is_uint64(values.type):
        return np.asarray(values, np.uint64)[:, None]
    whole = values.cast(pa.int32()) if pa.types.is_date32(values.type) else values
    numbers: npt.NDArray[np.int64] = whole.cast(pa.int64()).to_numpy()
    return (numbers.view(np.uint64) ^ _SIGN_BIT)[:, None]


def word_count(type_: pa.DataType) -> int:
    """Number of words of a value."""
    return (
        1 + type_.bit_width // 64 if pa.types.is_decimal(type_) and type_.bit_width > 64 else _narrow_word_count(type_)
    )


def from_ordered_words(words: HashWords, type_: pa.DataType) -> pa.Array:
    """The values of words."""
    if pa.types.is_decimal(type_):
        return _decimals_from_words(words, type_)
    first = np.ascontiguousarray(words[:, 0])
    if pa.types.is_floating(type_):
        bits = np.where(first & _SIGN_BIT, first ^ _SIGN_BIT, ~first)
        return pa.array(bits.view(np.float64)).cast(type_)
    if pa.types.is_uint64(type_):
        return pa.array(first)
    whole = pa.array((first ^ _SIGN_BIT).view(np.int64))
    return whole.cast(pa.int32()).cast(type_) if pa.types.is_date32(type_) else whole.cast(type_)


def _narrow_word_count(type_: pa.DataType) -> int:
    return 3 if pa.types.is_decimal(type_) else 1


def _double_words(values: npt.NDArray[Any]) -> HashWords:
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)
    bits = canonical.view(np.uint64)
    return np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT)


def _decimal_words(values: pa.Array) -> HashWords:
    """The words of large values: first the approximate size, which distinguishes most of them, then the exact value."""
    words = decimal_words(values)
    high, low = words[:, -1], words[:, -2].view(np.uint64)
    about = high * 2.0**64 + np.where(np.abs(high) < _EXACT_DOUBLE, low.astype(np.float64), 0.0)
    signed = high.view(np.uint64) ^ _SIGN_BIT
    rest = [words[:, place].view(np.uint64) for place in reversed(range(words.shape[1] - 1))]
    return np.column_stack([_double_words(about), signed, *rest])


def _decimals_from_words(words: HashWords, type_: pa.DataType) -> pa.Array:
    wide = type_ if type_.bit_width >= 128 else pa.decimal128(type_.precision, type_.scale)
    rest = [words[:, place] for place in reversed(range(2, words.shape[1]))]
    data = np.ascontiguousarray(np.column_stack([*rest, words[:, 1] ^ _SIGN_BIT]))
    return pa.Array.from_buffers(wide, len(words), [None, pa.py_buffer(data)]).cast(type_)


_VALUE_BITS: Final = np.uint64(52)
"""Bits of the value in the word that selects the part. The other bits are those of the group."""
_MAX_FEW_VALUES: Final = 1 << 12
_MAX_CELLS: Final = 1 << 22
"""Cells of the array in which few values are counted."""


class ValueCounts:
    """Number of rows with each value in each group. Few values are counted in an array, others in sorted rows.

    Takes the type of the values. Ranks (doubles) may replace all values of another type.
    """

    def __init__(self, space: SpillSpace, type_: pa.DataType) -> None:
        self.type = type_
        self._kind = type_
        self._width = word_count(type_)
        self._totals = GroupSums()
        self._few: ValueDictionary | None = None
        self._has_few = True
        self._cells = GroupSums()
        self._across = 1
        self._counts = Accumulator(space, self._width + 3, [np.add], keys=self._width + 2)

    def words_of(self, values: pa.Array) -> HashWords:
        """The ordered words of values, plain or dictionary-encoded."""
        if pa.types.is_dictionary(values.type) and not values.dictionary.null_count:
            return np.asarray(self.words_of(values.dictionary).take(values.indices.to_numpy(), axis=0), np.uint64)
        plain = decode_dictionary(values)
        self._kind = plain.type
        words = to_ordered_words(plain)
        return np.asarray(np.pad(words, ((0, 0), (0, self._width - words.shape[1]))), np.uint64)

    def from_words(self, words: HashWords, *, open_bins: bool = True) -> tuple[pa.Array, Bools]:
        """The values of words, and which of them are in no open bin. Without open bins, an infinity is a value."""
        values = from_ordered_words(words, self._kind)
        closed = np.ones(len(values), np.bool_)
        if open_bins and pa.types.is_floating(values.type):
            closed = ~np.asarray(pc.is_inf(values))
            values = pc.if_else(pa.array(closed), values, pa.scalar(0.0, values.type))
        return values.cast(self.type, safe=False), closed  # the error of a failed cast would contain the value

    def add(self, groups: Codes, values: pa.Array) -> None:
        """Adds rows: the group and the value of each."""
        self._totals.count(groups)
        if not self._has_few or not self._count_few(groups, values):
            self._add(groups, self.words_of(values), np.ones(len(groups), np.uint64))

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges other counts; `groups[i]` is the code here for their group i."""
        self._totals.merge(other._totals, groups)
        self._kind = self._kind if other._kind == other.type else other._kind
        if not self._has_few or not self._merge_few(other, groups):
            other._flush()
        for rows in other._counts.settle():
            self._add(groups[rows.words[:, -2].astype(np.int64)], rows.words[:, 1:-2], rows.words[:, -1])

    def words_at(self, ranks_of: Callable[[Codes], Codes], groups: Codes) -> tuple[HashWords, Bools]:
        """The words of each group's value at the count that `ranks_of` returns for its total, and which groups have a value."""
        totals = self._totals.select(groups)
        ranks = np.where(totals > 0, ranks_of(totals), 0)
        if self._few is not None and len(self._few) and self._counts.is_empty:
            return self._few_words_at(self._few.values, ranks, groups), totals > 0
        self._flush()
        aims = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
        aims[groups] = ranks
        found = np.zeros((len(aims), self._width), np.uint64)
        running = np.zeros(len(aims), np.int64)
        for rows in self._counts.settle():
            _count_to_ranks(rows.words, aims, running, found)
        return found[groups], totals > 0

    def _few_words_at(self, values: pa.Array, ranks: Codes, groups: Codes) -> HashWords:
        """The same for values that were all counted in the array."""
        words = self.words_of(values)
        order = np.lexsort(words.T[::-1])
        cells = groups[:, None] * self._across + order
        reached = np.cumsum(self._cells.select(cells.ravel()).reshape(cells.shape), axis=1) >= ranks[:, None]
        return np.asarray(words[order[reached.argmax(axis=1)]], np.uint64)

    def _count_few(self, groups: Codes, values: pa.Array) -> bool:
        """Counts rows in the array. Returns False, and counts nothing, once the array would be too large."""
        codes = self._few_codes(values, int(groups.max(initial=0)))
        if codes is None:
            return False
        self._cells.count(groups * self._across + codes)
        return True

    def _merge_few(self, other: Self, groups: Codes) -> bool:
        """Merges the array of other counts. Returns False, and merges nothing, if the array would be too large."""
        if other._few is None:
            return True
        codes = self._few_codes(other._few.values, int(groups.max(initial=0)))
        if codes is None:
            return False
        cells = np.flatnonzero(other._cells.sums)
        owners, places = np.divmod(cells, other._across)
        targets = groups[owners] * self._across + codes[places]
        sums = np.zeros(int(targets.max(initial=-1)) + 1, np.int64)
        sums[targets] = other._cells.sums[cells]
        self._cells.add(sums)
        return True

    def _few_codes(self, values: pa.Array, last_group: int) -> Codes | None:
        """The code of each value in the array, which is made wide enough; None once it would be too large."""
        self._few = ValueDictionary(values.type) if self._few is None else self._few
        codes = self._few.encode(values)
        across = max(1 << (len(self._few) - 1).bit_length(), self._across)
        if across > _MAX_FEW_VALUES or (last_group + 1) * across > _MAX_CELLS:
            self._flush()
            self._has_few = False
            return None
        if across > self._across:
            cells, narrow = np.arange(len(self._cells.sums)), self._cells
            self._cells = GroupSums()
            self._cells.merge(narrow, cells // self._across * across + cells % self._across)
            self._across = across
        return codes

    def _flush(self) -> None:
        """Moves the cells of the array to the rows."""
        if self._few is None:
            return
        cells = np.flatnonzero(self._cells.sums)
        groups, codes = np.divmod(cells, self._across)
        self._add(groups, self.words_of(self._few.values)[codes], self._cells.sums[cells].astype(np.uint64))
        self._cells, self._few, self._across = GroupSums(), None, 1

    def _add(self, groups: Codes, values: HashWords, counts: HashWords) -> None:
        owners = groups.astype(np.uint64)
        part = (owners * SPREAD_FACTOR >> _VALUE_BITS << _VALUE_BITS) | (values[:, 0] >> (np.uint64(64) - _VALUE_BITS))
        self._counts.add(HashedRows(np.column_stack([part, values, owners, counts])))


def _count_to_ranks(words: HashWords, aims: Codes, running: Codes, found: HashWords) -> None:
    """Continues the cumulative counts, and stores the values at which groups reach their target."""
    words = words[words[:, -2] < len(aims)]
    words = words[np.argsort(words[:, -2], kind="stable")]
    owners, counts = words[:, -2].astype(np.int64), words[:, -1].astype(np.int64)
    totals = np.cumsum(counts)
    starts = np.maximum.accumulate(np.where(run_starts(owners), np.arange(len(owners)), 0))
    reached = totals - (totals - counts)[starts] + running[owners]
    hit = (reached >= aims[owners]) & (reached - counts < aims[owners])
    found[owners[hit]] = words[hit, 1:-2]
    np.add.at(running, owners, counts)


class ValueSubjects:
    """The distinct subjects of each value of each group, by their hashes. Takes the type of the values."""

    def __init__(self, space: SpillSpace, type_: pa.DataType) -> None:
        self._space = space
        self._values = word_count(type_)
        self._rows = Accumulator(space, self._values + 3, keys=self._values + 3)

    def add(self, groups: Codes, values: HashWords, subjects: HashWords) -> None:
        """Adds rows: the group, the ordered words of the value, and the hash of the subject (zeros: none) of each."""
        there = np.flatnonzero(subjects.any(axis=1))
        groups, values, subjects = groups[there], values[there], subjects[there]
        owners = groups.astype(np.uint64)
        hashes = subjects ^ self._mixed(owners, values)
        self._rows.add(HashedRows(np.column_stack([hashes, owners, values])))

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges others; `groups[i]` is the code here for their group i."""
        for owners, values, subjects in other._distinct_rows():
            self.add(groups[owners], values, subjects)

    def count(self, groups: Codes, results: HashWords, *, exact: bool) -> Codes:
        """For some groups and a value for each: the number of subjects that have exactly this value; or the smaller number of
        those that have one at or below it, and of those that have one at or above it."""
        aims = np.zeros((int(groups.max(initial=-1)) + 1, self._values), np.uint64)
        asked = np.zeros(len(aims), np.bool_)
        aims[groups], asked[groups] = results, True
        sides = DistinctSubjects(self._space, facts=3)
        for owners, values, subjects in self._distinct_rows():
            chosen = np.flatnonzero(owners < len(aims))
            chosen = chosen[asked[owners[chosen]]]
            mine = owners[chosen]
            above, below = _compare(values[chosen], aims[mine])
            sides.add(mine, subjects[chosen], [~above, ~below, ~(above | below)])
        at_or_below, at_or_above, equal = (sides.count(groups, fact) for fact in range(3))
        return equal if exact else np.minimum(at_or_below, at_or_above)

    def _distinct_rows(self) -> Iterator[tuple[Codes, HashWords, HashWords]]:
        """The group, the value and the subject of each distinct row."""
        for rows in self._rows.settle():
            owners, values = rows.words[:, 2], rows.words[:, 3:]
            yield owners.astype(np.int64), values, rows.words[:, :2] ^ self._mixed(owners, values)

    def _mixed(self, owners: HashWords, values: HashWords) -> HashWords:
        mixed = owners * SPREAD_FACTOR
        for place in range(self._values):
            mixed = (mixed ^ values[:, place]) * SPREAD_FACTOR
        return np.column_stack([mixed, mixed * SPREAD_FACTOR])


def _compare(values: HashWords, aims: HashWords) -> tuple[Bools, Bools]:
    """Whether each value is above, and below, another one."""
    above, below = np.zeros(len(values), np.bool_), np.zeros(len(values), np.bool_)
    for place in range(values.shape[1]):
        undecided = ~(above | below)
        above |= undecided & (values[:, place] > aims[:, place])
        below |= undecided & (values[:, place] < aims[:, place])
    return above, below
