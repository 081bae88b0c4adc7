"""Contribution sketches: a short summary of the contribution of each subject to the figures of a group or cell.

A sketch has one entry per bucket of subjects: the sum, modulo 2**32, of a keyed hash of subject and value over the rows of
that bucket. Sketches add and subtract entry by entry. An entry that differs between two sketches rests on at least one
subject whose contribution differs, so the number of differing entries never exceeds the number of those subjects. It falls
short if two of them share a bucket.

With 8 buckets per subject of the threshold of 10, 9 changed subjects are never seen as 10. 10 are in 56 % of cases, 12 in
97 %, 14 in 99.9 %.

Each number of a cell measure (`cells.py`) has a sketch of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.cells import CellMeasure
from minimize.aggregates.dictionaries import CombinationDictionary
from minimize.arrow.dictionaries import Codes, is_identity
from minimize.arrow.hashing import SPREAD_FACTOR
from minimize.arrow.value_dictionary import ValueDictionary
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace, ValueHasher
from minimize.spill.memory_budget import Arena

Entries = npt.NDArray[np.uint32]
"""Sketches of some groups: one row per group, one column per bucket."""
_MIN_BUCKETS: Final = 80
"""Buckets of the smallest sketch: eight per subject of a threshold of 10."""
_MAX_DENSE_ENTRIES: Final = 1 << 23
"""Entries per figure that are kept in one array: 32 MiB. Groups come in the order in which they have enough rows, so these are
the frequent ones. The others are stored as sorted keys, which costs four times as much for each row."""
_MAX_WAITING_ROWS: Final = 1 << 22
"""Rows that may be buffered: with three figures 68 MiB. Rows of groups that are never published cost no more than that.

