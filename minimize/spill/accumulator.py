"""Rows put together by their hash, in a bounded part of memory: what does not fit is set aside in partitions of the hash.

Each partition can be put together by itself; one that does not fit, either, is cut once more by the next bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Self

import numpy as np

from minimize.spill.aside import Aside
from minimize.spill.rows import Rows
from minimize.spill.vault import Piece, Vault

_BITS: Final = 6
PARTITIONS: Final = 1 << _BITS
_DEEPEST: Final = 64 // _BITS - 1
_ROOM: Final = 4
"""Putting rows together takes up to this many times their size."""
_FLOOR: Final = 1 << 12
"""Bytes that are held in any case."""


class Accumulator:
    """Each distinct row once; where rows end in counts, the sums of these.

    Takes the space beside memory, the words of a row, how many of them, at its end, are put together and `by` what, and how many,
    at its beginning, say which row it is: a hash of two words, else words whose first tells most rows apart.
    """

    def __init__(
        self, aside: Aside, width: int, summed: int = 0, *, keys: int = 2, by: np.ufunc = np.add, depth: int = 0
    ) -> None:
        self.aside = aside
        self._width = width
        self._summed = summed
        self._keys = keys
        self._by = by
        self._depth = depth
        self._share = aside.budget.share()
        self._held: list[Rows] = []
        self._size = self._waiting = self._settled = 0
        self._spilled: dict[int, list[tuple[Vault, Piece]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: what is held in memory. Raises TypeError where something is on this one's disk."""
        if self._spilled:
            raise TypeError("what is set aside does not leave its process")
        self._compact()
        return {name: held for name, held in self.__dict__.items() if name != "_share"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share = self.aside.budget.share()

    def add(self, rows: Rows) -> None:
        """Takes rows in."""
        if not len(rows):
            return
        self._held.append(rows)
        self._size += rows.nbytes
        self._waiting += len(rows)
        if self._size > self._room():
            self._compact()
            if self._size > self._room() // 2:
                self._spill()
        elif self._waiting > 2 * self._settled:
            self._compact()

    def merge(self, other: Self) -> None:
        """Takes in what another of the same kind holds; it is empty then."""
        for part, pieces in other._spilled.items():
            self._spilled.setdefault(part, []).extend(pieces)
        held, other._held, other._spilled = other._held, [], {}
        other._size = other._waiting = other._settled = 0
        for rows in held:
            self.add(rows)

    def copy(self) -> Accumulator:
        """The same rows, to go on by themselves. Nothing changes rows in place, and what is set aside is shared."""
        other = self._alike(self._depth)
        other._held, other._size = list(self._held), self._size
        other._waiting, other._settled = self._waiting, self._settled
        other._spilled = {part: list(pieces) for part, pieces in self._spilled.items()}
        return other

    def settle(self) -> Iterator[Rows]:
        """Each row once, in the order of the hashes, in parts that fit into memory. It can be read again."""
        if not self._spilled:
            self._compact()
            yield from self._held
            return
        self._spill()
        for part in range(PARTITIONS):
            yield from self._partition(part).settle()

    def _partition(self, part: int) -> Accumulator:
        inner = self._alike(self._depth + 1)
        for vault, piece in self._spilled.get(part, ()):
            inner.add(Rows.unpacked(vault.get(piece), self._width))
        return inner

    def _alike(self, depth: int) -> Accumulator:
        return Accumulator(self.aside, self._width, self._summed, keys=self._keys, by=self._by, depth=depth)

    def _room(self) -> float:
        share = self._share.bytes
        return float("inf") if share is None or self._depth > _DEEPEST else max(share // _ROOM, _FLOOR)

    def _compact(self) -> None:
        """Puts equal rows together: rarely, so that all the sorting is about as much as sorting once."""
        if self._waiting:
            self._held = [Rows.together(self._held).reduced(self._summed, self._keys, self._by)]
            self._settled, self._waiting = len(self._held[0]), 0
            self._size = self._held[0].nbytes

    def _spill(self) -> None:
        """Sets everything aside, one piece a partition."""
        self._compact()
        for rows in self._held:
            self._cut(rows)
        self._held = []
        self._size = self._settled = 0

    def _cut(self, rows: Rows) -> None:
        """Rows are in the order of the hashes, and all agree in the bits above those that cut them."""
        shift = np.uint64(64 - _BITS * (self._depth + 1))
        parts = (rows.words[:, 0] >> shift) & np.uint64(PARTITIONS - 1)
        edges = np.searchsorted(parts, np.arange(PARTITIONS + 1))
        for part in np.flatnonzero(np.diff(edges)).tolist():
            piece = self.aside.vault.put(
                rows.between(edges[part], edges[part + 1]).packed(), b"%d/%d" % (self._depth, part)
            )
            self._spilled.setdefault(part, []).append((self.aside.vault, piece))
