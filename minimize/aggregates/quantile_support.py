"""Parts of the quantile: values as ordered words, value counts in the spill file, and the subjects on each side of a rank.

Spilled counts are settled in parts, in the order of the values. A part contains some groups, selected by a multiplicative hash,
because few values of many groups could not be divided by value. If many values of few groups exceed a part, it is divided by
value, smaller values first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.dictionaries import CombinationDictionary
from minimize.aggregates.distinct_counts import DistinctPairs, SpilledPairs
from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.dictionaries import Bools, Codes, is_identity, run_starts
from minimize.arrow.hashing import SPREAD_FACTOR, decimal_words
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace
from minimize.spill.memory_budget import Arena

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


class SpilledValueCounts:
    """Number of occurrences of each value in each group. Takes the type of the values."""

    def __init__(self, space: SpillSpace, type_: pa.DataType) -> None:
        self._aside = space
        self._type = type_
        self._width = word_count(type_)
        self._totals = GroupSums()
        self._counts = Accumulator(space, width=self._width + 3, summed=1, keys=self._width + 2)

    def add(self, groups: Codes, values: pa.Array, counts: Codes) -> None:
        """Adds equally long columns."""
        self._add(groups, to_ordered_words(values), counts)

    @classmethod
    def from_merge(cls, mine: Self | None, other: Self, groups: Codes) -> Self:
        """The sum of both, or the other one if there is only one; `groups[i]` is the code here for their group i."""
        ours = cls(other._aside, other._type) if mine is None else mine
        for rows in other._counts.settle():
            theirs = rows.words[:, -2].astype(np.int64)
            ours._add(groups[theirs], rows.words[:, 1:-2], rows.words[:, -1].astype(np.int64))
        return ours

    def values_at(self, ranks_of: Callable[[Codes], Codes], groups: Codes) -> pa.Array:
        """The value of each group at the count that `ranks_of` returns for the total of the group; null without values."""
        totals = self._totals.select(groups)
        aims = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
        aims[groups] = np.where(totals > 0, ranks_of(totals), 0)
        found = np.zeros((len(aims), self._width), np.uint64)
        running = np.zeros(len(aims), np.int64)
        for rows in self._counts.settle():
            _count_to_ranks(rows.words, aims, running, found)
        values = from_ordered_words(found[groups], self._type)
        return values.take(pa.array(np.arange(len(groups)), mask=totals == 0))

    def _add(self, groups: Codes, values: HashWords, counts: Codes) -> None:
        self._totals.weigh(groups, counts.astype(np.float64))
        owners = groups.astype(np.uint64)
        part = (owners * SPREAD_FACTOR >> _VALUE_BITS << _VALUE_BITS) | (values[:, 0] >> (np.uint64(64) - _VALUE_BITS))
        self._counts.add(HashedRows(np.column_stack([part, values, owners, counts.astype(np.uint64)])))


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


_MAX_WAITING_ROWS: Final = 1 << 22
"""Rows that may be buffered: 36 MiB. The limit is double after a merge, because the rows of both are in memory already."""
_MIN_PAIR_BYTES: Final = 1 << 26
"""Bytes of pairs below which searching values with enough subjects does not pay."""
_KEY_BITS: Final = 63
"""Bits of a non-negative integer."""
_NOT_BELOW, _NOT_ABOVE, _NOT_AT = range(3)
"""Bits: the value of a row is above the result, below it, or different from it."""


class ValueSubjects:
    """The subjects of each value of each group. Groups, values and subjects are codes of the caller.

    Takes the threshold of subjects. Rows are buffered until there are many of them or a quantile is settled: then only rows of
    published groups are sorted. A value with enough subjects in a group supports both sides; its other rows are not kept.
    """

    def __init__(self, below: int) -> None:
        self._below = max(below, 1)
        self._arena = Arena()
        self._waiting: list[_CodedRows] = []
        self._rows = 0
        self._subjects = 0
        self._cells = CombinationDictionary(2)
        self._pairs = DistinctPairs()
        self._full: Bools = np.zeros(0, np.bool_)
        self._grown = 0
        self._beyond: _SpilledSubjectValues | None = None
        self._sides: tuple[Codes, _RankSides] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._pairs.nbytes + sum(each.nbytes for each in self._waiting)

    def add(self, groups: Codes, values: Codes, subjects: Codes) -> None:
        """Adds rows. A row without a subject (-1) is no support."""
        there = subjects >= 0
        if not there.all():
            groups, values, subjects = groups[there], values[there], subjects[there]
        self._subjects = max(self._subjects, int(subjects.max(initial=-1)) + 1)
        types: list[npt.DTypeLike] = [np.int32, np.min_scalar_type(int(values.max(initial=0))), np.int32]
        columns = zip((groups, values, subjects), types, strict=True)
        self._wait(_CodedRows(*(self._arena.copy_of(codes, type_) for codes, type_ in columns)), _MAX_WAITING_ROWS)

    def merge(self, other: Self, groups: Codes, values: Codes, subjects: Codes) -> None:
        """Merges others; `groups[i]`, `values[i]` and `subjects[i]` are the codes here for their code i."""
        theirs, codes = other._cells.columns()
        cells = self._cells.encode([groups[theirs], values[codes]], len(theirs))
        self._pairs.merge(other._pairs, cells, subjects)
        self._subjects = max(self._subjects, int(subjects.max(initial=-1)) + 1)
        same = all(is_identity(codes) for codes in (groups, values, subjects))
        for each in other._waiting:
            self._wait(each if same else each.recoded(groups, values, subjects), 2 * _MAX_WAITING_ROWS)
        if other._beyond is not None:
            self._beyond = self._beyond or _SpilledSubjectValues(other._beyond.aside, other._beyond.width)
            self._beyond.merge(other._beyond, groups)

    def spill(self, space: SpillSpace, values: pa.Array, subjects: HashWords) -> None:
        """Spills everything. Takes the value of each value code, and the hash of each subject code."""
        self._fold()
        self._beyond = self._beyond or _SpilledSubjectValues(space, word_count(values.type))
        words = to_ordered_words(values)
        owners, codes = self._cells.columns()
        for cells, some in self._pairs.rows():
            self._beyond.add(owners[cells], words[codes[cells]], subjects[some])
        self._cells, self._pairs, self._full, self._grown = (
            CombinationDictionary(2),
            DistinctPairs(),
            np.zeros(0, np.bool_),
            0,
        )

    def supported(self, groups: Codes, results: pa.Array, values: pa.Array, *, exact: bool) -> Bools:
        """Whether enough subjects have a value at or below each group's result, and as many one at or above it.

        Takes the value of each code. `exact` demands as many subjects with exactly the result. Null has no support.
        """
        if self._beyond is None:
            found = self._sides_of(groups, values).support(results, exact=exact)
        else:
            counts = self._beyond.sides(_GroupResults.from_results(groups, results))
            bits = (_NOT_AT,) if exact else (_NOT_BELOW, _NOT_ABOVE)
            found = np.minimum.reduce([counts.distinct(groups, bit) for bit in bits])
        return np.asarray((found >= self._below) & np.asarray(results.is_valid()), np.bool_)

    def _wait(self, rows: _CodedRows, most: int) -> None:
        self._sides = None
        self._waiting.append(rows)
        self._rows += len(rows.groups)
        if self._rows > most:
            self._fold()

    def _fold(self) -> None:
        """Adds buffered rows to the pairs, except those of values with enough subjects."""
        waiting, self._waiting, self._rows, self._sides = self._waiting, [], 0, None
        for each in waiting:
            cells = self._cells.encode([each.groups.astype(np.int64), each.values.astype(np.int64)], len(each.groups))
            full = np.append(self._full, np.zeros(len(self._cells) - len(self._full), np.bool_))
            new = np.flatnonzero(~full[cells])
            self._pairs.add(cells[new], each.subjects[new].astype(np.int64))
        if self._pairs.nbytes > max(2 * self._grown, _MIN_PAIR_BYTES):  # each time costs as much as there are pairs
            self._full = self._pairs.distinct_in_memory(np.arange(len(self._cells))) >= self._below
            self._grown = self._pairs.nbytes

    def _sides_of(self, groups: Codes, values: pa.Array) -> _RankSides:
        """The subjects by which quantiles of these groups are checked. All quantiles of a field use them in turn."""
        if self._sides is None or not np.array_equal(self._sides[0], groups):
            owners, codes = self._cells.columns()

            def rows() -> Iterator[_CodedRows]:
                yield from (_CodedRows(owners[cells], codes[cells], some) for cells, some in self._pairs.rows())
                yield from self._waiting

            self._sides = groups, _RankSides.from_rows(groups, to_ordered_words(values), self._subjects, rows)
        return self._sides[1]


@dataclass(frozen=True, slots=True)
class _CodedRows:
    """The group, the value and the subject of some rows, by their codes."""

    groups: npt.NDArray[np.integer]
    values: npt.NDArray[np.integer]
    subjects: npt.NDArray[np.integer]

    @property
    def nbytes(self) -> int:
        return int(self.groups.nbytes + self.values.nbytes + self.subjects.nbytes)

    def recoded(self, groups: Codes, values: Codes, subjects: Codes) -> _CodedRows:
        """The same rows with other codes."""
        columns = (groups[self.groups], values[self.values], subjects[self.subjects])
        return _CodedRows(*(codes.astype(np.int32) for codes in columns))


class _RankSides:
    """Each distinct combination of group, subject and value, in this order, so that the smallest value of a subject comes first.

    Groups are indices into the requested groups, values are ranks.
    """

    def __init__(self, groups: int, parts: Sequence[_SubjectValues], words: HashWords) -> None:
        self._groups = groups
        self._owners, self._ranks, first = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        starts = np.flatnonzero(first)
        ends = np.append(starts[1:], len(first))[: len(starts)] - 1
        self._subjects = self._owners[starts], self._ranks[starts], self._ranks[ends]
        """The group of each subject, its smallest and its largest value."""
        self._words = words
        """The words of each rank."""

    @classmethod
    def from_rows(
        cls, groups: Codes, values: HashWords, subjects: int, rows: Callable[[], Iterable[_CodedRows]]
    ) -> Self:
        """Takes the requested groups, the words of each value, the number of subjects, and all rows."""
        order = np.lexsort(values.T[::-1])
        words = values[order]
        differs = np.any([run_starts(column) for column in words.T], axis=0)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.cumsum(differs) - 1
        bits = subjects.bit_length(), len(words).bit_length()
        most = 1 << min(_KEY_BITS - sum(bits), 30)
        parts = [_distinct_subject_values(np.empty(0, np.int64), *bits)]
        places = np.full(int(groups.max(initial=-1)) + 2, -1)
        for start in range(0, len(groups), most):
            some = groups[start : start + most]
            places[some] = np.arange(len(some))
            owners, found, first = _distinct_subject_values(_pack_rows(places, ranks, *bits, rows()), *bits)
            parts.append((owners + np.int32(start), found, first))
            places[some] = -1
        return cls(len(groups), parts, words[differs])

    def support(self, results: pa.Array, *, exact: bool) -> Codes:
        """The number of subjects of each group on the side of its result with fewer of them; `exact`: with the result as a
        value."""
        aims = np.zeros(self._groups, np.int64)
        valid: Bools = np.asarray(results.is_valid())
        aims[valid] = self._ranks_of(to_ordered_words(results.filter(pa.array(valid))))
        if exact:
            return self._count(self._owners[self._ranks == aims[self._owners]])
        owners, smallest, largest = self._subjects
        mine = aims[owners]
        return np.minimum(self._count(owners[smallest <= mine]), self._count(owners[largest >= mine]))

    def _ranks_of(self, results: HashWords) -> Codes:
        """The rank of each result, which is one of the values."""
        order = np.lexsort(np.concatenate([self._words, results]).T[::-1])
        is_value = order < len(self._words)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.cumsum(is_value) - 1  # for equal words the value comes first
        return ranks[len(self._words) :]

    def _count(self, owners: npt.NDArray[np.int32]) -> Codes:
        return np.bincount(owners, minlength=self._groups)


_SubjectValues = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Bools]
"""Group index and rank of each combination, and whether it is the first of its subject."""


def _pack_rows(places: Codes, ranks: Codes, subject_bits: int, rank_bits: int, parts: Iterable[_CodedRows]) -> Codes:
    """Group index, subject and rank of each row of some groups, packed into one integer."""
    found = [np.empty(0, np.int64)]
    for each in parts:
        keys = places.take(each.groups, mode="clip")
        rows = np.flatnonzero(keys >= 0)
        keys = keys[rows] << subject_bits
        keys |= each.subjects[rows]
        keys <<= rank_bits
        keys |= ranks[each.values[rows]]
        found.append(keys)
    return np.concatenate(found)


def _distinct_subject_values(keys: Codes, subject_bits: int, rank_bits: int) -> _SubjectValues:
    """Sorts the keys and unpacks the distinct ones. Changes the keys."""
    keys.sort()
    keys = keys[run_starts(keys)]
    ranks = (keys & ((1 << rank_bits) - 1)).astype(np.int32)
    keys >>= rank_bits
    first = run_starts(keys)
    keys >>= subject_bits
    return keys.astype(np.int32), ranks, first


class _GroupResults:
    """The result of each group, to compare values with."""

    def __init__(self, valid: Bools, words: HashWords) -> None:
        self.has_result = valid
        self._words = words

    @classmethod
    def from_results(cls, groups: Codes, results: pa.Array) -> Self:
        size = int(groups.max(initial=-1)) + 1
        valid: Bools = np.asarray(results.is_valid())
        found = to_ordered_words(results.filter(pa.array(valid)))
        known, words = np.zeros(size, np.bool_), np.zeros((size, found.shape[1]), np.uint64)
        known[groups[valid]], words[groups[valid]] = True, found
        return cls(known, words)

    def compared(self, owners: Codes, words: HashWords) -> tuple[Codes, Codes]:
        """The rows of groups with a result, and the comparison of each value with it, in bits."""
        chosen = np.flatnonzero(owners < len(self.has_result))
        chosen = chosen[self.has_result[owners[chosen]]]
        mine, aim = words[chosen], self._words[owners[chosen]]
        above, under = np.zeros(len(chosen), np.bool_), np.zeros(len(chosen), np.bool_)
        for place in range(mine.shape[1]):
            undecided = ~(above | under)
            above |= undecided & (mine[:, place] > aim[:, place])
            under |= undecided & (mine[:, place] < aim[:, place])
        bits = above.astype(np.int64) << _NOT_BELOW
        bits |= under.astype(np.int64) << _NOT_ABOVE
        bits |= (above | under).astype(np.int64) << _NOT_AT
        return chosen, bits


class _SpilledSubjectValues:
    """The same for data that exceeds the memory budget: subjects by their hashes, values as ordered words."""

    def __init__(self, space: SpillSpace, width: int) -> None:
        self.aside = space
        self.width = width
        self._rows = Accumulator(space, width=5 + width)

    def add(self, groups: Codes, values: HashWords, subjects: HashWords) -> None:
        """Adds rows: the group, the value and the hash of the subject of each."""
        owners = groups.astype(np.uint64)
        mixed = owners * SPREAD_FACTOR
        for place in range(self.width):
            mixed = (mixed ^ values[:, place]) * SPREAD_FACTOR
        hashes = subjects ^ np.column_stack([mixed, mixed * SPREAD_FACTOR])
        self._rows.add(HashedRows(np.column_stack([hashes, subjects, owners, values])))

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges others; `groups[i]` is the code here for their group i."""
        for rows in other._rows.settle():
            self.add(groups[rows.words[:, 4].astype(np.int64)], rows.words[:, 5:], rows.words[:, 2:4])

    def sides(self, aims: _GroupResults) -> SpilledPairs:
        """The number of distinct subjects of each group with a result, by the comparison of their values with it."""
        counts = SpilledPairs(self.aside, bits=3)
        for rows in self._rows.settle():
            owners = rows.words[:, 4].astype(np.int64)
            chosen, lacking = aims.compared(owners, rows.words[:, 5:])
            counts.add(owners[chosen], rows.words[chosen, 2:4], lacking)
        return counts
