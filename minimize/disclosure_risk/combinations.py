"""Combinations of quasi-identifiers: how many records and data subjects have each, and which sensitive values occur in it.

Rows of codes are packed into 64-bit words, as many columns in a word as fit, sorted, and counted by runs. Only distinct rows
are kept between batches, so memory follows the number of distinct rows and not that of records. Distinct rows beyond the memory
budget wait in an encrypted spill file until the combinations are settled. Nothing is hashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.codes import IntegerDictionary, ValueDictionary
from minimize.arrow.dictionaries import as_takeable, value_type
from minimize.spill import UNLIMITED_SPACE, SpilledPiece, SpillSpace

_CELLS_PER_KEY: Final = 16
Codes = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
WORD_BITS: Final = 64
_MOST_COMBINATIONS: Final = 1 << 31
"""Codes of combinations have 32 bits."""
_MIN_PENDING: Final = 1 << 18
"""Rows that wait at least before they are merged, so that small tables are merged once."""


@dataclass(frozen=True, eq=False)
class SensitiveCounts:
    """How often each sensitive value occurs in each combination: a sparse list, sorted by combination and value."""

    name: str
    dictionary: pa.Array = field(repr=False)
    """The values by code, sorted, null last. A null is a value."""
    combination: Codes = field(repr=False)
    """The index of the combination, or of the class."""
    value: npt.NDArray[np.int32] = field(repr=False)
    """The index in the dictionary."""
    count: Codes = field(repr=False)
    """The number of data subjects with this value there; the number of records if there are no data subjects."""

    @cached_property
    def totals(self) -> Codes:
        """The count of each value over all combinations."""
        return np.bincount(self.value, self.count, len(self.dictionary)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PersonPairs:
    """The distinct pairs of a combination and a data subject, sorted by combination."""

    combination: Codes = field(repr=False)
    person: Codes = field(repr=False)
    """The code of the data subject. Records without one belong together to a single data subject."""
    count: int
    """The number of distinct data subjects."""


@dataclass(frozen=True, eq=False)
class Combinations:
    """The distinct combinations of quasi-identifiers in a table. They do not depend on the order of records or on batches."""

    names: tuple[str, ...]
    dictionaries: tuple[pa.Array, ...] = field(repr=False)
    """By attribute the distinct values, sorted. NaN and null are values, after all others."""
    codes: npt.NDArray[np.int32] = field(repr=False)
    """Of shape (combinations, attributes), in lexicographic order."""
    records: Codes = field(repr=False)
    """The number of records of each combination."""
    persons: PersonPairs | None = field(default=None, repr=False)
    """None if each record is a data subject of its own."""
    sensitive: tuple[SensitiveCounts, ...] = field(default=(), repr=False)
    sensitive_pairs: tuple[SensitivePairs, ...] = field(default=(), repr=False)
    """For each sensitive attribute, who has which value; empty if each record is a data subject of its own."""

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def person_counts(self) -> Codes:
        """The number of distinct data subjects of each combination."""
        if self.persons is None:
            return self.records
        return np.bincount(self.persons.combination, minlength=len(self)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class SensitivePairs:
    """The distinct triples of a combination, a sensitive value and a data subject, sorted in this order."""

    combination: Codes = field(repr=False)
    value: npt.NDArray[np.int32] = field(repr=False)
    person: Codes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Classes:
    """Equivalence classes: the records whose quasi-identifiers are equal after generalization."""

    class_of: Codes = field(repr=False)
    """The class of each combination."""
    records: Codes = field(repr=False)
    """The number of records of each class."""
    person_counts: Codes = field(repr=False)
    """The number of distinct data subjects of each class."""
    sensitive: tuple[SensitiveCounts, ...] = field(default=(), repr=False)
    """As in combinations, by class."""

    def __len__(self) -> int:
        return len(self.records)


def combinations_of(
    table: pa.Table | pa.RecordBatch,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    person: str | None = None,
) -> Combinations:
    """The combinations of a table.

    Args:
        table: Any Arrow table.
        quasi_identifiers: The columns whose values an attacker may know.
        sensitive: The columns that an attacker wants to learn.
        person: The column that identifies data subjects; by default each record is one.

    Returns:
        The distinct combinations with their counts.

    >>> table = pa.table({"model": ["A", "A", "B"], "device": [1, 1, 2]})
    >>> combinations_of(table, ["model"]).records.tolist()
    [2, 1]
    >>> combinations_of(table, ["model"], person="device").person_counts.tolist()
    [1, 1]
    """
    tally = CombinationTally(quasi_identifiers, sensitive, person)
    tally.observe(table)
    return tally.settle()


class CombinationTally:
    """Counts the combinations of a table batch by batch. Tallies of several threads or processes can be merged."""

    def __init__(
        self,
        quasi_identifiers: Sequence[str],
        sensitive: Sequence[str] = (),
        person: str | None = None,
        space: SpillSpace = UNLIMITED_SPACE,
    ) -> None:
        """Takes the columns, and the space for distinct rows that exceed the memory budget."""
        self.quasi_identifiers, self.sensitive, self.person = tuple(quasi_identifiers), tuple(sensitive), person
        self._columns = [*self.quasi_identifiers, *self.sensitive, *([] if person is None else [person])]
        self._dictionaries: list[ValueDictionary] | None = None
        self._quasi = _CombinationCodes(len(self.quasi_identifiers))
        self._rows = _DistinctRows([1] * (1 + len(self._columns) - len(self.quasi_identifiers)), space)

    def observe(self, table: pa.Table | pa.RecordBatch) -> None:
        """Add the records of a table or a batch."""
        batches = table.select(self._columns).to_batches() if isinstance(table, pa.Table) else [table]
        for batch in batches or [pa.RecordBatch.from_pylist([], schema=table.schema)]:
            columns = [_as_encodable(batch.column(name)) for name in self._columns]
            if self._dictionaries is None:
                self._dictionaries = [ValueDictionary(value_type(column.type)) for column in columns]
            codes = [_codes_with_null(known, column) for known, column in zip(self._dictionaries, columns, strict=True)]
            self._add(codes, None, batch.num_rows)

    def merge(self, tally: Self) -> None:
        """Add the records that another tally of the same columns has observed."""
        if tally._dictionaries is None:
            return
        if self._dictionaries is None:
            self._dictionaries = [ValueDictionary(known.values.type) for known in tally._dictionaries]
        (theirs, *others), counts = tally._rows.columns()
        places = [
            np.append(0, mine.codes(known.values) + 1)
            for mine, known in zip(self._dictionaries, tally._dictionaries, strict=True)
        ]
        columns = [*(column[theirs] for column in tally._quasi.columns()), *others]
        self._add([place[column] for place, column in zip(places, columns, strict=True)], counts, len(theirs))

    def _add(self, codes: Sequence[Codes], counts: Codes | None, rows: int) -> None:
        sizes = [len(dictionary) + 1 for dictionary in self._dictionaries or ()]
        quasi_count = len(self.quasi_identifiers)
        combinations = self._quasi.codes(codes[:quasi_count], sizes[:quasi_count], rows)
        self._rows.add([combinations, *codes[quasi_count:]], counts, [len(self._quasi), *sizes[quasi_count:]])

    def settle(self) -> Combinations:
        """The combinations of all observed records."""
        known = self._dictionaries or [ValueDictionary(pa.null()) for _ in self._columns]
        (places, *columns), counts = self._rows.columns()
        quasi_count, sensitive_count = len(self.quasi_identifiers), len(self.sensitive)
        ranked = [
            _ranked(codes, dictionary.values)
            for codes, dictionary in zip((*self._quasi.columns(), *columns[:sensitive_count]), known, strict=False)
        ]
        quasi, sensitive = ranked[:quasi_count], ranked[quasi_count:]
        dictionaries = [dictionary for _, dictionary in ranked]
        count = len(self._quasi)
        runs = _sorted_runs(
            [codes for codes, _ in quasi], [len(dictionary) + 1 for dictionary in known[:quasi_count]], count
        )
        combination_of = runs.run_of[places]
        persons, person_count = None, 0
        if self.person is not None:
            persons, person_count = _without_gaps(columns[-1], len(known[-1]) + 1)
        values = [codes for codes, _ in sensitive]
        return Combinations(
            names=self.quasi_identifiers,
            dictionaries=tuple(dictionaries[:quasi_count]),
            codes=np.stack([codes[runs.first_rows] for codes, _ in quasi], axis=1).astype(np.int32)
            if quasi
            else np.zeros((count, 0), np.int32),
            records=np.bincount(combination_of, counts, count).astype(np.int64),
            persons=None if persons is None else _person_pairs(combination_of, persons, count, person_count),
            sensitive=tuple(
                _sensitive_counts(name, dictionary, combination_of, count, codes, persons, counts, person_count)
                for name, codes, (_, dictionary) in zip(self.sensitive, values, sensitive, strict=True)
            ),
            sensitive_pairs=()
            if persons is None
            else tuple(
                _sensitive_pairs(combination_of, count, codes, persons, len(dictionary) + 1, person_count)
                for codes, dictionary in zip(values, known[quasi_count:], strict=False)
            ),
        )


def _codes_with_null(dictionary: ValueDictionary, values: pa.Array) -> Codes:
    """The code of each value, from 1 on; 0 for null."""
    return dictionary.codes(values) + 1


def _without_gaps(codes: Codes, size: int) -> tuple[Codes, int]:
    """The same codes from 0 on without unused ones, in the same order, and how many there are."""
    is_used = np.zeros(size, np.bool_)
    is_used[codes] = True
    return (np.cumsum(is_used) - 1)[codes], int(np.count_nonzero(is_used))


def _ranked(codes: Codes, values: pa.Array) -> tuple[Codes, pa.Array]:
    """Codes in the order of the values, and the values in order. A null that occurs is the last value."""
    order = pc.array_sort_indices(values).to_numpy()
    ranks = np.empty(len(order) + 1, np.int64)
    ranks[order + 1] = np.arange(len(order))
    ranks[0] = len(order)
    ordered = values.take(pa.array(order))
    has_null = bool(len(codes)) and not codes.all()
    return ranks[codes], pa.concat_arrays([ordered, pa.nulls(1, values.type)]) if has_null else ordered


def grouped(combinations: Combinations, maps: Sequence[npt.NDArray[np.int32] | None]) -> Classes:
    """The classes of combinations whose codes are equal after each attribute's map; None maps all codes to one.

    >>> combinations = combinations_of(pa.table({"model": ["A", "A", "B"], "day": [1, 2, 2]}), ["model", "day"])
    >>> grouped(combinations, [np.array([0, 1]), None]).records.tolist()
    [2, 1]
    """
    kept = [(place, codes) for place, codes in enumerate(maps) if codes is not None]
    columns = [codes[combinations.codes[:, place]].astype(np.int64) for place, codes in kept]
    return classes_of(combinations, *equal_rows(columns, len(combinations)))


def equal_rows(columns: Sequence[Codes], rows: int) -> tuple[Codes, int]:
    """The group of each row, and the number of groups. Rows of a group have equal codes; groups are in lexicographic order.

    >>> equal_rows([np.array([7, 0, 7]), np.array([1, 1, 1])], 3)
    (array([1, 0, 1]), 2)
    """
    runs = _sorted_runs(columns, [int(column.max(initial=0)) + 1 for column in columns], rows)
    return runs.run_of, runs.count


def classes_of(combinations: Combinations, class_of: Codes, count: int) -> Classes:
    """The classes for a given class of each combination, from 0 to `count` - 1."""
    persons = combinations.persons
    records = np.bincount(class_of, combinations.records, count).astype(np.int64)
    if persons is None:
        person_counts = records
    else:
        person_counts = _distinct_per_class(class_of[persons.combination], persons.person, count, persons.count)
    return Classes(
        class_of=class_of,
        records=records,
        person_counts=person_counts,
        sensitive=tuple(
            _sensitive_of_classes(combinations, place, class_of, count) for place in range(len(combinations.sensitive))
        ),
    )


def classes_as_they_are(combinations: Combinations) -> Classes:
    """The classes if nothing is made coarser: each combination is one."""
    return classes_of(combinations, np.arange(len(combinations)), len(combinations))


def _sensitive_of_classes(combinations: Combinations, place: int, class_of: Codes, count: int) -> SensitiveCounts:
    sensitive = combinations.sensitive[place]
    size = max(1, len(sensitive.dictionary))
    if combinations.persons is None:
        keys = class_of[sensitive.combination] * size + sensitive.value
        distinct, counts = _sums_by_key(keys, sensitive.count, max(1, count) * size)
    else:
        pairs = combinations.sensitive_pairs[place]
        runs = _sorted_runs(
            [class_of[pairs.combination], pairs.value.astype(np.int64), pairs.person],
            [max(1, count), size, combinations.persons.count],
        )
        keys = (class_of[pairs.combination] * size + pairs.value)[runs.first_rows]
        distinct, counts = np.unique(keys, return_counts=True)
    return SensitiveCounts(
        sensitive.name,
        sensitive.dictionary,
        distinct // size,
        (distinct % size).astype(np.int32),
        counts.astype(np.int64),
    )


def _sums_by_key(keys: Codes, counts: Codes, size: int) -> tuple[Codes, Codes]:
    """The distinct keys, ascending, and the sum of the counts of each. Takes an upper bound of the keys.

    A table of all keys takes a third of the time of sorting, as long as it has not many more cells than there are keys.
    """
    if size <= _CELLS_PER_KEY * len(keys):
        sums = np.bincount(keys, counts, size).astype(np.int64)
        distinct = np.flatnonzero(sums)
        return distinct, sums[distinct]
    distinct, places = np.unique(keys, return_inverse=True)
    return distinct, np.bincount(places, counts, len(distinct)).astype(np.int64)


def _distinct_per_class(classes: Codes, persons: Codes, count: int, person_count: int) -> Codes:
    distinct, _ = _distinct_sorted([classes, persons], [max(1, count), max(1, person_count)])
    return np.bincount(distinct, minlength=count).astype(np.int64)


def _person_pairs(combination_of: Codes, persons: Codes, count: int, person_count: int) -> PersonPairs:
    combination, person = _distinct_sorted([combination_of, persons], [max(1, count), max(1, person_count)])
    return PersonPairs(combination, person, person_count)


def _sensitive_pairs(
    combination_of: Codes, count: int, values: Codes, persons: Codes, size: int, person_count: int
) -> SensitivePairs:
    combination, value, person = _distinct_sorted(
        [combination_of, values, persons], [max(1, count), max(1, size), max(1, person_count)]
    )
    return SensitivePairs(combination, value.astype(np.int32), person)


def _sensitive_counts(
    name: str,
    dictionary: pa.Array,
    combination_of: Codes,
    count: int,
    values: Codes,
    persons: Codes | None,
    counts: Codes,
    person_count: int,
) -> SensitiveCounts:
    size = max(1, len(dictionary))
    keys = combination_of * size + values
    if persons is not None:
        keys, _ = _distinct_sorted([keys, persons], [max(1, count) * size, max(1, person_count)])
        counts = np.ones(len(keys), np.int64)
    distinct, places = np.unique(keys, return_inverse=True)
    totals = np.bincount(places, counts, len(distinct)).astype(np.int64)
    return SensitiveCounts(name, dictionary, distinct // size, (distinct % size).astype(np.int32), totals)


def _as_encodable(values: pa.Array) -> pa.Array:
    """The same values in a type of which Arrow can find the distinct values."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    return values.cast(pa.float32()) if pa.types.is_float16(values.type) else as_takeable(values)


