"""Data that exceeds memory before all rows are read: a memory budget, and encrypted spill files.

spill_file     the encrypted spill file, the spill space and the memory budget of a run, and values as keyed 128-bit hashes

A `SpillSpace` belongs to one run: its budget, its unnamed file and its keys, which stay in the process. An
`Accumulator` merges equal rows and spills those that exceed its budget. A reader gets the same rows, spilled or
not.

It keeps distinct rows by their hash in partitions by the first bits, each sorted once. Rows wait in memory until there are
enough to divide them. A partition whose distinct rows do not fit into memory is divided again by the next bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.checkpoints import checkpoint
from minimize.spill.spill_file import (
    DEFAULT_MEMORY,
    UNLIMITED_SPACE,
    HashWords,
    MemoryBudget,
    SpilledPiece,
    SpillFile,
    SpillSpace,
    ValueHasher,
    find_budget,
)

RowIndices = npt.NDArray[np.int64]
_TEXT_SCHEMA = pa.schema([("text", pa.large_string())])


@dataclass(frozen=True, slots=True)
class HashedRows:
    """Rows with the same number of words. Rows that agree in their key are the same row, except for the words to combine."""

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
        texts = None if self.texts is None else self.texts.take(pa.array(places))
        return type(self)(self.words.take(places, axis=0), texts)

    def select(self, places: slice) -> Self:
        """A view of successive rows."""
        return type(self)(self.words[places], None if self.texts is None else self.texts[places])

    def reduce(self, combine: Sequence[np.ufunc] = (), keys: int = 2) -> Self:
        """The distinct rows, in the order of their first `keys` words; the last words of equal rows are combined."""
        order = np.argsort(self.words[:, 0])
        new = self._starts(order, 1)
        if not new.all() and not np.array_equal(self._starts(order, keys), new):
            # Hashes almost never agree in half of their bits.
            order = order[np.lexsort([self.words[order, place] for place in reversed(range(keys))])]
            new = self._starts(order, keys)
        once = self.take(order[new])
        repeats, owners = order[~new], np.cumsum(new)[~new] - 1
        if repeats.size:
            starts = np.flatnonzero(np.diff(owners, prepend=-1))
            owners = owners[starts]
            for place, function in enumerate(combine, self.words.shape[1] - len(combine)):
                # Not `function.at`, which takes ten times as long for functions of bits.
                combined = function.reduceat(self.words[repeats, place], starts)
                once.words[owners, place] = function(once.words[owners, place], combined)
        return once

    def _starts(self, order: RowIndices, keys: int) -> npt.NDArray[np.bool_]:
        """For each row in this order, whether its first words differ from those of the row before."""
        new = np.zeros(len(order), np.bool_)
        new[:1] = True
        for place in range(keys):
            column = self.words[order, place]
            new[1:] |= column[1:] != column[:-1]
        return new

    def to_bytes(self) -> bytes:
        """The rows as bytes."""
        words = np.ascontiguousarray(self.words)
        return b"".join([len(words).to_bytes(8, "little"), words.data.cast("B") if words.size else b"", self._text()])

    @classmethod
    def from_bytes(cls, content: bytes, width: int) -> Self:
        """The rows from the result of `to_bytes`, with this many words each."""
        count = int.from_bytes(content[:8], "little")
        words = np.frombuffer(content, np.uint64, count * width, 8).reshape(count, width)
        text_stream = pa.py_buffer(content).slice(8 + words.nbytes)
        if not text_stream.size:
            return cls(words)
        return cls(words, pa.ipc.open_stream(text_stream).read_all()["text"].combine_chunks())

    def _text(self) -> pa.Buffer | bytes:
        if self.texts is None:
            return b""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _TEXT_SCHEMA) as writer:
            writer.write_batch(pa.record_batch([self.texts], schema=_TEXT_SCHEMA))
        return sink.getvalue()


_BITS: Final = 6
PARTITIONS: Final = 1 << _BITS
_MAX_DEPTH: Final = 64 // _BITS - 1
_DIVIDED_ROWS: Final = 1 << 16
"""Rows from which dividing them into partitions pays."""
_Piece = HashedRows | tuple[SpillFile, SpilledPiece]
"""Rows in memory, or spilled ones."""


class Accumulator:
    """The distinct rows; the last words of equal rows are combined.

    space    where rows are written that exceed the memory budget
    width    words of a row
    combine  the function for each of the last words: associative, and independent of the order
    keys     words at the beginning that identify a row: a hash of two words, or words of which the first differs for most rows
    """

    def __init__(
        self, space: SpillSpace, width: int, combine: Sequence[np.ufunc] = (), *, keys: int = 2, depth: int = 0
    ) -> None:
        self.space = space
        self._width = width
        self._combine = tuple(combine)
        self._keys = keys
        self._depth = depth
        self._share = space.budget.share()
        self._fresh: list[HashedRows] = []
        self._parts: list[list[_Piece]] = [[] for _ in range(PARTITIONS)]
        self._size = 0
        self._settled = False
        self._has_repeats = True

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: the rows in memory. Raises TypeError if rows were spilled to disk."""
        if any(not isinstance(piece, HashedRows) for pieces in self._parts for piece in pieces):
            raise TypeError("a spill file cannot be sent to another process")
        return {name: value for name, value in self.__dict__.items() if name != "_share"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share = self.space.budget.share()

    @property
    def is_empty(self) -> bool:
        """Whether no rows were added."""
        return not self._fresh and not any(self._parts)

    def add(self, rows: HashedRows) -> None:
        """Add rows."""
        if not len(rows):
            return
        self._fresh.append(rows)
        self._grow(rows.nbytes)

    def merge(self, accumulator: Self) -> None:
        """Add the rows of another accumulator of the same kind, which is empty afterwards."""
        for pieces, added_pieces in zip(self._parts, accumulator._parts, strict=True):
            pieces.extend(added_pieces)
            added_pieces.clear()
        self._fresh += accumulator._fresh
        size, accumulator._fresh = accumulator._size, []
        accumulator._set_size(0)
        self._grow(size)

    def settle(self) -> Iterator[HashedRows]:
        """The distinct rows, in the order of the hashes, in parts that fit into memory. Can be repeated."""
        if not any(self._parts) and sum(map(len, self._fresh)) < _DIVIDED_ROWS:
            self._fresh = [self._distinct(self._fresh)] if self._fresh else []
            yield from self._fresh
            return
        self._divide()
        for number, pieces in enumerate(self._parts):
            if pieces and not self._settled:
                self._parts[number] = pieces = self._distinct_pieces(pieces)
            yield from map(self._load, pieces)
        self._settled = True

    def _grow(self, size: int) -> None:
        self._settled = False
        self._set_size(self._size + size)
        if self._share.is_full:
            self._divide()
            if self._has_repeats:
                self._compact()
                self._has_repeats = self._size <= self._share.most_bytes // 2
            if not self._has_repeats:
                self._spill()
        elif sum(map(len, self._fresh)) >= _DIVIDED_ROWS:
            self._divide()

    def _divided(self, pieces: Sequence[_Piece]) -> Accumulator:
        """The rows of a partition that is too large, divided by the next bits."""
        checkpoint("partition.divided")
        inner = Accumulator(self.space, self._width, self._combine, keys=self._keys, depth=self._depth + 1)
        for piece in pieces:
            inner.add(self._load(piece))
        return inner

    def _load(self, piece: _Piece) -> HashedRows:
        if isinstance(piece, HashedRows):
            return piece
        spill_file, spilled = piece
        return HashedRows.from_bytes(spill_file.get(spilled), self._width)

    def _distinct_pieces(self, pieces: Sequence[_Piece]) -> list[_Piece]:
        """The distinct rows in place of the pieces of a partition: in memory if those were, or if there is room.

        One piece, or one for each partition by the next bits, in order.
        """
        whole = self._merge_pieces(pieces)
        parts = self._divided(pieces).settle() if whole is None else [whole]
        were_held = all(isinstance(piece, HashedRows) for piece in pieces)
        self._set_size(self._size - sum(map(_memory_bytes, pieces)))
        return [self._keep(part, were_held) for part in parts]

    def _keep(self, rows: HashedRows, were_held: bool) -> _Piece:
        if not were_held and not self._share.has_room(rows.nbytes):
            return self._write(rows)
        self._set_size(self._size + rows.nbytes)
        return rows

    def _merge_pieces(self, pieces: Sequence[_Piece]) -> HashedRows | None:
        """The distinct rows of a partition; None if they are too many to be merged in memory."""
        most = self._share.partition_bytes if self._depth < _MAX_DEPTH else float("inf")
        parts, size, limit = list[HashedRows](), 0, most / 2
        for piece in pieces:
            parts.append(self._load(piece))
            size += parts[-1].nbytes
            if size > limit:
                parts = [self._distinct(parts)]
                size = parts[0].nbytes
                limit = max(limit, 2 * size)
                if size > most and len(pieces) > 1:
                    return None
        return self._distinct(parts)

    def _distinct(self, parts: Sequence[HashedRows]) -> HashedRows:
        checkpoint("partition.merged", parts)
        return HashedRows.concat(parts).reduce(self._combine, self._keys)

    def _set_size(self, size: int) -> None:
        self._size = self._share.held = size

    def _divide(self) -> None:
        """Moves fresh rows to their partitions."""
        if not self._fresh:
            return
        rows, self._fresh = HashedRows.concat(self._fresh), []
        shift = np.uint64(64 - _BITS * (self._depth + 1))
        parts = ((rows.words[:, 0] >> shift) & np.uint64(PARTITIONS - 1)).astype(np.uint8)
        ordered = rows.take(np.argsort(parts, kind="stable"))
        edges = np.append(0, np.cumsum(np.bincount(parts, minlength=PARTITIONS))).tolist()
        for pieces, start, end in zip(self._parts, edges, edges[1:], strict=False):
            if end > start:
                pieces.append(ordered.select(slice(start, end)))  # a view: many small arrays would fragment memory

    def _compact(self) -> None:
        """Merges equal rows of each partition in memory."""
        self._replace_held(self._distinct)
        self._set_size(sum(_memory_bytes(piece) for pieces in self._parts for piece in pieces))

    def _spill(self) -> None:
        """Spills all rows in memory, one piece per partition."""
        self._replace_held(lambda rows: self._write(HashedRows.concat(rows)))
        self._set_size(0)

    def _replace_held(self, function: Callable[[Sequence[HashedRows]], _Piece]) -> None:
        """Replaces the pieces in memory of each partition by one piece."""
        for pieces in self._parts:
            in_memory = [piece for piece in pieces if isinstance(piece, HashedRows)]
            if in_memory:
                spilled = [piece for piece in pieces if not isinstance(piece, HashedRows)]
                pieces[:] = [*spilled, function(in_memory)]

    def _write(self, rows: HashedRows) -> tuple[SpillFile, SpilledPiece]:
        return self.space.spill_file, self.space.spill_file.put(rows.to_bytes(), b"%d" % self._depth)


def _memory_bytes(piece: _Piece) -> int:
    return piece.nbytes if isinstance(piece, HashedRows) else 0


__all__ = [
    "DEFAULT_MEMORY",
    "UNLIMITED_SPACE",
    "Accumulator",
    "HashWords",
    "HashedRows",
    "MemoryBudget",
    "SpillFile",
    "SpillSpace",
    "SpilledPiece",
    "ValueHasher",
    "find_budget",
]
