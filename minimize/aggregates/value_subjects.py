"""The distinct subjects behind each value of a group: whether enough of them are on both sides of a quantile's rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.arena import Arena
from minimize.aggregates.base import Codes
from minimize.aggregates.beyond import Beyond
from minimize.aggregates.combined import Combinations
from minimize.aggregates.ordered import ordered, width_of
from minimize.aggregates.pairs import Pairs
from minimize.codebook import are_same, changes
from minimize.spill import Accumulator, Aside, Rows, Words

Mask = npt.NDArray[np.bool_]
_MOST_WAITING: Final = 1 << 22
"""Rows that may wait: 36 MiB. Twice as many when two are merged, whose rows are in memory already."""
_SMALL: Final = 1 << 26
"""Bytes of pairs below which it is not worth while to look for values that enough subjects have."""
_WHOLE: Final = 63
"""Bits of an integer that is not negative."""
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
_NOT_BELOW, _NOT_ABOVE, _NOT_AT = range(3)
"""Bits: a row's value is above the result, below it, another one."""


class ValueSubjects:
    """The subjects of each value of each group. Groups, values and subjects are codes that the caller hands out.

    Takes the number of subjects that are enough. Rows wait until there are many of them, or a quantile is settled: what is
    published alone is then sorted. A value that enough subjects of a group have supports both sides; others are not kept.
    """

    def __init__(self, below: int) -> None:
        self._below = max(below, 1)
        self._arena = Arena()
        self._waiting: list[_Rows] = []
        self._rows = 0
        self._subjects = 0
        self._cells = Combinations(2)
        self._pairs = Pairs()
        self._full: Mask = np.zeros(0, np.bool_)
        self._grown = 0
        self._beyond: _Beyond | None = None
        self._sides: tuple[Codes, _Sides] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        return self._pairs.nbytes + sum(each.nbytes for each in self._waiting)

    def add(self, groups: Codes, values: Codes, subjects: Codes) -> None:
        """Takes rows in. A row without a subject (-1) supports nothing."""
        there = subjects >= 0
        if not there.all():
            groups, values, subjects = groups[there], values[there], subjects[there]
        self._subjects = max(self._subjects, int(subjects.max(initial=-1)) + 1)
        types: list[npt.DTypeLike] = [np.int32, np.min_scalar_type(int(values.max(initial=0))), np.int32]
        columns = zip((groups, values, subjects), types, strict=True)
        self._wait(_Rows(*(self._arena.copy_of(codes, type_) for codes, type_ in columns)), _MOST_WAITING)

    def merge(self, other: Self, groups: Codes, values: Codes, subjects: Codes) -> None:
        """Takes others in; `groups[i]`, `values[i]` and `subjects[i]` are our codes for their code i."""
        theirs, codes = other._cells.columns()
        cells = self._cells.encode([groups[theirs], values[codes]], len(theirs))
        self._pairs.merge(other._pairs, cells, subjects)
        self._subjects = max(self._subjects, int(subjects.max(initial=-1)) + 1)
        same = all(are_same(codes) for codes in (groups, values, subjects))
        for each in other._waiting:
            self._wait(each if same else each.recoded(groups, values, subjects), 2 * _MOST_WAITING)
        if other._beyond is not None:
            self._beyond = self._beyond or _Beyond(other._beyond.aside, other._beyond.width)
            self._beyond.merge(other._beyond, groups)

    def set_aside(self, aside: Aside, values: pa.Array, subjects: Words) -> None:
        """Sets everything aside. Takes the value, and the hash of the subject, of each code."""
        self._fold()
        self._beyond = self._beyond or _Beyond(aside, width_of(values.type))
        words = ordered(values)
        owners, codes = self._cells.columns()
        for cells, some in self._pairs.rows():
            self._beyond.add(owners[cells], words[codes[cells]], subjects[some])
        self._cells, self._pairs, self._full, self._grown = Combinations(2), Pairs(), np.zeros(0, np.bool_), 0

    def supported(self, groups: Codes, results: pa.Array, values: pa.Array, *, exact: bool) -> Mask:
        """Whether enough subjects have a value at or below each group's result, and as many one at or above it.

        Takes the value of each code. `exact` demands as many subjects with exactly the result. Null has no support.
        """
        if self._beyond is None:
            found = self._sides_of(groups, values).support(results, exact=exact)
        else:
            counts = self._beyond.sides(_Aims.of(groups, results))
            bits = (_NOT_AT,) if exact else (_NOT_BELOW, _NOT_ABOVE)
            found = np.minimum.reduce([counts.distinct(groups, bit) for bit in bits])
        return np.asarray((found >= self._below) & np.asarray(results.is_valid()), np.bool_)

    def _wait(self, rows: _Rows, most: int) -> None:
        self._sides = None
        self._waiting.append(rows)
        self._rows += len(rows.groups)
        if self._rows > most:
            self._fold()

    def _fold(self) -> None:
        """Puts the rows that wait into the pairs, but for those of values that have enough subjects already."""
        waiting, self._waiting, self._rows, self._sides = self._waiting, [], 0, None
        for each in waiting:
            cells = self._cells.encode([each.groups.astype(np.int64), each.values.astype(np.int64)], len(each.groups))
            full = np.append(self._full, np.zeros(len(self._cells) - len(self._full), np.bool_))
            new = np.flatnonzero(~full[cells])
            self._pairs.add(cells[new], each.subjects[new].astype(np.int64))
        if self._pairs.nbytes > max(2 * self._grown, _SMALL):  # each time takes as long as there are pairs
            self._full = self._pairs.held(np.arange(len(self._cells))) >= self._below
            self._grown = self._pairs.nbytes

    def _sides_of(self, groups: Codes, values: pa.Array) -> _Sides:
        """What the quantiles of these groups are held against: all of a field ask for it one after the other."""
        if self._sides is None or not np.array_equal(self._sides[0], groups):
            owners, codes = self._cells.columns()

            def rows() -> Iterator[_Rows]:
                yield from (_Rows(owners[cells], codes[cells], some) for cells, some in self._pairs.rows())
                yield from self._waiting

            self._sides = groups, _Sides.of(groups, ordered(values), self._subjects, rows)
        return self._sides[1]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The group, the value and the subject of some rows, by their codes."""

    groups: npt.NDArray[np.integer]
    values: npt.NDArray[np.integer]
    subjects: npt.NDArray[np.integer]

    @property
    def nbytes(self) -> int:
        return int(self.groups.nbytes + self.values.nbytes + self.subjects.nbytes)

    def recoded(self, groups: Codes, values: Codes, subjects: Codes) -> _Rows:
        """The same by other codes."""
        columns = (groups[self.groups], values[self.values], subjects[self.subjects])
        return _Rows(*(codes.astype(np.int32) for codes in columns))


class _Sides:
    """Each distinct combination of group, subject and value, in this order: a subject's smallest value is its first.

    Groups are places among those that are asked for, values are ranks.
    """

    def __init__(self, groups: int, parts: Sequence[_Combinations], words: Words) -> None:
        self._groups = groups
        self._owners, self._ranks, first = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        starts = np.flatnonzero(first)
        ends = np.append(starts[1:], len(first))[: len(starts)] - 1
        self._subjects = self._owners[starts], self._ranks[starts], self._ranks[ends]
        """The group of each subject, its smallest and its largest value."""
        self._words = words
        """The words of each rank."""

    @classmethod
    def of(cls, groups: Codes, values: Words, subjects: int, rows: Callable[[], Iterable[_Rows]]) -> Self:
        """Takes the groups that are asked for, the words of each value, how many subjects there are, and all rows."""
        order = np.lexsort(values.T[::-1])
        words = values[order]
        differs = np.any([changes(column) for column in words.T], axis=0)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.cumsum(differs) - 1
        bits = subjects.bit_length(), len(words).bit_length()
        most = 1 << min(_WHOLE - sum(bits), 30)
        parts = [_combinations(np.empty(0, np.int64), *bits)]
        places = np.full(int(groups.max(initial=-1)) + 2, -1)
        for start in range(0, len(groups), most):
            some = groups[start : start + most]
            places[some] = np.arange(len(some))
            owners, found, first = _combinations(_keys(places, ranks, *bits, rows()), *bits)
            parts.append((owners + np.int32(start), found, first))
            places[some] = -1
        return cls(len(groups), parts, words[differs])

    def support(self, results: pa.Array, *, exact: bool) -> Codes:
        """How many subjects each group has on that side of its result that has fewer; `exact`: with the result as a value."""
        aims = np.zeros(self._groups, np.int64)
        valid: Mask = np.asarray(results.is_valid())
        aims[valid] = self._ranks_of(ordered(results.filter(pa.array(valid))))
        if exact:
            return self._count(self._owners[self._ranks == aims[self._owners]])
        owners, smallest, largest = self._subjects
        mine = aims[owners]
        return np.minimum(self._count(owners[smallest <= mine]), self._count(owners[largest >= mine]))

    def _ranks_of(self, results: Words) -> Codes:
        """The rank of each result, which is one of the values."""
        order = np.lexsort(np.concatenate([self._words, results]).T[::-1])
        is_value = order < len(self._words)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.cumsum(is_value) - 1  # of equal words the value comes first
        return ranks[len(self._words) :]

    def _count(self, owners: npt.NDArray[np.int32]) -> Codes:
        return np.bincount(owners, minlength=self._groups)


_Combinations = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Mask]
"""The place and the rank of each, and whether it is the first of its subject."""


def _keys(places: Codes, ranks: Codes, subject_bits: int, rank_bits: int, parts: Iterable[_Rows]) -> Codes:
    """The place, the subject and the rank of each row of some groups as one integer."""
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


def _combinations(keys: Codes, subject_bits: int, rank_bits: int) -> _Combinations:
    """Of equal keys one."""
    keys.sort()
    keys = keys[changes(keys)]
    ranks = (keys & ((1 << rank_bits) - 1)).astype(np.int32)
    keys >>= rank_bits
    first = changes(keys)
    keys >>= subject_bits
    return keys.astype(np.int32), ranks, first


class _Aims:
    """The result of each group, to compare values with."""

    def __init__(self, known: Mask, words: Words) -> None:
        self.known = known
        self._words = words

    @classmethod
    def of(cls, groups: Codes, results: pa.Array) -> Self:
        size = int(groups.max(initial=-1)) + 1
        valid: Mask = np.asarray(results.is_valid())
        found = ordered(results.filter(pa.array(valid)))
        known, words = np.zeros(size, np.bool_), np.zeros((size, found.shape[1]), np.uint64)
        known[groups[valid]], words[groups[valid]] = True, found
        return cls(known, words)

    def compared(self, owners: Codes, words: Words) -> tuple[Codes, Codes]:
        """The rows of groups that have a result, and how the value of each compares with it, in bits."""
        chosen = np.flatnonzero(owners < len(self.known))
        chosen = chosen[self.known[owners[chosen]]]
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


class _Beyond:
    """The same beyond the budget: subjects by their hashes, values as ordered words."""

    def __init__(self, aside: Aside, width: int) -> None:
        self.aside = aside
        self.width = width
        self._rows = Accumulator(aside, width=5 + width)

    def add(self, groups: Codes, values: Words, subjects: Words) -> None:
        """Takes rows in: the group, the value and the subject's hash of each."""
        owners = groups.astype(np.uint64)
        mixed = owners * _ODD
        for place in range(self.width):
            mixed = (mixed ^ values[:, place]) * _ODD
        hashes = subjects ^ np.column_stack([mixed, mixed * _ODD])
        self._rows.add(Rows(np.column_stack([hashes, subjects, owners, values])))

    def merge(self, other: Self, groups: Codes) -> None:
        """Takes others in; `groups[i]` is our code for their group i."""
        for rows in other._rows.settle():
            self.add(groups[rows.words[:, 4].astype(np.int64)], rows.words[:, 5:], rows.words[:, 2:4])

    def sides(self, aims: _Aims) -> Beyond:
        """The distinct subjects of each group with a result, by how their values compare with it."""
        counts = Beyond(self.aside, bits=3)
        for rows in self._rows.settle():
            owners = rows.words[:, 4].astype(np.int64)
            chosen, lacking = aims.compared(owners, rows.words[:, 5:])
            counts.add(owners[chosen], rows.words[chosen, 2:4], lacking)
        return counts
