"""Exact distinct counts: pairs of a group and a code in memory and spilled, subjects per cell, contributors per group.

A pair is one integer, group first, so that a sorted array of pairs holds a group in one piece. A few bits next to a pair
record which values its rows lack, so that one array yields the subjects of a group, and those that contribute a value of a
field. Rows that repeat the row before them of the same code are left out at once; what remains of a batch is sorted and merged
later.

Fields in lists, and those for which there is no bit, have pairs of their own from the first row that lacks a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from minimize.aggregates.batch_views import RowView
from minimize.aggregates.exact_sums import CellSums, GroupSums
from minimize.arrow.dictionaries import Bools, Codes, is_identity, pack_codes, run_starts, unique_codes, unpack_codes
from minimize.arrow.hashing import SPREAD_FACTOR
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace

MASK_BITS: Final = 4
"""Number of fields with a bit for rows that lack a value."""
_MAX_GROUPS: Final = 1 << (32 - MASK_BITS)
"""Largest number of groups; with more, no row is left out."""
_NO_GROUP: Final = np.uint32(2**32 - 1)


class LastSeenGroups:
    """The last group of each code, and the values that its row lacked.

    Exact in one direction: for each row that it leaves out, there was an earlier row of the same group and code that lacked the
    same values.

    >>> last = LastSeenGroups()
    >>> last.new_rows(np.array([0, 0]), np.array([7, 8])).tolist(), last.new_rows(np.array([0, 1]), np.array([7, 8])).tolist()
    ([0, 1], [1])
    """

    def __init__(self) -> None:
        self._groups: npt.NDArray[np.uint32] = np.empty(0, np.uint32)

    def __reduce__(self) -> tuple[type[LastSeenGroups], tuple[()]]:
        """State for other processes: empty."""
        return LastSeenGroups, ()

    @property
    def nbytes(self) -> int:
        """Bytes used."""
        return int(self._groups.nbytes)

    def copy(self) -> Self:
        """An independent copy."""
        other = type(self)()
        other._groups = self._groups.copy()
        return other

    def new_rows(self, groups: Codes, codes: Codes, lacking: Codes | None = None) -> Codes:
        """The rows that may be new, in order. Takes the group, the code and the bits of missing values of each row."""
        if not len(groups) or int(groups.max()) >= _MAX_GROUPS - 1:
            return np.arange(len(groups))
        self._reach(int(codes.max()) + 1)
        now = (groups << MASK_BITS if lacking is None else groups << MASK_BITS | lacking).astype(np.uint32)
        before = self._groups.take(codes)
        differs = before ^ now
        new = np.flatnonzero((differs >> MASK_BITS != 0) | (differs & before != 0))
        self._groups[codes[new]] = now[new]
        return new

    def _reach(self, codes: int) -> None:
        if codes > len(self._groups):
            grown = np.full(max(codes, len(self._groups) * 5 // 4), _NO_GROUP, np.uint32)
            grown[: len(self._groups)] = self._groups
            self._groups = grown


_GROUP_FACTORS = (SPREAD_FACTOR, np.uint64(0xC2B2AE3D27D4EB4F))
"""Odd numbers: products of groups with one of them differ, so that pairs of one value differ."""


class SpilledPairs:
    """Distinct pairs of a group and a hash. For equal pairs, the bits that all of them have are kept."""

    def __init__(self, space: SpillSpace, bits: int) -> None:
        self._aside = space
        self._bits = bits
        self._pairs = Accumulator(space, width=4, summed=1, by=np.bitwise_and)
        self._counts: Codes | None = None

    def add(self, groups: Codes, hashes: HashWords, bits: Codes | None = None) -> None:
        """Adds equally long columns."""
        self._counts = None
        bit_words = np.zeros(len(groups), np.uint64) if bits is None else bits.astype(np.uint64)
        owners = groups.astype(np.uint64)
        self._pairs.add(HashedRows(np.column_stack([hashes ^ _mix_groups(owners), owners, bit_words])))

    def copy(self) -> SpilledPairs:
        """An independent copy of the pairs."""
        other = SpilledPairs(self._aside, self._bits)
        other._pairs, other._counts = self._pairs.copy(), self._counts
        return other

    @classmethod
    def from_merge(cls, mine: Self | None, other: Self, groups: Codes) -> Self:
        """The union of both, or the other one if there is only one; `groups[i]` is the code here for their group i."""
        ours = cls(other._aside, other._bits) if mine is None else mine
        for rows in other._pairs.settle():
            theirs = rows.words[:, 2]
            hashes = rows.words[:, :2] ^ _mix_groups(theirs)
            ours.add(groups[theirs.astype(np.int64)], hashes, rows.words[:, 3].astype(np.int64))
        return ours

    def regrouped(self, owners: Codes) -> SpilledPairs:
        """The pairs of several groups together: group i becomes `owners[i]`, or is left out (-1)."""
        whole = SpilledPairs(self._aside, self._bits)
        for rows in self._pairs.settle():
            theirs = rows.words[:, 2]
            kept = owners[theirs.astype(np.int64)] >= 0
            some = rows.words[kept]
            hashes = some[:, :2] ^ _mix_groups(some[:, 2])
            whole.add(owners[some[:, 2].astype(np.int64)], hashes, some[:, 3].astype(np.int64))
        return whole

    def distinct(self, groups: Codes, bit: int | None = None) -> Codes:
        """The number of distinct hashes of some groups, or of those in a pair without the bit."""
        if self._counts is None:
            self._counts = self._count_bits()
        column = self._counts[:, 0 if bit is None else bit + 1]
        reach = int(groups.max(initial=-1)) + 1
        return np.append(column, np.zeros(max(0, reach - len(column)), np.int64))[groups]

    def _count_bits(self) -> Codes:
        """The number of pairs per group, and for each bit of those without it, in one pass."""
        counts = np.zeros((0, self._bits + 1), np.int64)
        for rows in self._pairs.settle():
            owners, bits = rows.words[:, 2].astype(np.int64), rows.words[:, 3]
            reach = max(int(owners.max(initial=-1)) + 1, len(counts))
            masks = [np.ones(len(owners), np.bool_), *(_lacks_bit(bits, bit) for bit in range(self._bits))]
            more = np.column_stack([np.bincount(owners[mask], minlength=reach) for mask in masks])
            more[: len(counts)] += counts
            counts = more
        return counts


def _mix_groups(groups: HashWords) -> HashWords:
    return np.column_stack([groups * _GROUP_FACTORS[0], groups * _GROUP_FACTORS[1]])


def _lacks_bit(bits: HashWords, bit: int) -> npt.NDArray[np.bool_]:
    return np.asarray(bits & np.uint64(1 << bit) == 0, np.bool_)


_CODE_BITS = 30
_MAX_PENDING_PAIRS = 1 << 22
"""Pairs that may always be buffered."""
_PAIRS_AT_ONCE = 1 << 18
"""Pairs that are spilled, merged or counted together: each needs several times its size meanwhile."""


class DistinctPairs:
    """Distinct pairs. The cost of adding rows is near-linear in the number of rows.

    >>> pairs = DistinctPairs()
    >>> pairs.add(np.array([0, 0, 1, 0]), np.array([7, 7, 7, 8]))
    >>> pairs.distinct(np.array([0, 1])).tolist()
    [2, 1]
    """

    def __init__(self) -> None:
        self._keys: Codes = np.empty(0, np.int64)
        self._last = LastSeenGroups()
        self._pending: list[Codes] = []
        self._waiting = 0
        self._known: dict[int | None, Codes] = {}
        self._beyond: SpilledPairs | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return int(self._keys.nbytes) + self._last.nbytes + sum(keys.nbytes for keys in self._pending)

    def add(self, groups: Codes, codes: Codes, lacking: Codes | None = None) -> None:
        """Adds equally long codes, below 2**29 and 2**30, and the bits of the values that each row lacks."""
        new = self._last.new_rows(groups, codes, lacking)
        self._put(unique_codes(_pack_pairs(groups[new], codes[new], None if lacking is None else lacking[new])))

    def copy(self) -> Self:
        """An independent copy of the pairs. It shares arrays, which are never changed in place."""
        other = copy(self)
        other._pending, other._known, other._last = list(self._pending), {}, self._last.copy()
        other._beyond = None if self._beyond is None else self._beyond.copy()
        return other

    def merge(self, other: Self, groups: Codes, codes: Codes) -> None:
        """Merges other pairs with the same bits; `groups[i]` and `codes[i]` are the codes here for their code i."""
        for keys in (other._keys, *other._pending):
            if is_identity(groups) and is_identity(codes):
                self._put(keys)
                continue
            for some in _split_keys(keys):
                pairs = some >> MASK_BITS
                theirs, low = pairs >> _CODE_BITS, pairs & ((1 << _CODE_BITS) - 1)
                self._put(unique_codes(_pack_pairs(groups[theirs], codes[low], some & ((1 << MASK_BITS) - 1))))
        if other._beyond is not None:
            self._beyond = SpilledPairs.from_merge(self._beyond, other._beyond, groups)

    def spill(self, space: SpillSpace, hashes: HashWords) -> None:
        """Spills all pairs. `hashes[i]` replaces code i, which may have another meaning afterwards."""
        keys = self.settle()
        if len(keys):
            self._beyond = self._beyond or SpilledPairs(space, MASK_BITS)
            for some in _split_keys(keys):
                pairs = some >> MASK_BITS
                codes, bits = pairs & ((1 << _CODE_BITS) - 1), some & ((1 << MASK_BITS) - 1)
                self._beyond.add(pairs >> _CODE_BITS, hashes[codes], bits)
            self._keys, self._known = np.empty(0, np.int64), {}
        self._last = LastSeenGroups()

    def settle(self) -> Codes:
        """The pairs with their bits, each once, in order."""
        if self._pending:
            parts = [self._keys, *self._pending]
            self._pending, self._waiting, self._keys = [], 0, np.empty(0, np.int64)
            self._keys = _concatenate_keys(parts)
            self._keys.sort(kind="stable")  # which detects data that is in order already
            self._keys = self._keys[run_starts(self._keys)]
        return self._keys

    def rows(self) -> Iterator[tuple[Codes, Codes]]:
        """The group and the code of each pair in memory, in portions."""
        for some in _split_keys(self.settle()):
            pairs = some[run_starts(some >> MASK_BITS)] >> MASK_BITS
            yield pairs >> _CODE_BITS, pairs & ((1 << _CODE_BITS) - 1)

    def distinct(self, groups: Codes, bit: int | None = None) -> Codes:
        """The number of distinct codes of some groups, or of those with a row that does not lack the value of the bit.

        If some pairs were spilled, all must be.
        """
        if self._beyond is not None:
            return self._beyond.distinct(groups, bit)
        return self.distinct_in_memory(groups, bit)

    def distinct_in_memory(self, groups: Codes, bit: int | None = None) -> Codes:
        """The same for pairs in memory."""
        counts = self._counts(bit)
        reach = int(groups.max(initial=-1)) + 1
        return np.pad(counts, (0, max(0, reach - len(counts))))[groups]

    def _counts(self, bit: int | None) -> Codes:
        """The number of distinct codes of each group, cached until more rows are added."""
        if not self._known:
            self._known = _count_by_group(self.settle())
        return self._known[bit]

    def _put(self, keys: Codes) -> None:
        """Adds sorted keys."""
        self._known = {}
        self._pending.append(keys)
        self._waiting += len(keys)
        if self._waiting > max(_MAX_PENDING_PAIRS, len(self._keys)):
            self.settle()


def _pack_pairs(groups: Codes, codes: Codes, lacking: Codes | None) -> Codes:
    keys = groups << _CODE_BITS
    keys |= codes
    keys <<= MASK_BITS
    if lacking is not None:
        keys |= lacking
    return keys


def _concatenate_keys(parts: list[Codes]) -> Codes:
    """Concatenates arrays. Each is released after it was copied."""
    whole, end = np.empty(sum(map(len, parts)), np.int64), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        whole[end : end + len(part)] = part
        end += len(part)
    return whole


def _split_keys(keys: Codes) -> Iterator[Codes]:
    """Sorted keys in portions. The keys of one pair stay together."""
    start = 0
    while start < len(keys):
        end = start + _PAIRS_AT_ONCE
        while end < len(keys) and keys[end] >> MASK_BITS == keys[end - 1] >> MASK_BITS:
            end += 1
        yield keys[start:end]
        start = end


def _count_by_group(keys: Codes) -> dict[int | None, Codes]:
    """The number of pairs of each group (None), and by bit of those with a row that does not lack the value of the bit."""
    groups = int(keys[-1] >> (_CODE_BITS + MASK_BITS)) + 1 if len(keys) else 0
    everyone, without = np.zeros(groups, np.int64), np.zeros((MASK_BITS, groups), np.int64)
    for some in _split_keys(keys):
        pairs = some >> MASK_BITS
        starts = np.flatnonzero(run_starts(pairs))
        owners, lacks = pairs[starts] >> _CODE_BITS, np.bitwise_and.reduceat(some, starts)
        _add_counts(everyone, owners)
        for bit in range(MASK_BITS):
            _add_counts(without[bit], owners[lacks & (1 << bit) != 0])
    return {None: everyone, **{bit: everyone - count for bit, count in enumerate(without)}}


def _add_counts(counts: Codes, owners: Codes) -> None:
    """Adds the number of occurrences of each of these sorted groups."""
    if len(owners):
        some = np.bincount(owners - owners[0])
        counts[owners[0] : owners[0] + len(some)] += some


class CellCounts:
    """Number of rows and of distinct subjects per cell.

    >>> counts = CellCounts()
    >>> counts.add(np.array([0, 0, 0, 1]), np.array([7, 7, 8, -1]))
    >>> [part.tolist() for part in counts.settle(np.array([0, 1]))]
    [[3, 1], [2, 0]]
    """

    def __init__(self) -> None:
        self._cells = CellSums()
        self._rows = GroupSums()
        self._beyond: SpilledPairs | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._cells.nbytes

    def add(self, cells: Codes, subjects: Codes) -> None:
        """Adds rows: the cell and the subject (-1 for none) of each."""
        self._cells.add(cells, subjects + 1)

    def merge(self, other: Self, cells: Codes, subjects: Codes) -> None:
        """Merges other counts; `cells[i]` and `subjects[i]` are the codes here for their code i."""
        self._cells.merge(other._cells, cells, np.append(0, subjects + 1))
        self._rows.merge(other._rows, cells)
        if other._beyond is not None:
            self._beyond = SpilledPairs.from_merge(self._beyond, other._beyond, cells)

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills the subjects of all cells by their hashes. The numbers of rows stay in memory."""
        cells, columns, counts = self._cells.settle()
        if len(cells):
            self._rows.weigh(cells, counts[:, 0].astype(np.float64))
            known = columns > 0
            self._beyond = self._beyond or SpilledPairs(space, bits=0)
            self._beyond.add(cells[known], subjects[columns[known] - 1])
            self._cells = CellSums()

    def distinct_together(self, owners: Codes, groups: int) -> Codes:
        """The number of distinct subjects of groups of cells: cell i is in group `owners[i]`, or in none (-1)."""
        if self._beyond is not None:
            return self._beyond.regrouped(owners).distinct(np.arange(groups))
        cells, subjects, _ = self._cells.settle()
        kept = (subjects > 0) & (owners[cells] >= 0)
        pairs = np.unique(pack_codes(owners[cells[kept]], subjects[kept]))
        return np.bincount(unpack_codes(pairs)[0], minlength=groups)

    def settle(self, cells: Codes) -> tuple[Codes, Codes]:
        """The rows and the distinct subjects of some cells. If some subjects were spilled, all must be."""
        rows, subjects, _ = self._cells.settle()
        reach = int(cells.max(initial=-1)) + 1
        total = self._rows.select(cells)
        if self._beyond is not None:
            return total, self._beyond.distinct(cells)
        distinct = np.bincount(rows[subjects > 0], minlength=reach)
        held = self._cells.sums_per_row(max(reach, int(rows.max(initial=-1)) + 1))
        return total + held[cells], distinct[cells]