@dataclass(frozen=True, eq=False)
class _Runs:
    """Rows grouped by equal values, the groups in ascending order."""

    run_of: Codes
    """The group of each row."""
    first_rows: Codes
    """A row of each group."""

    @property
    def count(self) -> int:
        return len(self.first_rows)


def _sorted_runs(columns: Sequence[Codes], sizes: Sequence[int], rows: int = 0) -> _Runs:
    """The groups of rows with equal codes, in lexicographic order. Takes an upper bound of each column's codes.

    Without columns, all of the given number of rows are equal.
    """
    if not columns:
        return _Runs(np.zeros(rows, np.int64), np.zeros(min(1, rows), np.int64))
    words = _KeyLayout.for_sizes(sizes).pack(columns)
    order = _sorting_order(words)
    starts = _run_starts(_take_rows(words, order))
    first = np.flatnonzero(starts)
    run_of = np.empty(len(words), np.int64)
    run_of[order] = np.cumsum(starts) - 1
    return _Runs(run_of, order[first])


def _distinct_sorted(columns: Sequence[Codes], sizes: Sequence[int]) -> list[Codes]:
    """The distinct rows of codes, in lexicographic order. Takes an upper bound of each column's codes."""
    layout = _KeyLayout.for_sizes(sizes)
    words, _ = _count_equal(layout.pack(columns), None)
    return layout.unpack(words)


