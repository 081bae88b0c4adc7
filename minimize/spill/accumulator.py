"""Distinct rows by their hash in bounded memory; rows beyond that are spilled in partitions of the hash.

Each partition is merged separately. A partition that does not fit is partitioned again by the next bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.spill.hashing import HashWords
from minimize.spill.memory_budget import SpilledPiece, SpillFile, SpillSpace

RowIndices = npt.NDArray[np.int64]
_TEXT_SCHEMA = pa.schema([("text", pa.large_string())])


@dataclass(frozen=True, slots=True)
class HashedRows:
    """Rows with the same number of words. Rows with equal hashes are the same row, except for the words to sum."""

    words: HashWords = field(repr=False)
    texts: pa.LargeStringArray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.words)

    @property
    def nbytes(self) -> int:
        """Bytes of memory used."""
        return int(self.words.nbytes) + (0 if self.texts is None else int(self.texts.nbytes))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All rows of at least one part."""
        if len(parts) == 1:
            return parts[0]
        words = np.concatenate([part.words for part in parts])
        texts = [part.texts for part in parts if part.texts is not None]
        return cls(words, pa.concat_arrays(texts) if texts else None)

    def take(self, places: RowIndices) -> Self:
        """The rows at these indices."""
        return type(self)(self.words[places], None if self.texts is None else self.texts.take(pa.array(places)))

    def slice(self, start: int, end: int) -> Self:
        """The rows from `start` to `end`."""
        return type(self)(self.words[start:end], None if self.texts is None else self.texts.slice(start, end - start))

    def reduce(self, summed: int = 0, keys: int = 2, by: np.ufunc = np.add) -> Self:
        """The distinct rows, in the order of their first `keys` words; the last `summed` words of equal rows are combined."""
        order, starts = _distinct_runs(self.words, keys)
        once = self.take(order[starts])
        if summed and len(once) < len(self):
            sums = by.reduceat(self.words[:, -summed:][order], starts, axis=0)
            return type(self)(np.column_stack([once.words[:, :-summed], sums]), once.texts)
        return once

    def to_bytes(self) -> bytes:
        """The rows as bytes."""
        words = np.ascontiguousarray(self.words)
        return b"".join([len(words).to_bytes(8, "little"), words.data.cast("B") if words.size else b"", self._text()])

    @classmethod
    def from_bytes(cls, content: bytes, width: int) -> Self:
        """The rows from the result of `to_bytes`, with this many words each."""
        count = int.from_bytes(content[:8], "little")
        words = np.frombuffer(content, np.uint64, count * width, 8).reshape(count, width)
        rest = pa.py_buffer(content).slice(8 + words.nbytes)
        if not rest.size:
            return cls(words)
        return cls(words, pa.ipc.open_stream(rest).read_all()["text"].combine_chunks())

    def _text(self) -> pa.Buffer | bytes:
        if self.texts is None:
            return b""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _TEXT_SCHEMA) as writer:
            writer.write_batch(pa.record_batch([self.texts], schema=_TEXT_SCHEMA))
        return sink.getvalue()


def _distinct_runs(words: HashWords, keys: int) -> tuple[RowIndices, RowIndices]:
    """The order of the rows, and in it the start of each distinct row."""
    order = np.argsort(words[:, 0])
    alike, same = _equals_previous(words, order, 1), _equals_previous(words, order, keys)
    if not np.array_equal(same, alike):  # hashes almost never agree in only half of their bits
        order = np.lexsort([words[:, place] for place in reversed(range(keys))])
        same = _equals_previous(words, order, keys)
    return order, np.flatnonzero(np.concatenate([np.ones(min(len(words), 1), np.bool_), ~same]))


def _equals_previous(words: HashWords, order: RowIndices, keys: int) -> npt.NDArray[np.bool_]:
    """For each row except the first, whether its first words equal those of the row before."""
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for place in range(keys):
        word = words[order, place]
        same &= word[1:] == word[:-1]
    return same


def find_hashes(hashes: HashWords, stored_hashes: HashWords) -> RowIndices:
    """The index of each hash among distinct sorted hashes; -1 if it is absent.

    >>> known = np.array([[1, 5], [1, 7], [2, 5]], np.uint64)
    >>> find_hashes(np.array([[1, 7], [2, 7]], np.uint64), known).tolist()
    [1, -1]
    """
    if not len(stored_hashes):
        return np.full(len(hashes), -1)
    places = np.searchsorted(stored_hashes[:, 0], hashes[:, 0])
    while True:
        at = stored_hashes[np.minimum(places, len(stored_hashes) - 1)]
        alike = (places < len(stored_hashes)) & (at[:, 0] == hashes[:, 0])
        other = alike & (at[:, 1] != hashes[:, 1])
        if not other.any():
            return np.where(alike, places, -1)
        places = places + other


