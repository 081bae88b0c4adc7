"""Contribution sketches: how much each data subject contributes to the figures of a group, folded into a few numbers.

A sketch has one entry per bucket of subjects: the sum, modulo 2**32, of a keyed hash of subject and value over the rows of that
bucket. Sketches add and subtract entry by entry. An entry that differs between two sketches rests on at least one subject whose
contribution differs, so the number of differing entries never exceeds the number of those subjects. It falls short if two of
them share a bucket.

With 8 buckets per subject of the threshold of 10, 9 changed subjects are never seen as 10. 10 are in 56 % of cases, 12 in 97 %,
14 in 99.9 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.spill import Accumulator, Aside, Hasher, Rows, Words

Entries = npt.NDArray[np.uint32]
"""Sketches of some groups: one row per group, one column per bucket."""
_BUCKETS: Final = 80
"""Buckets of the smallest sketch: eight per subject of a threshold of 10."""
_DENSE: Final = 1 << 23
"""Entries per figure that are kept in one array: 32 MiB. Groups come in the order in which they are first seen, so these are the
frequent ones; the others are kept as sorted keys, which costs four times as much for each row."""
_ODD: Final = 0x9E3779B97F4A7C15
_INVERSE: Final = pow(_ODD, -1, 1 << 64)
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)


def bucket_count(below: int) -> int:
    """The number of entries of a sketch, for a threshold of subjects: at least eight per subject, and always 80 times a power
    of two, so that sketches for different thresholds can be compared.

    >>> bucket_count(5), bucket_count(10), bucket_count(25)
    (80, 80, 320)
    """
    count = _BUCKETS
    while count < 8 * below:
        count *= 2
    return count


def folded(entries: Entries, buckets: int) -> Entries:
    """Sketches with fewer buckets: each becomes the sum of its neighbours.

    >>> folded(np.arange(160, dtype=np.uint32)[None], 80)[0, :3].tolist()
    [1, 5, 9]
    """
    return np.asarray(
        entries.reshape(len(entries), buckets, entries.shape[1] // buckets).sum(axis=2, dtype=np.uint32), np.uint32
    )


def differing(entries: Entries) -> npt.NDArray[np.int64]:
    """A lower bound of the subjects on which each difference of sketches rests.

    >>> differing(np.array([[0, 0, 0], [7, 0, 1]], np.uint32)).tolist()
    [0, 2]
    """
    return np.asarray(np.count_nonzero(entries, axis=1), np.int64)


class ContributionSketches:
    """Sketches of all groups of an aggregate, one for each kind of figure.

    Takes the number of kinds of figures and the threshold. Its memory is bounded: what does not fit goes to `aside`.
    """

    def __init__(self, figures: int, below: int, aside: Aside) -> None:
        self._figures = figures
        self._buckets = bucket_count(below)
        self._aside = aside
        self._limit = max(_DENSE // self._buckets, 1)
        self._dense = np.zeros((figures, 0), np.uint32)
        self._rest: Accumulator | None = None

    def add(self, groups: Codes, subjects: Words, figures: Mapping[int, Words | None]) -> None:
        """Adds rows: the group of each, the keyed hash of its subject, and the hashes of its values per kind of figure.

        A kind of figure that has None for its values counts the rows themselves.
        """
        buckets = ((subjects >> _HALF) * np.uint64(self._buckets)) >> _HALF
        cells = groups * self._buckets + buckets.astype(np.int64)
        for figure, values in figures.items():
            weights = subjects if values is None else (subjects | np.uint64(1)) * values
            # The upper half of a product depends on all bits of both factors.
            self._add(figure, cells, (weights & _LOW if values is None else weights >> _HALF).astype(np.uint32))

    @property
    def nbytes(self) -> int:
        """Bytes held for the frequent groups."""
        return int(self._dense.nbytes)

    def merge(self, other: Self, groups: Codes) -> None:
        """Adds other sketches; `groups[i]` is our code of their group i."""
        for figure, cells, weights in other._cells():
            self._add(figure, groups[cells // self._buckets] * self._buckets + cells % self._buckets, weights)

    def settle(self, groups: Codes) -> list[Entries]:
        """The sketches of some groups, in their order, for each kind of figure."""
        found = np.zeros((self._figures, len(groups), self._buckets), np.uint32)
        places = np.full(int(groups.max(initial=-1)) + 1, -1)
        places[groups] = np.arange(len(groups))
        for figure, cells, weights in self._cells():
            owners = cells // self._buckets
            kept = owners < len(places)
            kept[kept] = places[owners[kept]] >= 0
            found[figure, places[owners[kept]], cells[kept] % self._buckets] += weights[kept]
        return list(found)

    def _cells(self) -> Iterator[tuple[int, Codes, Entries]]:
        """All entries that are not zero: the kind of figure, then for each of its entries the cell and the sum."""
        for figure, row in enumerate(self._dense):
            cells = np.flatnonzero(row)
            yield figure, cells, row[cells]
        for rows in () if self._rest is None else self._rest.settle():
            keys = (rows.words[:, 0] * np.uint64(_INVERSE)).astype(np.int64)
            sums = (rows.words[:, 1] & _LOW).astype(np.uint32)
            for figure in range(self._figures):
                chosen = keys % self._figures == figure
                yield figure, keys[chosen] // self._figures, sums[chosen]

    def _add(self, figure: int, cells: Codes, weights: Entries) -> None:
        end = self._limit * self._buckets
        inside = cells < end
        if inside.all():
            self._grow(int(cells.max(initial=-1)) // self._buckets + 1)
            np.add.at(self._dense[figure], cells, weights)
            return
        self._grow(self._limit)
        np.add.at(self._dense[figure], cells[inside], weights[inside])
        if self._rest is None:
            self._rest = Accumulator(self._aside, width=2, summed=1, keys=1)
        keys = (cells[~inside] * self._figures + figure).astype(np.uint64) * np.uint64(_ODD)
        self._rest.add(Rows(np.column_stack([keys, weights[~inside].astype(np.uint64)])))

    def _grow(self, groups: int) -> None:
        """Makes room for the first groups."""
        held = self._dense.shape[1] // self._buckets
        if groups > held:
            more = min(max(groups, 2 * held), self._limit) - held
            self._dense = np.pad(self._dense, ((0, 0), (0, more * self._buckets)))


def value_hashes(values: pa.Array, hasher: Hasher) -> Words:
    """A hash of each value, the same however the column is encoded. Takes a column without nulls."""
    if pa.types.is_dictionary(values.type):
        return np.asarray(
            value_hashes(values.dictionary, hasher)[values.indices.to_numpy(zero_copy_only=False)], np.uint64
        )
    if pa.types.is_floating(values.type):
        return _mixed((values.cast(pa.float64()).to_numpy(zero_copy_only=False) + 0.0).view(np.uint64))
    if pa.types.is_integer(values.type) or pa.types.is_timestamp(values.type):
        return _mixed(values.cast(pa.int64()).to_numpy(zero_copy_only=False).view(np.uint64))
    encoded = values.dictionary_encode()
    return np.asarray(hasher(encoded.dictionary)[encoded.indices.to_numpy(), 0], np.uint64)


def _mixed(words: Words) -> Words:
    """Words spread over all bits. Zero, too, becomes a number that counts."""
    mixed = (words ^ (words >> _HALF) ^ np.uint64(_INVERSE)) * np.uint64(_ODD)
    return np.asarray(mixed ^ (mixed >> _HALF), np.uint64)


def totals(entries: Entries, owners: Codes, groups: int) -> Entries:
    """Sums of sketches: row i belongs to group `owners[i]`; rows of group -1 are left out."""
    sums = np.zeros((groups, entries.shape[1]), np.uint32)
    kept = owners >= 0
    np.add.at(sums, owners[kept], entries[kept])
    return sums