The limit is double after a merge, because the rows of both are in memory already and sketches are usually requested next.
"""
_ROWS_AT_ONCE: Final = 1 << 14
"""Rows that are added at once: the entries of a bucket are next to each other, and in the cache for its second figure. One add
in 16,384 rows takes 22 ns, one in all rows of three figures 48 ns."""
_ODD_INVERSE: Final = pow(int(SPREAD_FACTOR), -1, 1 << 64)
_LOW_WORD: Final = np.uint64(0xFFFFFFFF)
_HALF_WORD: Final = np.uint64(32)


def bucket_count(below: int) -> int:
    """The number of entries of a sketch, for a threshold of subjects: at least eight per subject, and always 80 times a power
    of two, so that sketches for different thresholds can be compared.

    >>> bucket_count(5), bucket_count(10), bucket_count(25)
    (80, 80, 320)
    """
    count = _MIN_BUCKETS
    while count < 8 * below:
        count *= 2
    return count


def fold_sketches(entries: Entries, buckets: int) -> Entries:
    """Sketches with fewer buckets: each becomes the sum of its neighbours.

    >>> fold_sketches(np.arange(160, dtype=np.uint32)[None], 80)[0, :3].tolist()
    [1, 5, 9]
    """
    return np.asarray(
        entries.reshape(len(entries), buckets, entries.shape[1] // buckets).sum(axis=2, dtype=np.uint32), np.uint32
    )


def count_differing(entries: Entries) -> npt.NDArray[np.int64]:
    """A lower bound of the subjects on which each difference of sketches rests.

    >>> count_differing(np.array([[0, 0, 0], [7, 0, 1]], np.uint32)).tolist()
    [0, 2]
    """
    return np.asarray(np.count_nonzero(entries, axis=1), np.int64)


class ContributionSketches:
    """Sketches of the groups of an aggregate that may be published, one for each kind of figure.

    Takes the number of kinds of figures and the threshold. Rows are buffered until there are many of them or sketches are
    requested: most groups are too small to be published and need no sketch. Memory is bounded: the rest is spilled.
    """

    def __init__(self, figures: int, below: int, space: SpillSpace) -> None:
        self._figures = figures
        self._buckets = bucket_count(below)
        self._width = figures * self._buckets
        self._below = max(below, 1)
        self._aside = space
        self._limit = max(_MAX_DENSE_ENTRIES // self._buckets, 1)
        self._slots = np.empty(0, np.int64)
        self._groups = np.empty(0, np.int64)
        # The system allocates zero pages when they are written; an array that grows would be copied repeatedly.
        self._dense = np.zeros(self._limit * self._width, np.uint32)
        self._rest: Accumulator | None = None
        self._arena = Arena()
        self._waiting: list[_WaitingRows] = []
        self._rows = 0

    def add(self, groups: Codes, subjects: HashWords, figures: Mapping[int, HashWords | None]) -> None:
        """Adds rows: the group of each, the keyed hash of its subject, and the hashes of its values per kind of figure.

        A kind of figure that has None for its values counts the rows themselves. The hash 0 means no value.
        """
        buckets = ((subjects >> _HALF_WORD) * np.uint64(self._buckets)) >> _HALF_WORD
        sums = self._arena.array((len(figures), len(groups)), np.uint32)
        odd = subjects | np.uint64(1)
        for place, values in enumerate(figures.values()):
            # The upper half of a product depends on all bits of both factors. Assigning takes the lower half of a word.
            sums[place] = subjects if values is None else (odd * values) >> _HALF_WORD
        small = self._arena.copy_of(buckets, np.min_scalar_type(self._buckets - 1))
        self._wait(_WaitingRows(self._arena.copy_of(groups, np.int32), small, tuple(figures), sums), _MAX_WAITING_ROWS)

    @property
    def nbytes(self) -> int:
        """Bytes used by the frequent groups and by buffered rows."""
        dense = min(len(self._groups), self._limit) * self._width * self._dense.itemsize
        return dense + sum(each.nbytes for each in self._waiting)

    def merge(self, other: Self, groups: Codes) -> None:
        """Adds other sketches; `groups[i]` is the code here of their group i."""
        self._know(int(groups.max(initial=-1)) + 1)
        self._promote(groups[other._groups])
        slots = self._slots[groups[other._groups]]
        theirs = other._dense.reshape(other._limit, self._width)
        inner = np.arange(min(len(slots), other._limit))
        for some in np.array_split(inner, len(inner) // 1024 + 1):
            self._add((slots[some, None] * self._width + np.arange(self._width)).ravel(), theirs[some].ravel())
        for keys, sums in other._spilled_entries():
            self._add(slots[keys // self._width] * self._width + keys % self._width, sums)
        same = is_identity(groups)
        for each in other._waiting:
            mine = each if same else replace(each, groups=groups[each.groups].astype(np.int32))
            self._wait(mine, 2 * _MAX_WAITING_ROWS)

    def settle(self, groups: Codes) -> list[Entries]:
        """The sketches of some groups, in their order, for each kind of figure."""
        self._know(int(groups.max(initial=-1)) + 1)
        found = np.zeros((self._figures, len(groups), self._buckets), np.uint32)
        slots = self._slots[groups]
        near = np.flatnonzero((slots >= 0) & (slots < self._limit))
        rows = self._dense.reshape(self._limit, self._buckets, self._figures)[slots[near]]
        found[:, near] = rows.transpose(2, 0, 1)
        places = np.full(len(self._slots), -1)
        places[groups] = np.arange(len(groups))
        for keys, sums in self._spilled_entries():
            owners = places[self._groups[keys // self._width]]
            kept = np.flatnonzero(owners >= 0)
            buckets, figures = np.divmod(keys[kept] % self._width, self._figures)
            found[figures, owners[kept], buckets] += sums[kept]
        for each in self._waiting:
            owners = places.take(each.groups)
            kept = np.flatnonzero(owners >= 0)
            cells = owners[kept] * self._buckets + each.buckets[kept]
            for figure, sums in zip(each.figures, each.sums, strict=True):
                np.add.at(found[figure].reshape(-1), cells, sums[kept])
        return list(found)

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: only the used part of the array."""
        held = min(len(self._groups), self._limit) * self._width
        return {**self.__dict__, "_dense": self._dense[:held].copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        held = state["_dense"]
        self._dense = np.zeros(self._limit * self._width, np.uint32)
        self._dense[: len(held)] = held

    def _know(self, groups: int) -> None:
        """Extends the table of slots to this number of groups."""
        if groups > len(self._slots):
            more = max(groups, 2 * len(self._slots)) - len(self._slots)
            self._slots = np.concatenate([self._slots, np.full(more, -1)])

    def _promote(self, groups: Codes) -> None:
        """Assigns slots in the sketches to groups, in this order."""
        new = groups[self._slots[groups] < 0]
        self._slots[new] = np.arange(len(self._groups), len(self._groups) + len(new))
        self._groups = np.concatenate([self._groups, new])

    def _wait(self, rows: _WaitingRows, most: int) -> None:
        self._know(int(rows.groups.max(initial=-1)) + 1)
        self._waiting.append(rows)
        self._rows += len(rows.groups)
        if self._rows > most:
            self._promote_waiting()

    def _promote_waiting(self) -> None:
        """Reduces the buffer: the groups with most rows get a slot in the sketches.

        First groups whose rows need more memory than a sketch, then groups that may be published, then all.
        """
        rows = np.bincount(np.concatenate([each.groups for each in self._waiting]), minlength=len(self._slots))
        for least in (self._buckets, self._below, 1):
            self._promote(np.flatnonzero(rows >= least))
            if rows[self._slots < 0].sum() <= _MAX_WAITING_ROWS // 2:
                break
        self._put()
        kinds = {
            each.figures: [rows for rows in self._waiting if rows.figures == each.figures] for each in self._waiting
        }
        self._waiting = [_WaitingRows.concatenate(some) for some in kinds.values()]

    def _put(self) -> None:
        """Adds buffered rows of groups with a slot to the sketches. The others stay in the buffer."""
        waiting, self._waiting, self._rows = self._waiting, [], 0
        while waiting:
            each = waiting.pop()
            places = self._slots.take(each.groups)
            placed = places >= 0
            rows = np.flatnonzero(placed)
            for some in np.array_split(rows, len(rows) // _ROWS_AT_ONCE + 1):
                keys = (places[some] * self._buckets + each.buckets[some]) * self._figures
                for figure, sums in zip(each.figures, each.sums, strict=True):
                    self._add(keys + figure, sums[some])
            if len(rows) < len(placed):
                left = each.select(~placed) if len(rows) else each
                self._waiting.append(left)
                self._rows += len(left.groups)

    def _spilled_entries(self) -> Iterator[tuple[Codes, Entries]]:
        """The entries outside the array: the index and the sum of each."""
        for rows in () if self._rest is None else self._rest.settle():
            keys = (rows.words[:, 0] * np.uint64(_ODD_INVERSE)).astype(np.int64)
            yield keys, (rows.words[:, 1] & _LOW_WORD).astype(np.uint32)

    def _add(self, keys: Codes, sums: Entries) -> None:
        """Adds to entries, whose indices are `(slot * buckets + bucket) * figures + figure`."""
        if int(keys.max(initial=-1)) < len(self._dense):
            np.add.at(self._dense, keys, sums)
            return
        inside = keys < len(self._dense)
        np.add.at(self._dense, keys[inside], sums[inside])
        if self._rest is None:
            self._rest = Accumulator(self._aside, 2, [np.add], keys=1)
        words = keys[~inside].astype(np.uint64) * SPREAD_FACTOR
        self._rest.add(HashedRows(np.column_stack([words, sums[~inside].astype(np.uint64)])))


@dataclass(frozen=True, slots=True)
class _WaitingRows:
    """Buffered rows: the group, the bucket and, for some kinds of figures, the summand of each."""

    groups: npt.NDArray[np.int32]
    buckets: npt.NDArray[np.unsignedinteger]
    figures: tuple[int, ...]
    sums: Entries

    @classmethod
    def concatenate(cls, parts: list[_WaitingRows]) -> _WaitingRows:
        """Concatenates rows with the same kinds of figures."""
        groups, buckets = (np.concatenate([getattr(each, name) for each in parts]) for name in ("groups", "buckets"))
        return cls(groups, buckets, parts[0].figures, np.concatenate([each.sums for each in parts], axis=1))

    def select(self, rows: npt.NDArray[np.bool_]) -> _WaitingRows:
        """Some of them."""
        return _WaitingRows(self.groups[rows], self.buckets[rows], self.figures, self.sums[:, rows])

    @property
    def nbytes(self) -> int:
        """Bytes used."""
        return int(self.groups.nbytes + self.buckets.nbytes + self.sums.nbytes)


def hash_values(values: pa.Array, hasher: ValueHasher) -> HashWords:
    """A hash of each value, independent of the encoding of the column: 1, 1.0 and the decimal 1.00 are one value.

    Takes a column without nulls.
    """
    if pa.types.is_dictionary(values.type):
        return np.asarray(
            hash_values(values.dictionary, hasher)[values.indices.to_numpy(zero_copy_only=False)], np.uint64
        )
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_decimal(values.type):
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return _mix_words((numbers + 0.0).view(np.uint64))
    if pa.types.is_timestamp(values.type):
        return _mix_words(values.cast(pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64))
    encoded = values.dictionary_encode()
    return np.asarray(hasher(encoded.dictionary)[encoded.indices.to_numpy(), 0], np.uint64)


def _mix_words(words: HashWords) -> HashWords:
    """Words spread over all bits. Zero becomes another number."""
    mixed = (words ^ (words >> _HALF_WORD) ^ np.uint64(_ODD_INVERSE)) * SPREAD_FACTOR
    return np.asarray(mixed ^ (mixed >> _HALF_WORD), np.uint64)


def sum_sketches(entries: Entries, owners: Codes, groups: int) -> Entries:
    """Sums of sketches: row i belongs to group `owners[i]`; rows of group -1 are left out."""
    sums = np.zeros((groups, entries.shape[1]), np.uint32)
    kept = owners >= 0
    np.add.at(sums, owners[kept], entries[kept])
    return sums


FigureKind = tuple[str, bool] | tuple[str, bool, str] | None
"""A kind of figures that can be subtracted from each other: numbers of rows and of subjects (None), figures over the values of a
field (its key, and whether by rank), and numbers of rows with some of its values (by the name of the cell)."""
MAX_CELL_SKETCH_BYTES: Final = 1 << 28
"""Largest size of the sketches of all cells of a measure."""


class CellSketches:
    """Sketches of the rows of each group that are in a cell of one measure."""

    def __init__(self, measure: CellMeasure, type_: pa.DataType, below: int, space: SpillSpace) -> None:
        self.measure = measure
        self._type = type_
        self._below = below
        self._keys = ValueDictionary(pa.string())
        self._cells = CombinationDictionary(2)
        self._sketches = ContributionSketches(1, below, space)

    @property
    def field(self) -> tuple[str, bool]:
        """The field of the measure."""
        return self.measure.of or "", self.measure.by_rank

    def add(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows: the group, the value and the keyed hash of the subject of each."""
        cells = self._cells.encode([groups, self._keys.encode(self.measure.cell_keys(values, self._type))], len(groups))
        self._sketches.add(cells, subjects, {0: None})

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges other sketches; `groups[i]` is the code here of their group i."""
        theirs, codes = other._cells.columns()
        ours = self._keys.codes(other._keys.values)[codes]
        self._sketches.merge(other._sketches, self._cells.encode([groups[theirs], ours], len(theirs)))

    def settle(self, groups: Codes) -> dict[str, Entries] | None:
        """The sketches of each cell in some groups, by name of the cell; None if they exceed the memory limit."""
        owners, codes = self._cells.columns()
        places = np.full(int(max(owners.max(initial=-1), groups.max(initial=-1))) + 1, -1)
        places[groups] = np.arange(len(groups))
        chosen = np.flatnonzero(places[owners] >= 0)
        keys = self._keys.values.to_pylist()
        present = np.unique(codes[chosen])
        buckets = bucket_count(self._below)
        if len(present) * len(groups) * buckets * 4 > MAX_CELL_SKETCH_BYTES:
            return None
        settled = self._sketches.settle(chosen)[0]
        found: dict[str, Entries] = {}
        for code in present.tolist():
            entries = np.zeros((len(groups), buckets), np.uint32)
            mine = np.flatnonzero(codes[chosen] == code)
            entries[places[owners[chosen[mine]]]] = settled[mine]
            found[self.measure.name_of_cell(keys[code])] = entries
        return found
