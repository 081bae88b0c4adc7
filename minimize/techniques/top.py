"""`top`: the most frequent values by number of subjects; all others become `other`.

The most frequent values are known only after all rows were seen, so the step itself treats nothing. Its tally (`TopTally`)
observes the values after the earlier steps, and settles into `TopValues`, the technique that applies the result.

The tally counts distinct subjects per value, over all batches, within a memory budget. Subjects and values get codes. The first
value of each subject is stored in an array, each further pair of subject and value as one 64-bit number. NumPy sorts such
numbers in 12 to 17 ns each; to set a bit for each pair takes 45 to 65 ns. Pairs beyond the budget are hashed and spilled, and
the codes start again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.arrow.dictionaries import (
    Bools,
    Codes,
    as_takeable,
    decode_dictionary,
    distinct_values,
    pack_codes,
    run_starts,
    to_python,
    unpack_codes,
    value_type,
)
from minimize.arrow.interner import Int32Codes, TextInterner
from minimize.arrow.nested import leaf, repeat_for_leaf
from minimize.arrow.pointers import Pointer
from minimize.records import Batch
from minimize.spill import DEFAULT_MEMORY, Accumulator, HashedRows, HashWords, SpillSpace
from minimize.techniques.base import Context, Family, Residual, Technique, TechniqueResult, TechniqueStep
from minimize.techniques.parameters import HIGHER_TIGHTENS, LOWER_TIGHTENS, NEUTRAL

FEW_SUBJECTS = 10
"""A value with fewer subjects than this represents few subjects."""


class Top(TechniqueStep):
    """The `keep` most frequent values by distinct subjects; the rest becomes `other`.

    Takes strings and gives strings; null stays null. Values of fewer than `at_least` subjects go to `other`, and if `other`
    itself has fewer, the least frequent kept values join it. The residual is coarse: frequent values.
    """

    name: ClassVar[str] = "top"
    takes: ClassVar[tuple[Family, ...]] = ("string",)
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = "coarse"
    singles_out: ClassVar[bool] = False
    source: ClassVar[str] = "top-n tabulation with a threshold; Hundepool et al., Statistical Disclosure Control (2012)"
    about: ClassVar[str] = "the most frequent values by number of subjects; all others become `other`"

    needs_all_rows: ClassVar[bool] = True

    keep: Annotated[int, Field(ge=1), LOWER_TIGHTENS]
    other: Annotated[str, NEUTRAL]
    at_least: Annotated[int, Field(ge=1), HIGHER_TIGHTENS] = 10

    def residual_for(self, *, identifier: bool) -> Residual:
        """An identifier that few subjects share can still be guessed."""
        return "guessable" if identifier and self.at_least < FEW_SUBJECTS else self.residual

    def phrase(self) -> str:
        """How many values stay."""
        return f"only if it is one of the {self.keep} most frequent values; all others are combined"


class TopValues(Technique):
    """Values that are kept as they are; every other value becomes `other`. Null stays null.

    >>> from datetime import datetime, UTC
    >>> technique = TopValues(values=("a", "b"), other="other")
    >>> technique.apply(pa.array(["a", "c", None]), Context("model", datetime.now(UTC))).values.to_pylist()
    ['a', 'other', None]
    """

    name: ClassVar[str] = "top"
    takes: ClassVar[tuple[Family, ...]] = Top.takes
    result_type: ClassVar[pa.DataType | None] = pa.string()
    residual: ClassVar[Residual] = Top.residual
    source: ClassVar[str] = Top.source
    about: ClassVar[str] = Top.about
    values: tuple[str, ...] = Field(repr=False)
    other: str

    def apply(self, values: pa.Array, context: Context) -> TechniqueResult:
        """The kept values, and `other`."""
        text = values.cast(pa.string())
        place = pc.index_in(text, value_set=pa.array(self.values, pa.string()), skip_nulls=True)
        place = pc.if_else(text.is_null(), pa.nulls(len(text), pa.int32()), pc.fill_null(place, len(self.values)))
        return TechniqueResult(pa.array([*self.values, self.other], pa.string()).take(place))


Part = tuple[pa.Array, HashWords, Codes, HashWords]
"""Values, the hash of each, and of some pairs the index of the value and two words for the subject (0 for none)."""
_PART_ROWS: Final = 1 << 16
"""Pairs or subjects that are counted or hashed together."""
_BYTES_PER_PAIR: Final = 16
"""Bytes of a further pair while all are sorted."""
_SUBJECT_DOMAIN, _VALUE_DOMAIN = 0, 1


class CodedPairs:
    """Pairs as codes of subjects and values. Rows without a subject count as subject 0."""

    def __init__(self) -> None:
        self.subjects, self.values = TextInterner(pa.binary()), TextInterner(pa.binary())
        self._first: Int32Codes = np.empty(0, np.int32)
        self._further: list[Codes] = []

    @property
    def nbytes(self) -> int:
        """Bytes of memory that are used, or are needed to sort."""
        further = _BYTES_PER_PAIR * sum(map(len, self._further))
        return self.subjects.nbytes + self.values.nbytes + self._first.nbytes + further

    def add(self, subjects: Int32Codes, values: Int32Codes) -> None:
        """Add pairs. Rows without a value have the code -1."""
        if len(values) and values.min() < 0:
            subjects, values = subjects[values >= 0], values[values >= 0]
        missing = len(self.subjects) + 1 - len(self._first)
        if missing > 0:
            self._first = np.concatenate([self._first, np.full(missing + len(self._first) // 2, -1, np.int32)])
        fresh = np.flatnonzero(self._first[subjects] < 0)
        self._first[subjects[fresh]] = values[fresh]
        further = np.flatnonzero(self._first[subjects] != values)
        self._further.append(pack_codes(subjects[further].astype(np.int64), values[further].astype(np.int64)))

    def sort(self) -> None:
        """Remove repeated pairs."""
        further = np.concatenate([np.empty(0, np.int64), *self._further])
        self._further = []  # frees memory for the copies
        further.sort()
        self._further = [further[run_starts(further)]]

    def parts(self) -> Iterator[tuple[Codes, Codes]]:
        """The subjects and values of all pairs, some at a time."""
        known = np.flatnonzero(self._first >= 0)
        for start in range(0, len(known), _PART_ROWS):
            subjects = known[start : start + _PART_ROWS]
            yield subjects, self._first[subjects].astype(np.int64)
        for further in self._further:
            for start in range(0, len(further), _PART_ROWS):
                yield unpack_codes(further[start : start + _PART_ROWS])


class SubjectValues:
    """Which subjects have which values, within a share of the budget. Threads and their tallies may share it.

    In other processes it has hashes only, without their key, and can only be merged.
    """

    def __init__(self, space: SpillSpace, spilled: Accumulator | None = None, mark: int | None = None) -> None:
        self._space, self._share, self._lock = space, space.budget.share(), threading.Lock()
        self._mark = space.hasher.mark if mark is None else mark
        self._has_key = mark is None
        self._coded, self._spilled = CodedPairs(), spilled

    def __reduce__(self) -> tuple[Any, ...]:
        return SubjectValues, (self._space, self._spill(), self._mark)

    def add(self, subjects: pa.Array, values: pa.Array) -> None:
        """Add the pairs of rows. Values are texts; a null is no value. Subjects may be null.

        Raises ValueError without the key of the hashes.
        """
        self._check_key()
        texts = self._as_texts(subjects)
        while True:
            coded = self._coded
            codes = _codes(coded.subjects, texts) + np.int32(1), _codes(coded.values, values)
            with self._lock:
                if coded is self._coded:  # else another thread has spilled it
                    coded.add(*codes)
                    self._spill_if_full()
                    self._share.held = self._coded.nbytes
                    return

    def _spill_if_full(self) -> None:
        limit = DEFAULT_MEMORY if self._share.bytes is None else self._share.bytes
        limit = limit * 4 // 5  # spilling needs some more
        if self._coded.nbytes > limit:
            self._coded.sort()
            if self._coded.nbytes > limit // 2:
                self._spill()

    def _spill(self) -> Accumulator:
        """Replace all codes by hashes: of each pair the value's XOR the subject's, with the text of the value."""
        if self._spilled is None:
            self._spilled = Accumulator(self._space, width=2)
        self._coded.sort()
        subjects = [np.zeros((1, 2), np.uint64)]
        for start in range(0, len(self._coded.subjects), _PART_ROWS):
            texts = self._coded.subjects.scoped_values(start, _PART_ROWS)[1]
            subjects.append(self._space.hasher(texts, _SUBJECT_DOMAIN))
        for names, hashes, values, words in self._coded_parts(np.concatenate(subjects)):
            self._spilled.add(HashedRows(words ^ hashes.take(values, axis=0), names.take(pa.array(values))))
        self._coded = CodedPairs()
        return self._spilled

    def merge(self, tally: Self) -> None:
        """Add the pairs of another one. Raises ValueError if the keys of their hashes differ."""
        if self._mark != tally._mark:
            raise ValueError("tallies that were hashed under different keys cannot be merged")
        if not self._has_key:
            self._space, self._has_key = tally._space, tally._has_key
        if tally is not self:
            self._spill().merge(tally._spill())

    def counts(self) -> Iterator[tuple[HashWords, pa.Array]]:
        """The numbers of subjects of all values that have any, and the values, some at a time."""
        self._coded.sort()
        counts = Accumulator(self._space, 3, [np.add])
        for names, hashes, values, subjects in self._parts():
            subject_counts = np.bincount(values[_is_known(subjects)], minlength=len(names)).astype(np.uint64)
            used = np.flatnonzero(subject_counts)
            counts.add(HashedRows(np.column_stack([hashes[used], subject_counts[used]]), names.take(pa.array(used))))
        return ((part.words[:, 2], part.texts) for part in counts.settle())

    def has_enough_outside(self, top_values: tuple[str, ...], enough: int) -> bool:
        """Whether there are no pairs with other values, or they have enough distinct subjects."""
        is_empty, subject_hashes = True, np.empty((0, 2), np.uint64)
        for names, _, values, subjects in self._parts():
            others = pc.invert(pc.is_in(names, pa.array(top_values, pa.large_string())))
            outside = subjects[others.to_numpy(zero_copy_only=False)[values]]
            is_empty = is_empty and not len(outside)
            subject_hashes = (
                HashedRows(np.append(subject_hashes, outside[_is_known(outside)], axis=0)).reduce().words[:enough]
            )
            if len(subject_hashes) >= enough:
                return True
        return is_empty

    def _check_key(self) -> None:
        if not self._has_key:
            raise ValueError("a tally of another process can only be merged")

    def _parts(self) -> Iterator[Part]:
        """All pairs, some at a time."""
        self._check_key()
        if self._spilled is None:
            places = np.arange(len(self._coded.subjects) + 1, dtype=np.uint64)
            yield from self._coded_parts(np.column_stack([places, np.zeros_like(places)]))
            return
        for part in _joined(self._spill().settle()):
            texts = distinct_values(part.texts)
            hashes, values = self._space.hasher(texts.values, _VALUE_DOMAIN), texts.int_codes()
            yield texts.values, hashes, values, part.words ^ hashes.take(values, axis=0)

    def _coded_parts(self, subjects: HashWords) -> Iterator[Part]:
        """The pairs in memory, with these words for each subject."""
        names = self._coded.values.values().view(pa.string()).cast(pa.large_string())
        hashes = self._space.hasher(names, _VALUE_DOMAIN)
        return ((names, hashes, values, subjects.take(who, axis=0)) for who, values in self._coded.parts())

    def _as_texts(self, subjects: pa.Array) -> pa.Array:
        """Subjects as texts; those that are neither texts nor integers as their hashes."""
        kind = value_type(subjects.type)
        if pa.types.is_integer(kind):
            return subjects.cast(pa.string())
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return subjects
        distinct = distinct_values(subjects)
        hashes = pa.py_buffer(self._space.hasher(distinct.values, _SUBJECT_DOMAIN))
        texts = pa.Array.from_buffers(pa.binary(16), len(distinct.values), [None, hashes]).cast(pa.binary())
        return pa.DictionaryArray.from_arrays(distinct.codes, texts)


def _codes(interner: TextInterner, values: pa.Array) -> Int32Codes:
    """The code of each text, -1 for null."""
    if not pa.types.is_dictionary(values.type) or len(values.dictionary) > len(values):
        return interner.codes(as_takeable(decode_dictionary(values)))
    distinct = distinct_values(values)
    return np.append(interner.codes(distinct.values), np.int32(-1))[distinct.int_codes()]


def _joined(parts: Iterable[HashedRows]) -> Iterator[HashedRows]:
    """The same rows in fewer parts."""
    some: list[HashedRows] = []
    for part in parts:
        some.append(part)
        if sum(map(len, some)) >= _PART_ROWS:
            yield HashedRows.concat(some)
            some.clear()
    if some:
        yield HashedRows.concat(some)


def _is_known(subjects: HashWords) -> Bools:
    return np.asarray((subjects[:, 0] | subjects[:, 1]) != 0)


_RANKING_ORDER = [("count", "descending"), ("name", "ascending")]
_RANKING_SCHEMA = pa.schema([("count", pa.uint64()), ("name", pa.large_string())])


def most_frequent(counted: Iterator[tuple[HashWords, pa.Array]], top: Top) -> tuple[str, ...]:
    """The values to keep, most frequent first; ties in the order of the values."""
    best = _RANKING_SCHEMA.empty_table()
    for counts, names in counted:
        candidates = pa.table([counts, names.cast(pa.large_string())], schema=_RANKING_SCHEMA)
        candidates = candidates.filter((pc.field("count") >= top.at_least) & (pc.field("name") != top.other))
        best = pa.concat_tables([best, candidates])
        best = best.take(pc.select_k_unstable(best, top.keep, _RANKING_ORDER)).combine_chunks()
    return tuple(to_python(best["name"]))


@dataclass(frozen=True, slots=True)
class TopTally:
    """Which subjects have which values, over all batches; settles into the technique that keeps the top.

    Takes the key of the field (its values in `released`, after the earlier steps), the pointers of the field and the subject,
    the step, and the pairs, which tallies of one process may share.
    """

    key: str
    pointer: Pointer
    subject: Pointer
    top: Top
    pairs: SubjectValues

    def observe(self, batch: Batch) -> None:
        """Takes one batch in."""
        above = leaf(batch.raw, self.subject)
        stars = self.pointer.stars
        subjects = repeat_for_leaf(above.values, above, leaf(batch.raw, stars[-1])) if stars else above.values
        self.pairs.add(subjects, batch.released[self.key])

    def merge(self, tally: Self) -> None:
        """Merges another tally of the same field. Raises ValueError if it hashed under another key."""
        self.pairs.merge(tally.pairs)

    def settle(self) -> TopValues:
        """The technique. It does not depend on the order of anything that was observed."""
        kept = most_frequent(self.pairs.counts(), self.top)
        if not self.pairs.has_enough_outside(kept, self.top.at_least):
            kept = kept[:-1]  # it has `at_least` subjects of its own, so that `other` has them too now
        return TopValues(values=kept, other=self.top.other)
