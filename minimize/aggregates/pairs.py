"""Distinct pairs of a group and a code, exact: what distinct counts and thresholds are worked out from.

A pair is one integer, group first, so that a sorted array of them holds a group in one piece. Beside a pair stands what its
rows lack, in a few bits: one array then tells the subjects of a group, and those that contribute a value of a field.
Rows that say again what the row before them said of a code are left out at once; what is left waits to be sorted together.
"""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np

from minimize.aggregates.base import Codes
from minimize.aggregates.beyond import Beyond
from minimize.aggregates.last import BITS, Last
from minimize.codebook import changes
from minimize.spill import Aside, Words

_CODE = 30
_WAITING = 1 << 21
"""Pairs that may wait, whatever is known."""
_AT_ONCE = 1 << 18
"""Pairs that are set aside together: each takes several times its place on the way."""


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
        self._put(_packed(groups[new], codes[new], None if lacking is None else lacking[new]))

    def copy(self) -> Self:
        """The same pairs, to go on by themselves. Their arrays are shared: nothing changes them in place."""
        other = copy(self)
        other._pending, other._known, other._last = list(self._pending), {}, self._last.copy()
        other._beyond = None if self._beyond is None else self._beyond.copy()
        return other

    def merge(self, other: Self, groups: Codes, codes: Codes) -> None:
        """Takes others in, bits of the same meaning; `groups[i]` and `codes[i]` are our codes for their code i."""
        for keys in (other._keys, *other._pending):
            pairs = keys >> BITS
            theirs, low = pairs >> _CODE, pairs & ((1 << _CODE) - 1)
            self._put(_packed(groups[theirs], codes[low], keys & ((1 << BITS) - 1)))
        if other._beyond is not None:
            self._beyond = Beyond.merged(self._beyond, other._beyond, groups)

    def set_aside(self, aside: Aside, hashes: Words) -> None:
        """Sets all pairs aside; `hashes[i]` stands for code i, which may mean something else from now on."""
        keys = self.settle()
        if len(keys):
            self._beyond = self._beyond or Beyond(aside, BITS)
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                pairs = some >> BITS
                codes, bits = pairs & ((1 << _CODE) - 1), some & ((1 << BITS) - 1)
                self._beyond.add(pairs >> _CODE, hashes[codes], bits)
            self._keys, self._known = np.empty(0, np.int64), {}
        self._last = Last()

    def settle(self) -> Codes:
        """The pairs with their bits, each once, in order."""
        if self._pending:
            parts = [self._keys, *self._pending]
            self._pending, self._waiting = [], 0
            self._keys = np.concatenate(parts)
            del parts
            self._keys.sort()
            self._keys = self._keys[changes(self._keys)]
        return self._keys

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


def _counted(keys: Codes) -> dict[int | None, Codes]:
    """Of each group the pairs (None), and by bit those of which a row does not lack what it stands for."""
    pairs = keys >> BITS
    starts = np.flatnonzero(changes(pairs))
    owners = pairs[starts] >> _CODE
    everyone = np.bincount(owners).astype(np.int64)
    lacks = np.bitwise_and.reduceat(keys, starts) if len(starts) else starts
    some = np.flatnonzero(lacks & ((1 << BITS) - 1))
    owners, lacks = owners[some], lacks[some]
    without = [np.bincount(owners[lacks & (1 << bit) != 0], minlength=len(everyone)) for bit in range(BITS)]
    return {None: everyone, **{bit: everyone - count for bit, count in enumerate(without)}}