class _CombinationCodes:
    """Assigns the codes 0, 1, 2 … to rows of codes, in the order of their first occurrence.

    Each layer packs the code of the columns before and as many further columns as fit into one number, and looks it up.
    """

    def __init__(self, columns: int) -> None:
        self._sizes = [1] * columns
        self._layers: list[tuple[list[int], _KeyLayout, IntegerDictionary]] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def codes(self, columns: Sequence[Codes], sizes: Sequence[int], rows: int) -> Codes:
        """The code of each row. Takes the present size of each column's dictionary."""
        if not self._sizes:
            self._size = max(self._size, min(1, rows))
            return np.zeros(rows, np.int64)
        if not self._layers or any(size > limit for size, limit in zip(sizes, self._sizes, strict=True)):
            self._widen(sizes)
        return self._encode(columns)

    def columns(self) -> list[Codes]:
        """The codes of each column, by combination."""
        columns: list[Codes] = [np.empty(0, np.int64) for _ in self._sizes]
        prefix: Codes | None = None
        for places, layout, dictionary in reversed(self._layers):
            words = dictionary.values if prefix is None else dictionary.values[prefix]
            prefix, *column_codes = layout.unpack(words.view(np.uint64)[:, np.newaxis])
            for place, column in zip(places, column_codes, strict=True):
                columns[place] = column
        return columns

    def _encode(self, columns: Sequence[Codes]) -> Codes:
        codes = np.zeros(len(columns[0]), np.int64)
        for places, layout, dictionary in self._layers:
            words = layout.pack([codes, *(columns[place] for place in places)])
            codes = dictionary.codes(np.ascontiguousarray(words[:, 0]).view(np.int64))
        self._size = len(self._layers[-1][2])
        return codes

    def _widen(self, sizes: Sequence[int]) -> None:
        """Gives columns more bits, with room to grow. All combinations keep their codes."""
        known = self.columns()
        self._sizes = [limit if size <= limit else 4 * size for size, limit in zip(sizes, self._sizes, strict=True)]
        self._layers = []
        places: list[int] = []
        for place, size in enumerate(self._sizes):
            prefix_size = _MOST_COMBINATIONS if self._layers else 1
            layout = _KeyLayout.for_sizes([prefix_size, *(self._sizes[each] for each in places), size])
            if layout.words > 1:
                self._add_layer(places)
                places = []
            places.append(place)
        self._add_layer(places)
        if self._size:
            self._encode(known)

    def _add_layer(self, places: list[int]) -> None:
        prefix_size = _MOST_COMBINATIONS if self._layers else 1
        layout = _KeyLayout.for_sizes([prefix_size, *(self._sizes[place] for place in places)])
        self._layers.append((places, layout, IntegerDictionary()))