_BITS: Final = 6
PARTITIONS: Final = 1 << _BITS
_MAX_DEPTH: Final = 64 // _BITS - 1
_MERGE_FACTOR: Final = 4
"""Merging rows takes up to this many times their size."""
_MIN_BYTES: Final = 1 << 12
"""Bytes that an accumulator may hold in any case."""


class Accumulator:
    """The distinct rows; if rows end in counts, the sums of the counts.

    space   where rows are written that exceed the memory budget
    width   words of a row
    summed  words at the end of a row that are combined for equal rows
    keys    words at the beginning that identify a row: a hash of two words, or words of which the first differs for most rows
    by      the function that combines words
    """

    def __init__(
        self, space: SpillSpace, width: int, summed: int = 0, *, keys: int = 2, by: np.ufunc = np.add, depth: int = 0
    ) -> None:
        self.aside = space
        self._width = width
        self._summed = summed
        self._keys = keys
        self._by = by
        self._depth = depth
        self._share = space.budget.share()
        self._held: list[HashedRows] = []
        self._size = self._waiting = self._settled = 0
        self._spilled: dict[int, list[tuple[SpillFile, SpilledPiece]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: the rows in memory. Raises TypeError if rows were spilled to disk."""
        if self._spilled:
            raise TypeError("a spill file cannot be sent to another process")
        self._compact()
        return {name: held for name, held in self.__dict__.items() if name != "_share"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share = self.aside.budget.share()

    def add(self, rows: HashedRows) -> None:
        """Add rows."""
        if not len(rows):
            return
        self._held.append(rows)
        self._size += rows.nbytes
        self._waiting += len(rows)
        if self._size > self._free_bytes():
            self._compact()
            if self._size > self._free_bytes() // 2:
                self._spill()
        elif self._waiting > 2 * self._settled:
            self._compact()

    def merge(self, other: Self) -> None:
        """Add the rows of another accumulator of the same kind, which is empty afterwards."""
        for part, pieces in other._spilled.items():
            self._spilled.setdefault(part, []).extend(pieces)
        held, other._held, other._spilled = other._held, [], {}
        other._size = other._waiting = other._settled = 0
        for rows in held:
            self.add(rows)

    def copy(self) -> Accumulator:
        """An independent copy. Rows are never changed in place, and spilled rows are shared."""
        other = self._new_partition(self._depth)
        other._held, other._size = list(self._held), self._size
        other._waiting, other._settled = self._waiting, self._settled
        other._spilled = {part: list(pieces) for part, pieces in self._spilled.items()}
        return other

    def settle(self) -> Iterator[HashedRows]:
        """The distinct rows, in the order of the hashes, in parts that fit into memory. Can be repeated."""
        if not self._spilled:
            self._compact()
            yield from self._held
            return
        self._spill()
        for part in range(PARTITIONS):
            yield from self._partition(part).settle()

    def _partition(self, part: int) -> Accumulator:
        inner = self._new_partition(self._depth + 1)
        for spill_file, piece in self._spilled.get(part, ()):
            inner.add(HashedRows.from_bytes(spill_file.get(piece), self._width))
        return inner

    def _new_partition(self, depth: int) -> Accumulator:
        return Accumulator(self.aside, self._width, self._summed, keys=self._keys, by=self._by, depth=depth)

    def _free_bytes(self) -> float:
        share = self._share.bytes
        return float("inf") if share is None or self._depth > _MAX_DEPTH else max(share // _MERGE_FACTOR, _MIN_BYTES)

    def _compact(self) -> None:
        """Merge equal rows. This happens rarely, so that all sorting costs about as much as sorting once."""
        if self._waiting:
            self._held = [HashedRows.concat(self._held).reduce(self._summed, self._keys, self._by)]
            self._settled, self._waiting = len(self._held[0]), 0
            self._size = self._held[0].nbytes

    def _spill(self) -> None:
        """Spill all rows, one piece per partition."""
        self._compact()
        for rows in self._held:
            self._cut(rows)
        self._held = []
        self._size = self._settled = 0

    def _cut(self, rows: HashedRows) -> None:
        """Split rows into partitions. They are sorted by hash, and all agree in the bits above those of the split."""
        shift = np.uint64(64 - _BITS * (self._depth + 1))
        parts = (rows.words[:, 0] >> shift) & np.uint64(PARTITIONS - 1)
        edges = np.searchsorted(parts, np.arange(PARTITIONS + 1))
        for part in np.flatnonzero(np.diff(edges)).tolist():
            piece = self.aside.spill_file.put(
                rows.slice(edges[part], edges[part + 1]).to_bytes(), b"%d/%d" % (self._depth, part)
            )
            self._spilled.setdefault(part, []).append((self.aside.spill_file, piece))
