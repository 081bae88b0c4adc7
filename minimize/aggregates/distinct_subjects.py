"""Distinct subjects of each group, and sums for each subject, exact, in bounded memory: pairs of a group and a subject's hash.

Next to a pair is a bit for each fact that no row of the pair has had so far (for example a value of a field), the sums over its
rows, and for each ordered value the smallest and the largest one. The rows are sorted once, when subjects are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from minimize.aggregates.exact_sums import GroupSums
from minimize.arrow.dictionaries import Bools, Codes, is_identity
from minimize.arrow.hashing import SPREAD_FACTOR, mix
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace

_ROWS_AT_ONCE: Final = 1 << 14
"""Rows that are added at once, so that they stay in the processor's cache."""
_GROUP_BITS: Final = 32
_GROUP_MASK: Final = np.uint64((1 << _GROUP_BITS) - 1)
Words = HashWords | np.uint64
"""A word of each row, or one for all rows."""
WordRange = tuple[Words, Words]
"""The smallest and the largest ordered word."""
NO_RANGE: Final = (np.uint64(2**64 - 1), np.uint64(0))
"""Smallest and largest value of a row without one."""


class DistinctSubjects:
    """Distinct subjects per group, by their hashes. Takes the number of facts, ordered values and sums of a row.

    >>> subjects = DistinctSubjects(SpillSpace(None))
    >>> subjects.add(np.array([0, 0, 1]), np.array([[7, 1], [7, 1], [8, 1]], np.uint64))
    >>> subjects.count(np.array([0, 1])).tolist()
    [1, 1]
    """

    def __init__(self, space: SpillSpace, facts: int = 0, ranges: int = 0, sums: int = 0) -> None:
        self.sums = sums
        self._facts = facts
        self._ranges = ranges
        words = max(1, -(-(facts + _GROUP_BITS) // 64))
        self._width = 2 + words + sums + 2 * ranges
        combine = [*[np.bitwise_and] * words, *[np.add] * sums, *[np.minimum, np.maximum] * ranges]
        self._rows = Accumulator(space, self._width, combine)
        self._counts: list[GroupSums] | None = None

    def add(
        self,
        groups: Codes,
        subjects: HashWords,
        facts: Sequence[Bools | None] = (),
        ranges: Sequence[WordRange] = (),
        sums: Sequence[Words] = (),
    ) -> None:
        """Adds rows: the group and the hash of the subject of each (zeros: none), the mask of the rows that have each fact (None:
        all), the smallest and largest ordered word of each value, and what each adds to the sums modulo 2**64."""
        self._counts = None
        columns: list[Words] = [*sums, *(word for both in ranges for word in both)]
        for first in range(0, len(groups), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            words = self._words(
                groups[rows].astype(np.uint64),
                subjects[rows],
                [None if mask is None else mask[rows] for mask in facts],
                [word if isinstance(word, np.uint64) else word[rows] for word in columns],
            )
            self._rows.add(HashedRows(words))

    def merge(self, subjects: Self, groups: Codes) -> None:
        """Merges others with the same facts; `groups[i]` is the code here for their group i, or -1 to leave it out."""
        self._counts = None
        if is_identity(groups):
            self._rows.merge(subjects._rows)
            return
        for rows in subjects._rows.settle():
            theirs = _owners(rows.words)
            kept = np.flatnonzero(groups[theirs] >= 0)
            words, before, now = (
                rows.words[kept],
                theirs[kept].astype(np.uint64),
                groups[theirs[kept]].astype(np.uint64),
            )
            words[:, 0] ^= before * SPREAD_FACTOR ^ now * SPREAD_FACTOR
            words[:, 2] ^= before ^ now
            self._rows.add(HashedRows(words))

    def count(self, groups: Codes, fact: int | None = None) -> Codes:
        """The number of distinct subjects of some groups, or of those that have a fact."""
        if self._counts is None:
            self._counts = self._count()
        pairs, *lacking = self._counts
        return pairs.select(groups) if fact is None else pairs.select(groups) - lacking[fact].select(groups)

    def count_beside(self, groups: Codes, results: HashWords, place: int) -> Codes:
        """For some groups and an ordered word for each: the smaller number of the subjects that have a value at or below it,
        and of those that have one at or above it."""
        below, above = np.zeros(len(groups), np.int64), np.zeros(len(groups), np.int64)
        first = self._width - 2 * (self._ranges - place)
        for owners, words in self._rows_of(groups):
            low, high, aims = words[:, first], words[:, first + 1], results[owners]
            has_value = (low <= high) & _has_subject(words)
            below += np.bincount(owners[has_value & (low <= aims)], minlength=len(groups))
            above += np.bincount(owners[has_value & (high >= aims)], minlength=len(groups))
        return np.minimum(below, above)

    def pairs(self) -> Iterator[Pairs]:
        """All pairs, in parts."""
        first = self._width - 2 * self._ranges - self.sums
        for rows in self._rows.settle():
            yield Pairs(rows.words, first, self.sums)

    def digest(self, groups: HashWords) -> bytes:
        """A digest of all pairs and what stands next to them, independent of their order. Takes a hash of each group."""
        sums = np.zeros(3, np.uint64)
        for pairs in self.pairs():
            sums += pairs.digest(groups)
        return sums.tobytes()

    def _rows_of(self, groups: Codes) -> Iterator[tuple[Codes, HashWords]]:
        """The distinct rows of some groups, in parts: the index of the group of each, and its words."""
        places = np.full(int(groups.max(initial=-1)) + 2, -1)  # the last one is for all larger groups
        places[groups] = np.arange(len(groups))
        for rows in self._rows.settle():
            indices = places.take(_owners(rows.words), mode="clip")
            chosen = np.flatnonzero(indices >= 0)
            is_all_chosen = len(chosen) == len(indices)
            yield (indices, rows.words) if is_all_chosen else (indices[chosen], rows.words.take(chosen, axis=0))

    def _words(
        self,
        owners: HashWords,
        subjects: HashWords,
        facts: Sequence[Bools | None],
        columns: Sequence[Words],
    ) -> HashWords:
        """The rows of rows. Those without a subject are told by the second word."""
        words = np.zeros((len(owners), self._width), np.uint64)
        words[:, 0] = subjects[:, 0] ^ owners * SPREAD_FACTOR
        words[:, 1] = subjects[:, 1]
        words[:, 2] = owners
        for fact, mask in enumerate(facts):
            if mask is not None:
                place, bit = _bit_of(fact)
                words[:, place] |= (~mask).astype(np.uint64) << np.uint64(bit)
        for place, column in enumerate(columns, self._width - len(columns)):
            words[:, place] = column
        return words

    def _count(self) -> list[GroupSums]:
        """The number of pairs of each group, and for each fact of those that lack it, in one pass."""
        counts = [GroupSums() for _ in range(self._facts + 1)]
        for rows in self._rows.settle():
            owners, has_subject = _owners(rows.words), _has_subject(rows.words)
            counts[0].count(owners[has_subject])
            for fact in range(self._facts):
                place, bit = _bit_of(fact)
                counts[fact + 1].count(owners[has_subject & (rows.words[:, place] & np.uint64(1 << bit) != 0)])
        return counts


@dataclass(frozen=True, slots=True)
class Pairs:
    """Some pairs of a group and a subject."""

    words: HashWords
    """The words of each pair."""
    first_sum: int
    """The place of the first sum."""
    sums: int
    """The number of sums."""

    @property
    def owners(self) -> Codes:
        """The group of each."""
        return _owners(self.words)

    @property
    def subjects(self) -> HashWords:
        """The hash of the subject of each."""
        return np.column_stack([self.words[:, 0] ^ self.owners.astype(np.uint64) * SPREAD_FACTOR, self.words[:, 1]])

    @property
    def has_subject(self) -> Bools:
        """The mask of the pairs with a subject."""
        return _has_subject(self.words)

    def lacks(self, fact: int) -> Bools:
        """The mask of the pairs that lack a fact."""
        place, bit = _bit_of(fact)
        return np.asarray(self.words[:, place] & np.uint64(1 << bit) != 0, np.bool_)

    def sum(self, place: int) -> HashWords:
        """One sum of each."""
        return self.words[:, self.first_sum + place]

    def digest(self, groups: HashWords) -> HashWords:
        """Three sums: two of the mixed pairs, and their number."""
        owners = self.owners
        hashes = groups.take(owners, axis=0)
        content = hashes[:, 0]
        for place in range(2, self.words.shape[1]):
            column = self.words[:, place] & ~_GROUP_MASK if place == 2 else self.words[:, place]
            content = mix(content ^ column) + SPREAD_FACTOR
        first = self.words[:, 0] ^ owners.astype(np.uint64) * SPREAD_FACTOR
        second = self.words[:, 1] + (content ^ hashes[:, 1])
        return np.array([mix(first ^ content).sum(), mix(second).sum(), len(owners)], np.uint64)


def chosen_rows(rows: Accumulator, limit: int) -> Iterator[HashWords]:
    """So many rows of each subject in a group, in parts: the first ones by their other keys.

    The first two words of a row are a hash of the subject and the group, the third one an order that is unrelated to the values.
    """
    for part in rows.settle():
        words, places = part.words, np.arange(len(part))
        is_first = np.ones(len(part), np.bool_)
        is_first[1:] = (words[1:, :2] != words[:-1, :2]).any(axis=1)
        yield words[places - np.maximum.accumulate(np.where(is_first, places, 0)) < limit]


def _owners(words: HashWords) -> Codes:
    """The group of each row."""
    return (words[:, 2] & _GROUP_MASK).astype(np.int64)


def _has_subject(words: HashWords) -> Bools:
    """The mask of the rows with a subject. The second word of a hash is zero with a probability of 2**-64."""
    return np.asarray(words[:, 1] != 0, np.bool_)


def _bit_of(fact: int) -> tuple[int, int]:
    """The word of a row and the bit in it for a fact; the first bits are those of the group."""
    word, bit = divmod(fact + _GROUP_BITS, 64)
    return 2 + word, bit


@dataclass(frozen=True, slots=True)
class SubjectCounts:
    """The counts of subjects for one tally: its facts and ordered words are some of those of all tallies."""

    subjects: DistinctSubjects
    first_fact: int
    first_range: int

    def count_having(self, groups: Codes, fact: int) -> Codes:
        """The number of subjects of some groups that have a fact of the tally."""
        return self.subjects.count(groups, self.first_fact + fact)

    def having(self, facts: int) -> Iterator[tuple[Codes, HashWords, Bools]]:
        """The pairs with a subject, in parts: their group, the hash of the subject, and a row of masks, one for each of the first
        facts of the tally."""
        for pairs in self.subjects.pairs():
            has_subject = pairs.has_subject
            masks = [~pairs.lacks(self.first_fact + fact)[has_subject] for fact in range(facts)]
            yield pairs.owners[has_subject], pairs.subjects[has_subject], np.column_stack(masks)

    def count_beside(self, groups: Codes, results: HashWords) -> Codes:
        """The smaller number of the subjects at or below, and at or above, an ordered word of each group."""
        return self.subjects.count_beside(groups, results, self.first_range)
