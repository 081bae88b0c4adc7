"""Rows that a tally holds: words of 64 bits, the first two a 128-bit hash that says which row it is, and perhaps a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.spill.hashed import Words

Places = npt.NDArray[np.int64]
_TEXT = pa.schema([("text", pa.large_string())])


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, of equally many words each. Rows of the same hash are the same row, but for what they sum."""

    words: Words = field(repr=False)
    texts: pa.LargeStringArray | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.words)

    @property
    def nbytes(self) -> int:
        """What they take in memory."""
        return int(self.words.nbytes) + (0 if self.texts is None else int(self.texts.nbytes))

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """All the rows of some parts, of which there is at least one."""
        if len(parts) == 1:
            return parts[0]
        words = np.concatenate([part.words for part in parts])
        texts = [part.texts for part in parts if part.texts is not None]
        return cls(words, pa.concat_arrays(texts) if texts else None)

    def at(self, places: Places) -> Self:
        """The rows at these places."""
        return type(self)(self.words[places], None if self.texts is None else self.texts.take(pa.array(places)))

    def between(self, start: int, end: int) -> Self:
        """The rows from one place to another."""
        return type(self)(self.words[start:end], None if self.texts is None else self.texts.slice(start, end - start))

    def reduced(self, summed: int = 0, keys: int = 2, by: np.ufunc = np.add) -> Self:
        """Each row once, in the order of its first `keys` words; the last `summed` words of equal rows are put together."""
        order, starts = _runs(self.words, keys)
        once = self.at(order[starts])
        if summed and len(once) < len(self):
            sums = by.reduceat(self.words[:, -summed:][order], starts, axis=0)
            return type(self)(np.column_stack([once.words[:, :-summed], sums]), once.texts)
        return once

    def packed(self) -> bytes:
        """The rows as bytes."""
        words = np.ascontiguousarray(self.words)
        return b"".join([len(words).to_bytes(8, "little"), words.data.cast("B") if words.size else b"", self._text()])

    @classmethod
    def unpacked(cls, content: bytes, width: int) -> Self:
        """The rows that `packed` gave, of so many words each."""
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
        with pa.ipc.new_stream(sink, _TEXT) as writer:
            writer.write_batch(pa.record_batch([self.texts], schema=_TEXT))
        return sink.getvalue()


def _runs(words: Words, keys: int) -> tuple[Places, Places]:
    """The order of the rows, and where in it each distinct one starts."""
    order = np.argsort(words[:, 0])
    alike, same = _equal(words, order, 1), _equal(words, order, keys)
    if not np.array_equal(same, alike):  # of hashes that hardly ever happens: half of their bits in common
        order = np.lexsort([words[:, place] for place in reversed(range(keys))])
        same = _equal(words, order, keys)
    return order, np.flatnonzero(np.concatenate([np.ones(min(len(words), 1), np.bool_), ~same]))


def _equal(words: Words, order: Places, keys: int) -> npt.NDArray[np.bool_]:
    """Whether each row but the first has the same first words as the one before."""
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for place in range(keys):
        word = words[order, place]
        same &= word[1:] == word[:-1]
    return same


def places_of(hashes: Words, known: Words) -> Places:
    """Where each hash stands among distinct ones that are in order; -1 where it does not.

    >>> known = np.array([[1, 5], [1, 7], [2, 5]], np.uint64)
    >>> places_of(np.array([[1, 7], [2, 7]], np.uint64), known).tolist()
    [1, -1]
    """
    if not len(known):
        return np.full(len(hashes), -1)
    places = np.searchsorted(known[:, 0], hashes[:, 0])
    while True:
        at = known[np.minimum(places, len(known) - 1)]
        alike = (places < len(known)) & (at[:, 0] == hashes[:, 0])
        other = alike & (at[:, 1] != hashes[:, 1])
        if not other.any():
            return np.where(alike, places, -1)
        places = places + other