@dataclass(frozen=True)
class _KeyLayout:
    """The place of each column in words of 64 bits: the word, the shift, and the number of bits."""

    fields: tuple[tuple[int, int, int], ...]
    words: int

    @classmethod
    def for_sizes(cls, sizes: Sequence[int]) -> _KeyLayout:
        """The layout for codes below these sizes: earlier columns are in higher bits, so words sort as the columns do."""
        fields, word, free = [], 0, WORD_BITS
        for size in sizes:
            bits = max(1, (size - 1).bit_length())
            if bits > free:
                word, free = word + 1, WORD_BITS
            free -= bits
            fields.append((word, free, bits))
        return cls(tuple(fields), word + 1)

    def pack(self, columns: Sequence[Codes]) -> Words:
        """The words of each row, of shape (rows, words)."""
        words = np.zeros((len(columns[0]) if columns else 0, self.words), np.uint64, order="F")
        for column, (word, shift, _) in zip(columns, self.fields, strict=True):
            words[:, word] |= column.astype(np.uint64) << np.uint64(shift)
        return words

    def unpack(self, words: Words) -> list[Codes]:
        """The columns of packed rows."""
        masks = [np.uint64((1 << bits) - 1) for _, _, bits in self.fields]
        return [
            ((words[:, word] >> np.uint64(shift)) & mask).astype(np.int64)
            for (word, shift, _), mask in zip(self.fields, masks, strict=True)
        ]


