"""Distinct pairs of a group and a code, exact: what distinct counts and thresholds are worked out from.

A pair is one integer, group first, so that a sorted array of them holds a group in one piece. Beside a pair stands what its
rows lack, in a few bits: one array then tells the subjects of a group, and those that contribute a value of a field.
Rows that say again what the row before them said of a code are left out at once; what is left of a batch is sorted, and waits
to be merged with others.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Self

import numpy as np

from minimize.aggregates.base import Codes
from minimize.aggregates.beyond import Beyond
from minimize.aggregates.last import BITS, Last
from minimize.codebook import are_same, ascending, changes
from minimize.spill import Aside, Words

_CODE = 30
_WAITING = 1 << 22
"""Pairs that may wait, whatever is known."""
_AT_ONCE = 1 << 18
"""Pairs that are set aside, merged or counted together: each takes several times its place on the way."""


class Pairs:
    """Distinct pairs. Takes rows in at a cost that stays near-linear in what it has seen.

    >>> pairs = Pairs()
    >>> pairs.add(np.array([0, 0, 1, 0]), np.array([7, 7, 7, 8]))
    >>> pairs.distinct(np.array([0, 1])).tolist()
    [2, 1]
    """

    def __init__(self) -> None:
        self._keys: Codes = np.empty(0, np.int64)
        self._last = Last()
        self._pending: list[Codes] = []
        self._waiting = 0
        self._known: dict[int | None, Codes] = {}
        self._beyond: Beyond | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held, which could be set aside."""
        return int(self._keys.nbytes) + self._last.nbytes + sum(keys.nbytes for keys in self._pending)

    def add(self, groups: Codes, codes: Codes, lacking: Codes | None = None) -> None:
        """Takes equally long codes in, below 2**29 and 2**30; and the bits of what each row lacks."""
        new = self._last.news(groups, codes, lacking)
        self._put(ascending(_packed(groups[new], codes[new], None if lacking is None else lacking[new])))

    def copy(self) -> Self:
        """The same pairs, to go on by themselves. Their arrays are shared: nothing changes them in place."""
        other = copy(self)
        other._pending, other._known, other._last = list(self._pending), {}, self._last.copy()
        other._beyond = None if self._beyond is None else self._beyond.copy()
        return other

    def merge(self, other: Self, groups: Codes, codes: Codes) -> None:
        """Takes others in, bits of the same meaning; `groups[i]` and `codes[i]` are our codes for their code i."""
        for keys in (other._keys, *other._pending):
            if are_same(groups) and are_same(codes):
                self._put(keys)
                continue
            for some in _parts(keys):
                pairs = some >> BITS
                theirs, low = pairs >> _CODE, pairs & ((1 << _CODE) - 1)
                self._put(ascending(_packed(groups[theirs], codes[low], some & ((1 << BITS) - 1))))
        if other._beyond is not None:
            self._beyond = Beyond.merged(self._beyond, other._beyond, groups)

    def set_aside(self, aside: Aside, hashes: Words) -> None:
        """Sets all pairs aside; `hashes[i]` stands for code i, which may mean something else from now on."""
        keys = self.settle()
        if len(keys):
            self._beyond = self._beyond or Beyond(aside, BITS)
            for some in _parts(keys):
                pairs = some >> BITS
                codes, bits = pairs & ((1 << _CODE) - 1), some & ((1 << BITS) - 1)
                self._beyond.add(pairs >> _CODE, hashes[codes], bits)
            self._keys, self._known = np.empty(0, np.int64), {}
        self._last = Last()

    def settle(self) -> Codes:
        """The pairs with their bits, each once, in order."""
        if self._pending:
            parts = [self._keys, *self._pending]
            self._pending, self._waiting, self._keys = [], 0, np.empty(0, np.int64)
            self._keys = _joined(parts)
            self._keys.sort(kind="stable")  # which finds what is in order already
            self._keys = self._keys[changes(self._keys)]
        return self._keys

    def rows(self) -> Iterator[tuple[Codes, Codes]]:
        """The group and the code of each pair in memory, some at a time."""
        for some in _parts(self.settle()):
            pairs = some[changes(some >> BITS)] >> BITS
            yield pairs >> _CODE, pairs & ((1 << _CODE) - 1)

    def distinct(self, groups: Codes, bit: int | None = None) -> Codes:
        """How many distinct codes some groups have, or have in a row that does not lack what the bit stands for.

        Where some pairs are set aside, all must be.
        """
        if self._beyond is not None:
            return self._beyond.distinct(groups, bit)
        return self.held(groups, bit)

    def held(self, groups: Codes, bit: int | None = None) -> Codes:
        """The same, of what is in memory."""
        counts = self._counts(bit)
        reach = int(groups.max(initial=-1)) + 1
        return np.pad(counts, (0, max(0, reach - len(counts))))[groups]

    def _counts(self, bit: int | None) -> Codes:
        """The distinct codes of each group, kept until more rows come."""
        if not self._known:
            self._known = _counted(self.settle())
        return self._known[bit]

    def _put(self, keys: Codes) -> None:
        """Takes keys in that are in order."""
        self._known = {}
        self._pending.append(keys)
        self._waiting += len(keys)
        if self._waiting > max(_WAITING, len(self._keys)):
            self.settle()


def _packed(groups: Codes, codes: Codes, lacking: Codes | None) -> Codes:
    keys = groups << _CODE
    keys |= codes
    keys <<= BITS
    if lacking is not None:
        keys |= lacking
    return keys


def _joined(parts: list[Codes]) -> Codes:
    """All of them in one array; each is let go of as soon as it stands there."""
    whole, end = np.empty(sum(map(len, parts)), np.int64), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        whole[end : end + len(part)] = part
        end += len(part)
    return whole


def _parts(keys: Codes) -> Iterator[Codes]:
    """Keys in order, some at a time; those of one pair stay together."""
    start = 0
    while start < len(keys):
        end = start + _AT_ONCE
        while end < len(keys) and keys[end] >> BITS == keys[end - 1] >> BITS:
            end += 1
        yield keys[start:end]
        start = end


def _counted(keys: Codes) -> dict[int | None, Codes]:
    """Of each group the pairs (None), and by bit those of which a row does not lack what it stands for."""
    groups = int(keys[-1] >> (_CODE + BITS)) + 1 if len(keys) else 0
    everyone, without = np.zeros(groups, np.int64), np.zeros((BITS, groups), np.int64)
    for some in _parts(keys):
        pairs = some >> BITS
        starts = np.flatnonzero(changes(pairs))
        owners, lacks = pairs[starts] >> _CODE, np.bitwise_and.reduceat(some, starts)
        _count(everyone, owners)
        for bit in range(BITS):
            _count(without[bit], owners[lacks & (1 << bit) != 0])
    return {None: everyone, **{bit: everyone - count for bit, count in enumerate(without)}}


def _count(counts: Codes, owners: Codes) -> None:
    """Adds how often each of these groups, which are in order, comes."""
    if len(owners):
        some = np.bincount(owners - owners[0])
        counts[owners[0] : owners[0] + len(some)] += some