MeasuredField = tuple[str, bool]
"""The key of a field, and whether its values are used by rank, which includes values in open bins."""


class Contributors:
    """Exact number of distinct subjects per group, to compare with thresholds. It must not be published if it is below.

    Takes the fields whose missing values are given by a mask. The first few of them have a bit next to the pairs.
    """

    def __init__(self, fields: Sequence[MeasuredField] = ()) -> None:
        self._everyone = DistinctPairs()
        self._bits = {field: bit for bit, field in enumerate(fields[:MASK_BITS])}
        self._apart: dict[MeasuredField, DistinctPairs] = {}

    @property
    def nbytes(self) -> int:
        """Bytes used."""
        return self._everyone.nbytes + sum(pairs.nbytes for pairs in self._apart.values())

    def observe(
        self,
        rows: RowView,
        partial: Mapping[MeasuredField, RowView],
        lacking: Mapping[MeasuredField, Bools] | None = None,
    ) -> None:
        """Adds rows. For fields with missing values, takes the rows with a value or the mask of rows without one."""
        views, bits = dict(partial), None
        for field, lacks in (lacking or {}).items():
            if field in self._bits:
                bit = lacks.astype(np.int64) << self._bits[field]
                bits = bit if bits is None else bits | bit
            else:
                views[field] = rows.select(~lacks)
        for field in {**self._apart, **views}:
            _add_view(self._pairs_of(field), views.get(field, rows))
        _add_view(self._everyone, rows, bits)

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Merges others with the same fields; `groups[i]` and `subjects[i]` are the codes here for their code i."""
        for field in {**self._apart, **other._apart}:
            self._pairs_of(field).merge(other._apart.get(field, other._everyone), groups, subjects)
        self._everyone.merge(other._everyone, groups, subjects)

    def distinct(self, groups: Codes, field: MeasuredField | None = None) -> Codes:
        """The number of subjects of some groups, or of those that contribute a value of a field."""
        if field is not None and field in self._apart:
            return self._apart[field].distinct(groups)
        return self._everyone.distinct(groups, None if field is None else self._bits.get(field))

    def distinct_in_memory(self, groups: Codes) -> Codes:
        """A lower bound of the number of subjects of some groups: those in memory."""
        return self._everyone.distinct_in_memory(groups)

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills all subjects by their hashes."""
        for pairs in (self._everyone, *self._apart.values()):
            pairs.spill(space, subjects)

    def _pairs_of(self, field: MeasuredField) -> DistinctPairs:
        if field not in self._apart:
            self._apart[field] = self._everyone.copy()
        return self._apart[field]


def _add_view(pairs: DistinctPairs, view: RowView, bits: Codes | None = None) -> None:
    there = view.subjects >= 0
    if there.all():
        pairs.add(view.groups, view.subjects, bits)
    else:
        pairs.add(view.groups[there], view.subjects[there], None if bits is None else bits[there])