def _sorting_order(words: Words) -> Codes:
    """The order that sorts rows of words. Equal rows are in no particular order.

    NumPy sorts single numbers ten times faster than `lexsort` sorts pairs: so the rank of the words before, and the next word,
    become one number.
    """
    order = np.argsort(words[:, 0])
    prefix = words[:, 0][order]
    for place in range(1, words.shape[1] if len(words) else 1):
        ranks = np.zeros(len(order), np.uint64)
        np.cumsum(prefix[1:] != prefix[:-1], out=ranks[1:])
        following, bits = _compact(words[:, place][order], WORD_BITS - int(ranks[-1]).bit_length())
        keys = (ranks << np.uint64(bits)) | following if bits < WORD_BITS else following
        within = np.argsort(keys)
        order, prefix = order[within], keys[within]
    return order


def _compact(values: Words, free: int) -> tuple[Words, int]:
    """The values without common low zero bits, or else their ranks, in so many bits; and the bits that they need."""
    used = int(np.bitwise_or.reduce(values))
    shift = max(0, (used & -used).bit_length() - 1)
    bits = (used >> shift).bit_length()
    if bits <= free:
        return values >> np.uint64(shift), bits
    distinct, ranks = np.unique(values, return_inverse=True)
    return ranks.astype(np.uint64), len(distinct).bit_length()


