"""The subjects of an aggregate as codes, in one table for all threads that tally it: none learns anew what another knows."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import Codes
from minimize.codebook import Codebook, settled
from minimize.interned import Interned
from minimize.spill import Hasher, Words

_SUBJECTS: Final = 1
"""The domain of the hashes of subjects."""
_NO_SUBJECT: Final = 0


class Roster:
    """Hands out a code for each distinct subject, -1 for none.

    Who shares it joins, and leaves for the one that follows when what it has tallied is set aside: the memory is given back
    when nobody is left.

    >>> roster = Roster()
    >>> roster.encode(pa.array(["b", None, "b"])).tolist(), roster.encode(pa.array(["a", "b"])).tolist()
    ([0, -1, 0], [1, 0])
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._book: _Texts | _Others | None = None
        self._sharers = 0
        self._next: Roster | None = None
        self._hashes: tuple[Hasher, Words] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the subjects in the order of their codes, shared with nobody."""
        return _rebuilt, (None if self._book is None else self._book.values,)

    def __len__(self) -> int:
        return 0 if self._book is None else len(self._book)

    @property
    def values(self) -> pa.Array | None:
        """The subject of each code; None where no batch came yet."""
        return None if self._book is None else self._book.values

    @property
    def nbytes(self) -> int:
        """Bytes held for each of those who share it."""
        return 0 if self._book is None else self._book.nbytes // max(self._sharers, 1)

    def hashes(self, hasher: Hasher) -> Words:
        """A keyed hash for each code so far, and a last one that stands for no subject: the code -1 finds it."""
        with self._lock:
            if self._hashes is None or self._hashes[0] != hasher:
                self._hashes = hasher, hasher(pa.array([_NO_SUBJECT]), domain=_SUBJECTS)[:, 0]
            known = self._hashes[1]
            if self._book is not None and len(self._book) >= len(known):
                new = hasher(self._book.values_from(len(known) - 1), domain=_SUBJECTS)[:, 0]
                known = np.concatenate([known[:-1], new, known[-1:]])
                self._hashes = hasher, known
            return known

    def joined(self) -> Roster:
        """The same, shared by one more."""
        with self._lock:
            self._sharers += 1
        return self

    def left(self) -> Roster:
        """The one that follows, which starts empty; shared by one more, and this one by one less."""
        with self._lock:
            self._sharers -= 1
            if not self._sharers:
                self._book = self._hashes = None  # whoever holds the first one holds all that follow
            self._next = Roster() if self._next is None else self._next
            return self._next.joined()

    def encode(self, subjects: pa.Array) -> Codes:
        """The code of each subject, new codes for new ones; plain or dictionary-encoded."""
        if not pa.types.is_dictionary(subjects.type):
            return self._bound(subjects.type).codes(subjects)
        entries = np.append(self._bound(subjects.type).codes(subjects.dictionary), -1)
        places: Codes = subjects.indices.fill_null(len(entries) - 1).to_numpy()
        return entries.take(places)

    def merge(self, other: Roster) -> Codes:
        """Our code for each of another's."""
        if other is self:
            return np.arange(len(self))
        theirs = other.values
        return np.empty(0, np.int64) if theirs is None else self.encode(theirs)

    def _bound(self, type_: pa.DataType) -> _Texts | _Others:
        with self._lock:
            if self._book is None:
                plain = settled(type_)
                is_text = pa.types.is_string(plain) or pa.types.is_binary(plain)
                self._book = _Texts(plain) if is_text else _Others(plain)
            return self._book


class _Texts:
    """Subjects that are texts, or bytes."""

    def __init__(self, type_: pa.DataType) -> None:
        self._type = type_
        self._known = Interned(type_)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def values(self) -> pa.Array:
        return self._known.values()

    def values_from(self, first: int) -> pa.Array:
        return self._known.values(first)

    @property
    def nbytes(self) -> int:
        return self._known.nbytes

    def codes(self, subjects: pa.Array) -> Codes:
        plain = subjects if subjects.type == self._type else subjects.cast(self._type)
        return self._known.codes(plain).astype(np.int64)


class _Others:
    """Subjects of another type."""

    def __init__(self, type_: pa.DataType) -> None:
        self._known = Codebook(type_)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def values(self) -> pa.Array:
        return self._known.values

    def values_from(self, first: int) -> pa.Array:
        return self._known.values.slice(first)

    @property
    def nbytes(self) -> int:
        return self._known.nbytes

    def codes(self, subjects: pa.Array) -> Codes:
        with self._lock:
            codes = self._known.codes(subjects)
        missing: npt.NDArray[np.bool_] = np.asarray(subjects.is_null())
        return np.where(missing, -1, codes)


def _rebuilt(values: pa.Array | None) -> Roster:
    roster = Roster().joined()
    if values is not None:
        roster.encode(values)
    return roster
