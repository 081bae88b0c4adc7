"""Tally of `top`: distinct subjects per value, over all batches, within a memory budget.

Top to bottom: known pairs of subject and value; ranking by count; the tally. It works on hashes: a pair is the hash of a
value XOR that of a subject, under different domains. So the hashes of pair, value and subject fit into four words. Values
are stored separately, once each: only the names of the most frequent ones are needed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.batch import Batch
from minimize.arrow.dictionaries import to_python, value_type
from minimize.arrow.hashing import SPREAD_FACTOR
from minimize.arrow.interner import Int32Codes, TextInterner
from minimize.arrow.nested import leaf, repeat_for_leaf
from minimize.arrow.pointers import Pointer
from minimize.spill import Accumulator, HashedRows, HashWords, MemoryBudget, RecentHashes, SpillSpace, find_hashes
from minimize.techniques.top import Top, TopValues

RowIndices = npt.NDArray[np.int64]
_RECENT_PAIRS_BYTES: Final = 8 << 20
"""Bytes for further values of subjects after their first one."""
_BUDGET_PARTS: Final = 2
"""Parts of the budget that it may use. Subjects that do not fit are counted again and again."""


class SeenPairs:
    """The first value of each subject, and recent other pairs. It finds the rows whose pair may be new.

    Exact in one direction: an old row has occurred before, with the same subject and the same value. Tallies that will be merged
    may share it, and so may threads. If it exceeds its part of the budget, it is emptied and switched off. It holds plain values,
    so it stays in its process.

    >>> seen = SeenPairs(MemoryBudget(None))
    >>> seen.new_rows(pa.array(["s", "s", "t"]), pa.array(["a", "b", "a"])).tolist()
    [0, 1, 2]
    >>> seen.new_rows(pa.array(["s", "t", "t", None]), pa.array(["a", "a", "b", "a"])).tolist()
    [2, 3]
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self._shares = [budget.share() for _ in range(_BUDGET_PARTS)]
        self._lock = threading.Lock()
        self._tells = True
        self._subjects, self._values = TextInterner(pa.string()), TextInterner(pa.string())
        self._first: Int32Codes = np.empty(0, np.int32)
        self._lately = RecentHashes(_RECENT_PAIRS_BYTES)

    def new_rows(self, subjects: pa.Array, values: pa.Array) -> RowIndices | None:
        """The rows whose pair may be new, in order; None if unknown. Takes texts; values without nulls."""
        if not self._tells or not _is_text(subjects.type):
            return None
        who, what = _text_codes(self._subjects, subjects), _text_codes(self._values, values)
        with self._lock:
            if self._is_full():
                self._tells, self._first = False, np.empty(0, np.int32)
                self._subjects, self._values = TextInterner(pa.string()), TextInterner(pa.string())
            return self._new(who + np.int32(1), what) if self._tells else None

    def _new(self, subjects: Int32Codes, what: Int32Codes) -> RowIndices:
        """Rows without a subject count as one subject."""
        missing = len(self._subjects) + 1 - len(self._first)
        if missing > 0:
            self._first = np.concatenate([self._first, np.full(missing + len(self._first) // 2, -1, np.int32)])
        first = self._first[subjects]
        fresh = first < 0
        other = np.flatnonzero((first != what) & ~fresh)
        self._first[subjects[fresh][::-1]] = what[fresh][
            ::-1
        ]  # for several rows of a subject the first one, which is written last
        new = fresh
        new[other[self._lately.unseen_rows(_pair_words(subjects[other], what[other]))]] = True
        return np.flatnonzero(new)

    def _is_full(self) -> bool:
        sizes = [share.bytes for share in self._shares]
        held = self._subjects.nbytes + self._values.nbytes + self._first.nbytes + _RECENT_PAIRS_BYTES
        return None not in sizes and held > sum(size or 0 for size in sizes)


def _pair_words(subjects: Int32Codes, what: Int32Codes) -> npt.NDArray[Any]:
    """Pairs of codes as words, none of them zero, of which the first is spread over all its bits."""
    whole = ((subjects.astype(np.uint64) + np.uint64(1)) << np.uint64(32)) | what.astype(np.uint64)
    return np.column_stack([whole * SPREAD_FACTOR, whole])


def _text_codes(interner: TextInterner, values: pa.Array) -> Int32Codes:
    if not pa.types.is_dictionary(values.type):
        return interner.codes(values.cast(pa.string()))
    codes = np.append(interner.codes(values.dictionary.cast(pa.string())), np.int32(-1))
    indices = values.indices.fill_null(len(codes) - 1) if values.indices.null_count else values.indices
    found: Int32Codes = codes[indices.to_numpy()]
    return found


def _is_text(type_: pa.DataType) -> bool:
    kind = value_type(type_)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


_RANKING_ORDER = [("count", "descending"), ("name", "ascending")]
_RANKING_SCHEMA = pa.schema([("count", pa.uint64()), ("name", pa.large_string())])


def most_frequent(
    counts: Iterator[HashedRows], names: Iterator[HashedRows], top: Top, other: HashWords
) -> tuple[str, ...]:
    """The values to keep, most frequent first; ties in the order of the values.

    Takes the number of subjects of each value that has any, the values, and the hash of the text `other`.
    """
    best = _RANKING_SCHEMA.empty_table()
    for part, found in join_counts(counts, names):
        allowed = (found >= top.at_least) & np.any(part.words != other, axis=1)
        allowed &= found >= _least_count(found[allowed], top.keep)
        candidates = part.take(np.flatnonzero(allowed))
        best = pa.concat_tables([best, pa.table([found[allowed], candidates.texts], schema=_RANKING_SCHEMA)])
        best = best.take(pc.sort_indices(best, sort_keys=_RANKING_ORDER)[: top.keep]).combine_chunks()
    return tuple(to_python(best["name"]))


def join_counts(counts: Iterator[HashedRows], names: Iterator[HashedRows]) -> Iterator[tuple[HashedRows, HashWords]]:
    """The names, and the count of each (0 if it has none)."""
    counted = np.empty((0, 3), np.uint64)
    for part in names:
        if not len(part):
            continue
        last = part.words[-1, 0]
        while not len(counted) or counted[-1, 0] <= last:
            more = next(counts, None)
            if more is None:
                break
            counted = np.vstack([counted, more.words])
        places = find_hashes(part.words, counted)
        yield part, np.where(places < 0, 0, np.append(counted[:, 2], 0).astype(np.uint64)[places])
        counted = counted[np.searchsorted(counted[:, 0], last) :]


def _least_count(counts: HashWords, keep: int) -> int:
    """The count below which no value can be among the `keep` most frequent ones."""
    return int(np.partition(counts, len(counts) - keep)[len(counts) - keep]) if len(counts) > keep else 0


_SUBJECT_DOMAIN, _VALUE_DOMAIN = 0, 1
_RECENT_BYTES: Final = 16 << 20
"""Bytes for recent hashes, at most, and at most an eighth of the budget."""
_RECENT_BYTES_PER_ROW: Final = 1 << 8
"""Bytes for recent hashes, at most, per row of the first batch: small batches are not followed by large ones."""


class TopTally:
    """Which subjects have which values, over all batches; settles into the technique that keeps the top.

    Takes the key of the field (its values in `released`, after the earlier steps), the pointers of the field and the subject,
    the step, and the spill space of the run. Tallies that merge must hash under the same key. Those of one process may share
    the seen pairs: pairs that one of them has counted are then left out by the others.
    """

    def __init__(
        self, key: str, pointer: Pointer, subject: Pointer, top: Top, space: SpillSpace, pairs: SeenPairs | None = None
    ) -> None:
        self._key = key
        self._pointer = pointer
        self._subject = subject
        self._top = top
        self._aside = space
        self._mark = space.hasher.mark
        self._pairs = Accumulator(space, width=4)
        self._names = Accumulator(space, width=2)
        self._said = pairs
        self._lately: tuple[RecentHashes, RecentHashes] | None = None

    def observe(self, batch: Batch) -> None:
        """Takes one batch in."""
        values, subjects = self._without_nulls(batch.released[self._key], self._subjects_of(batch))
        if not len(values):
            return
        new = None if self._said is None else self._said.new_rows(subjects, values)
        if new is None:
            pairs = self._pairs_of(values, subjects)
            self._pairs.add(HashedRows(pairs[self._recent(len(pairs))[0].unseen_rows(pairs)]))
        elif len(new):
            taken = pa.array(new)
            self._pairs.add(HashedRows(self._pairs_of(values.take(taken), subjects.take(taken))))

    def _pairs_of(self, values: pa.Array, subjects: pa.Array) -> HashWords:
        """The hashes of pairs and values, as columns. The values are stored before."""
        hashes = self._take_names(values, self._recent(len(values))[1])
        owned = self._aside.hasher(subjects, _SUBJECT_DOMAIN)
        owned ^= hashes
        return np.column_stack([owned, hashes])

    def merge(self, other: Self) -> None:
        """Merges another tally of the same field. Raises ValueError if it hashed under another key."""
        if self._mark != other._mark:
            raise ValueError("tallies that were hashed under different keys cannot be merged")
        self._pairs.merge(other._pairs)
        self._names.merge(other._names)

    def settle(self) -> TopValues:
        """The technique. It does not depend on the order of anything that was observed."""
        self._lately = self._said = None
        other = self._aside.hasher(pa.array([self._top.other]), _VALUE_DOMAIN)
        counts = Accumulator(self._aside, width=3, summed=1)
        for pairs in self._pairs.settle():
            hashes = pairs.words[have_subject(pairs.words), 2:]
            counts.add(HashedRows(np.column_stack([hashes, np.ones(len(hashes), np.uint64)])).reduce(summed=1))
        kept = most_frequent(counts.settle(), self._names.settle(), self._top, other)
        return TopValues(values=self._with_enough_outside(kept), other=self._top.other)

    def _with_enough_outside(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """The kept values, chosen so that `other` is empty or has enough subjects."""
        inside = HashedRows(self._aside.hasher(pa.array(values, pa.string()), _VALUE_DOMAIN)).reduce().words
        if has_enough_outside(self._pairs.settle(), inside, self._top.at_least):
            return values
        return values[:-1]  # it has `at_least` subjects of its own, so that `other` has them too now

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: hashes and values, without recent hashes."""
        return {**self.__dict__, "_lately": None, "_said": None}

    def _subjects_of(self, batch: Batch) -> pa.Array:
        above = leaf(batch.raw, self._subject)
        stars = self._pointer.stars
        return repeat_for_leaf(above.values, above, leaf(batch.raw, stars[-1])) if stars else above.values

    def _without_nulls(self, values: pa.Array, subjects: pa.Array) -> tuple[pa.Array, pa.Array]:
        """The values that are not null, and their subjects."""
        there = values.is_valid()
        if pa.types.is_dictionary(values.type) and values.dictionary.null_count:
            values = values.dictionary_decode()
            there = values.is_valid()
        return (values.filter(there), subjects.filter(there)) if there.false_count else (values, subjects)

    def _take_names(self, values: pa.Array, recent: RecentHashes) -> HashWords:
        """The hash of each value. Values that are not among the recent ones are stored."""
        encoded = pa.types.is_dictionary(values.type) and len(values.dictionary) <= len(values)
        texts = values.dictionary if encoded else values.cast(pa.large_string())
        hashes = self._aside.hasher(texts, _VALUE_DOMAIN)
        new = recent.unseen_rows(hashes)
        if len(new):
            self._names.add(HashedRows(hashes[new], texts.take(pa.array(new)).cast(pa.large_string())))
        return hashes[values.indices.to_numpy()] if encoded else hashes

    def _recent(self, rows: int) -> tuple[RecentHashes, RecentHashes]:
        if self._lately is None:
            part = self._aside.budget.part()
            size = min(_RECENT_BYTES, _RECENT_BYTES_PER_ROW * rows, _RECENT_BYTES if part is None else part // 8)
            self._lately = RecentHashes(size), RecentHashes(size // 8)
        return self._lately


def have_subject(pairs: HashWords) -> npt.NDArray[np.bool_]:
    """Which pairs have a subject: a missing subject has hash zero."""
    return np.asarray((pairs[:, 0] != pairs[:, 2]) | (pairs[:, 1] != pairs[:, 3]), np.bool_)


def has_enough_outside(pairs: Iterator[HashedRows], inside: HashWords, enough: int) -> bool:
    """Whether there are no pairs with other values than `inside`, or they have enough distinct subjects."""
    is_empty, seen = True, np.empty((0, 2), np.uint64)
    for part in pairs:
        outside = part.words[find_hashes(part.words[:, 2:], inside) < 0]
        is_empty = is_empty and not len(outside)
        outside = outside[have_subject(outside)]
        subjects = outside[:, :2] ^ outside[:, 2:]
        seen = HashedRows(np.vstack([seen, subjects])).reduce().words[:enough]
        if len(seen) >= enough:
            return True
    return is_empty