def _take_rows(words: Words, rows: Codes) -> Words:
    """Some rows. Each word is a column of its own in memory, which is taken faster than pairs are."""
    chosen = np.empty((len(rows), words.shape[1]), np.uint64, order="F")
    for place in range(words.shape[1]):
        chosen[:, place] = words[:, place][rows]
    return chosen


def _run_starts(ordered: Words) -> npt.NDArray[np.bool_]:
    """Whether each of the sorted rows differs from the one before."""
    starts = np.ones(len(ordered), np.bool_)
    if len(ordered):
        starts[1:] = np.any([column[1:] != column[:-1] for column in ordered.T], axis=0)
    return starts


@dataclass(frozen=True)
class _SpilledRows:
    """Sorted distinct rows in the spill file: their words, then their counts."""

    piece: SpilledPiece = field(repr=False)
    rows: int
    layout: _KeyLayout


class _DistinctRows:
    """The distinct rows of codes that were added, and the number of records of each."""

    def __init__(self, sizes: Sequence[int], space: SpillSpace = UNLIMITED_SPACE) -> None:
        self._sizes = list(sizes)
        self._layout = _KeyLayout.for_sizes(self._sizes)
        self._words: list[Words] = []
        self._counts: list[Codes] = []
        self._distinct = 0
        self._space, self._share = space, space.budget.share()
        self._spilled: list[_SpilledRows] = []

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes: the rows in memory. Raises TypeError if rows were spilled."""
        if self._spilled:
            raise TypeError("a spill file cannot be sent to another process")
        return {name: value for name, value in self.__dict__.items() if name != "_share"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._share = self._space.budget.share()

    @property
    def nbytes(self) -> int:
        return sum(words.nbytes + counts.nbytes for words, counts in zip(self._words, self._counts, strict=True))

    def add(self, columns: Sequence[Codes], counts: Codes | None, sizes: Sequence[int]) -> None:
        """Add rows with their counts (by default 1). Takes the present size of each column's dictionary."""
        if not columns or not len(columns[0]):
            return
        self._widen(sizes)
        words, sums = _count_equal(self._layout.pack(columns), counts)
        self._words.append(words)
        self._counts.append(sums)
        if sum(map(len, self._words)) > max(_MIN_PENDING, 2 * self._distinct):
            self._reduce()
        self._share.held = self.nbytes
        if self._share.is_full:
            self._reduce()
            if self.nbytes > self._share.most_bytes / 2:
                self._spill()
            self._share.held = self.nbytes

    def columns(self) -> tuple[list[Codes], Codes]:
        """The columns of the distinct rows, and the number of records of each."""
        self._reduce()
        merged = list(zip(self._words, self._counts, strict=True))
        for spilled in self._spilled:
            merged.append(self._load(spilled))
            while len(merged) > 1 and len(merged[-2][0]) <= 2 * len(merged[-1][0]):
                merged.append(_merged_rows(merged.pop(), merged.pop()))
        while len(merged) > 1:
            merged.append(_merged_rows(merged.pop(), merged.pop()))
        if not merged:
            return [np.empty(0, np.int64) for _ in self._sizes], np.empty(0, np.int64)
        words, counts = merged[0]
        return self._layout.unpack(words), counts

    def _widen(self, sizes: Sequence[int]) -> None:
        """Gives columns more bits, with room to grow, if their dictionaries have outgrown them."""
        if all(size <= self._capacity(place) for place, size in enumerate(sizes)):
            return
        self._sizes = [
            size if size <= self._capacity(place) else 4 * size
            for place, size in enumerate(map(max, sizes, self._sizes))
        ]
        earlier, self._layout = self._layout, _KeyLayout.for_sizes(self._sizes)
        self._words = [self._layout.pack(earlier.unpack(words)) for words in self._words]

    def _capacity(self, place: int) -> int:
        return 1 << self._layout.fields[place][2]

    def _spill(self) -> None:
        """Moves the rows in memory to the spill file."""
        for words, counts in zip(self._words, self._counts, strict=True):
            piece = self._space.spill_file.put(np.concatenate([words.reshape(-1), counts.view(np.uint64)]))
            self._spilled.append(_SpilledRows(piece, len(words), self._layout))
        self._words, self._counts, self._distinct = [], [], 0

    def _load(self, spilled: _SpilledRows) -> tuple[Words, Codes]:
        """Spilled rows in the present layout, which keeps their order."""
        content = np.frombuffer(self._space.spill_file.get(spilled.piece), np.uint64)
        words = content[: spilled.rows * spilled.layout.words].reshape(spilled.rows, spilled.layout.words)
        counts = content[spilled.rows * spilled.layout.words :].view(np.int64)
        return (words if spilled.layout == self._layout else self._layout.pack(spilled.layout.unpack(words))), counts

    def _reduce(self) -> None:
        if len(self._words) > 1:
            words, counts = _count_equal(np.concatenate(self._words), np.concatenate(self._counts))
            self._words, self._counts, self._distinct = [words], [counts], len(words)


def _merged_rows(first: tuple[Words, Codes], second: tuple[Words, Codes]) -> tuple[Words, Codes]:
    """The distinct rows of two sorted lists of them, sorted, and the sum of their counts."""
    return _count_equal(np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]]))


def _count_equal(words: Words, counts: Codes | None) -> tuple[Words, Codes]:
    """The distinct rows, sorted, and the sum of their counts."""
    if counts is None and words.shape[1] == 1:
        ordered = np.sort(words, axis=0)
        first = np.flatnonzero(_run_starts(ordered))
        return _take_rows(ordered, first), np.diff(first, append=len(ordered)).astype(np.int64)
    order = _sorting_order(words)
    ordered = _take_rows(words, order)
    first = np.flatnonzero(_run_starts(ordered))
    if counts is None:
        return _take_rows(ordered, first), np.diff(first, append=len(ordered)).astype(np.int64)
    return _take_rows(ordered, first), np.add.reduceat(counts[order], first) if len(first) else counts[:0]
