"""Views of a batch for an aggregate: small batches combined, records selected, records or list elements in groups.

What the subjects of each group contribute: how many there are, how many have a value of a field, and the rows and sums of
their values, each bounded by what one subject can contribute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.base import MeasureTally, SubjectTally, ValueBounds
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, MeasuredField, SubjectLimits
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.aggregates.distinct_subjects import NO_RANGE, DistinctSubjects, Pairs, SubjectCounts, WordRange, Words
from minimize.arrow.dictionaries import (
    Bools,
    Codes,
    decode_dictionary,
    has_null_entry,
    pack_codes,
    stored_type,
    unpack_codes,
)
from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.records import Batch
from minimize.spill import HashWords, SpillSpace


class BatchBuffer:
    """Buffer of batches, reduced to the columns that an aggregate reads."""

    def __init__(self, definition: AggregateDefinition) -> None:
        measured = [each.measure.of for each in definition.measures.values() if each.measure.of is not None]
        self._keys = frozenset([*(key.key for key in definition.keys.values()), *measured])
        self._elements = frozenset(key.key for key in definition.keys.values() if key.star is not None)
        nested = [Pointer.parse(key).top for key in self._keys if Pointer.parse(key).stars]
        self._columns = sorted({definition.counting.top, *nested})
        self._batches: list[Batch] = []
        self.rows = 0

    def add(self, batch: Batch) -> None:
        """Adds a batch."""
        self.rows += batch.raw.num_rows
        self._batches.append(
            Batch(
                batch.raw.select(self._columns),
                closed={key: mask for key, mask in batch.closed.items() if key in self._elements},
                released=self._cut(batch.released),
                measured=self._cut(batch.measured),
                ranks=self._cut(batch.ranks),
            )
        )

    def take(self) -> list[Batch]:
        """Removes and returns all batches, combined into one if possible."""
        batches, self._batches, self.rows = self._batches, [], 0
        try:
            return batches if len(batches) < 2 else [_combine_batches(batches)]
        except pa.ArrowException:
            return batches

    def _cut(self, leaves: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        return {key: leaf for key, leaf in leaves.items() if key in self._keys}


def split_batch(batch: Batch, definition: AggregateDefinition, rows: int) -> Iterator[Batch]:
    """The batch in slices of this number of rows; not divided if leaves are in lists. Slices share their dictionaries."""
    total = batch.raw.num_rows
    if total <= rows or not _is_flat(definition):
        yield from [batch] if total else []
        return
    for first in range(0, total, rows):
        yield Batch(
            batch.raw.slice(first, rows),
            released=_slice_leaves(batch.released, first, rows),
            measured=_slice_leaves(batch.measured, first, rows),
            ranks=_slice_leaves(batch.ranks, first, rows),
        )


def _slice_leaves(leaves: Mapping[str, pa.Array], first: int, rows: int) -> dict[str, pa.Array]:
    return {key: leaf.slice(first, rows) for key, leaf in leaves.items()}


def _is_flat(definition: AggregateDefinition) -> bool:
    measured = [each.star for each in definition.measures.values()]
    return not any([definition.star, *measured])


def _combine_batches(batches: Sequence[Batch]) -> Batch:
    names = batches[0].raw.schema.names
    raw = [_concatenate_arrays([batch.raw.column(name) for batch in batches]) for name in names]
    return Batch(
        pa.RecordBatch.from_arrays(raw, names=names),
        closed=_combine_closed(batches),
        released=_combine_leaves([batch.released for batch in batches]),
        measured=_combine_leaves([batch.measured for batch in batches]),
        ranks=_combine_leaves([batch.ranks for batch in batches]),
    )


def _combine_leaves(parts: Sequence[Mapping[str, pa.Array]]) -> dict[str, pa.Array]:
    return {key: _concatenate_arrays([leaves[key] for leaves in parts]) for key in parts[0]}


def _combine_closed(batches: Sequence[Batch]) -> dict[str, pa.Array]:
    """Combines the masks. A missing field has nothing closed in its batch."""
    keys = {key for batch in batches for key in batch.closed}
    return {key: _concatenate_arrays([_closed_mask(batch, key) for batch in batches]) for key in keys}


def _closed_mask(batch: Batch, key: str) -> pa.Array:
    closed = batch.closed.get(key)
    return pa.repeat(False, len(batch.released[key])) if closed is None else closed


def _concatenate_arrays(arrays: Sequence[pa.Array]) -> pa.Array:
    alike = len({array.type for array in arrays}) == 1 and not any(has_null_entry(array) for array in arrays)
    return pa.concat_arrays(arrays if alike else list(_decode_arrays(arrays)))


def _decode_arrays(arrays: Iterable[pa.Array]) -> Iterable[pa.Array]:
    for array in arrays:
        yield decode_dictionary(array).cast(stored_type(array.type))


@dataclass(frozen=True, slots=True)
class RowView:
    """Rows in groups: the group and the hash of the subject of each row, and the index of its value in a leaf.

    Without `places` there is one row per value.
    """

    groups: Codes
    subjects: HashWords
    places: Codes | None = None

    def values(self, values: pa.Array) -> pa.Array:
        """A leaf's values, one per row."""
        return values if self.places is None else values.take(pa.array(self.places))

    def select(self, rows: npt.NDArray[np.bool_]) -> RowView:
        """Some of the rows, without `places`: the caller has taken the values already."""
        kept = np.flatnonzero(rows)
        return RowView(self.groups.take(kept), self.subjects.take(kept, axis=0))


@dataclass(frozen=True, slots=True)
class BatchViews:
    """The views of one batch."""

    batch: Batch
    subjects: HashWords
    star: Pointer | None
    rows: RowView
    """Each record once in each of its groups."""
    elements: RowView | None
    """The elements of the list of the group keys."""
    outside: int
    """The number of records in no group, because their list has no element."""

    def view_for(self, star: Pointer | None) -> RowView:
        """The view for fields in this list, or (None) for fields of the record."""
        if star is None:
            return self.rows
        if star == self.star and self.elements is not None:
            return self.elements
        records = element_records(self.batch, star)
        return RowView(self.rows.groups[records], self.subjects[records])


def group_batch(
    definition: AggregateDefinition, groups: GroupDictionary, batch: Batch, subjects: HashWords
) -> BatchViews:
    """The views of a batch. New groups are added to the dictionary."""
    star, records = definition.star, batch.raw.num_rows
    if star is None:
        rows = RowView(_group_codes(definition, groups, batch, np.arange(records)), subjects)
        return BatchViews(batch=batch, subjects=subjects, star=None, rows=rows, elements=None, outside=0)
    of_element = element_records(batch, star)
    kept = np.flatnonzero(_open_elements(definition, batch, len(of_element)))
    owners = of_element[kept]
    codes = _group_codes(definition, groups, batch, owners, kept)
    record, group = unpack_codes(np.unique(pack_codes(owners, codes)))
    rows = RowView(group, subjects[record], record)
    outside = records - len(np.unique(record))
    return BatchViews(
        batch=batch,
        subjects=subjects,
        star=star,
        rows=rows,
        elements=RowView(codes, subjects[owners], kept),
        outside=outside,
    )


def element_records(batch: Batch, star: Pointer) -> Codes:
    """The record of each element of a list."""
    return np.asarray(row_indices(leaf(batch.raw, star), batch.raw.num_rows), np.int64)


def _group_codes(
    definition: AggregateDefinition,
    dictionary: GroupDictionary,
    batch: Batch,
    records: Codes,
    elements: Codes | None = None,
) -> Codes:
    columns = []
    for position, key in enumerate(definition.keys.values()):
        codes = dictionary.encode_key(position, batch.released[key.key])
        columns.append(codes[records if key.star is None or elements is None else elements])
    return dictionary.encode(columns, len(records))


def _open_elements(definition: AggregateDefinition, batch: Batch, elements: int) -> npt.NDArray[np.bool_]:
    """Elements with at least one key that the gate has not closed. The others are removed from the records too."""
    is_open = np.zeros(elements, np.bool_)
    for key in definition.keys.values():
        closed = batch.closed.get(key.key)
        if key.star is not None:
            is_open |= True if closed is None else ~closed.to_numpy(zero_copy_only=False)
    return is_open


def select_records(batch: Batch, mask: npt.NDArray[np.bool_]) -> Batch:
    """Some of the records of a batch, by a mask over them."""

    def rows(leaves: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        return {
            key: values.filter(pa.array(_selected_elements(batch.raw, key, mask))) for key, values in leaves.items()
        }

    return Batch(
        batch.raw.filter(pa.array(mask)),
        closed=rows(batch.closed),
        cases=rows(batch.cases),
        released=rows(batch.released),
        measured=rows(batch.measured),
        ranks=rows(batch.ranks),
    )


def _selected_elements(raw: pa.RecordBatch, key: str, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask over the values of a field: each value has the mask of its record."""
    pointer = Pointer.parse(key)
    return mask[row_indices(leaf(raw, pointer), raw.num_rows)] if pointer.stars else mask


_COUNT_BITS: Final = np.uint64(32)
"""Two counts of a pair share a word."""
_COUNT_MASK: Final = np.uint64((1 << 32) - 1)
_NOTHING: Final = np.uint64(0)


@dataclass(frozen=True, slots=True)
class FieldRows:
    """The rows with a value of a field, and the values."""

    view: RowView
    values: pa.Array
    of_record: bool = True
    """Whether the rows are those of the records in their groups, perhaps without some."""
    has_value: Bools | None = None
    """The mask of these rows if some lack a value."""

    def spread(self, column: npt.NDArray[Any], absent: Any) -> npt.NDArray[Any]:
        """A column of the rows with a value as one of all rows of the records."""
        if self.has_value is None:
            return column
        whole = np.full(len(self.has_value), absent, column.dtype)
        whole[self.has_value] = column
        return whole


@dataclass(frozen=True, slots=True)
class FieldTotals:
    """Bounded totals of a field for each group: the number of values, and the sum of their distances from the middle of the
    bounds in half units."""

    values: Codes
    centred: Codes


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """Bounded totals of each group."""

    subjects: Codes
    """The number of distinct subjects."""
    with_value: Mapping[MeasuredField, Codes]
    """The number of distinct subjects with a value of each field."""
    rows: Codes
    """The number of rows."""
    fields: Mapping[MeasuredField, FieldTotals]
    """The totals of each field with bounds."""
    most: int
    """The largest number of rows, or of values of a field, of one subject in one group."""


class Contributors:
    """Passes the rows of an aggregate to `DistinctSubjects`, which counts.

    Takes the tallies of all measures, the fields, the bounds of those that are summed, and those whose values are counted for
    each subject, as its rows are (None: neither rows nor values are counted or summed).
    """

    def __init__(
        self,
        tallies: Mapping[BoundMeasure, MeasureTally],
        fields: Iterable[MeasuredField],
        bounds: Mapping[MeasuredField, ValueBounds],
        space: SpillSpace,
        counted: Iterable[MeasuredField] | None = None,
    ) -> None:
        self._bounds = {} if counted is None else dict(bounds)
        self._counts: dict[MeasuredField | None, int] = {}
        if counted is not None:
            counts = dict.fromkeys([None, *self._bounds, *counted])
            self._counts = {field: place for place, field in enumerate(counts)}
        words = -(-len(self._counts) // 2)
        self._sums = {field: place for place, field in enumerate(self._bounds, words)}
        self._fields = {field: fact for fact, field in enumerate(fields)}
        self._asking: list[tuple[MeasuredField | None, SubjectTally, int, int]] = []
        facts, ranges = len(self._fields), 0
        for bound_measure, tally in tallies.items():
            if isinstance(tally, SubjectTally):
                self._asking.append((bound_measure.measured_field, tally, facts, ranges))
                facts, ranges = facts + tally.facts, ranges + tally.ranges
        self.subjects = DistinctSubjects(space, facts, ranges, words + len(self._sums))
        self._facts, self._ranges = facts, ranges
        for _, asking, first_fact, first_range in self._asking:
            asking.bind(SubjectCounts(self.subjects, first_fact, first_range))

    def add(self, rows: RowView, valued: Mapping[MeasuredField, FieldRows]) -> None:
        """Adds the rows of records in their groups. Takes the rows with a value of each field."""
        facts: list[Bools | None] = [None] * self._facts
        ranges: list[WordRange] = [NO_RANGE] * self._ranges
        sums = self._one_row(None)
        for measured, field_rows in valued.items():
            described, words = self._describe(measured, field_rows)
            summands = self._summands(measured, field_rows.values)
            if field_rows.of_record:
                facts[self._fields[measured]] = field_rows.has_value
                for fact, mask in described.items():
                    facts[fact] = field_rows.spread(mask, absent=False)
                for place, column in words.items():
                    ranges[place] = field_rows.spread(column, NO_RANGE[0]), field_rows.spread(column, NO_RANGE[1])
                sums = _added(sums, {place: field_rows.spread(column, _NOTHING) for place, column in summands.items()})
                continue
            nothing = np.zeros(len(rows.groups), np.bool_)
            for fact in (self._fields[measured], *described):
                facts[fact] = nothing
            self._add_elements(field_rows.view, {self._fields[measured]: None, **described}, words, summands)
        self.subjects.add(rows.groups, rows.subjects, facts, ranges, self._every_sum(sums))

    @property
    def fields(self) -> list[MeasuredField]:
        """The measured fields."""
        return list(self._fields)

    def with_value(self, groups: Codes, measured: MeasuredField) -> Codes:
        """The number of subjects of some groups that contribute a value of a field."""
        return self.subjects.count(groups, self._fields[measured])

    def totals(self, groups: int, limits: SubjectLimits) -> GroupTotals:
        """The totals of all groups. A subject with more rows or values than the limit counts as that many, with the same mean.

        Rows without a subject count nowhere.
        """
        totals = _Totals(groups, self._fields, self._counts, self._sums)
        for pairs in self.subjects.pairs():
            totals.add(pairs, limits.rows)
        return totals.result()

    def _describe(
        self, measured: MeasuredField, field_rows: FieldRows
    ) -> tuple[dict[int, Bools], dict[int, HashWords]]:
        """The facts and the ordered words that the measures of a field ask about, by their place."""
        facts, ranges = dict[int, Bools](), dict[int, HashWords]()
        for measured_field, tally, first_fact, first_range in self._asking:
            if measured_field == measured:
                masks, words = tally.describe(field_rows.values)
                facts |= dict(enumerate(masks, first_fact))
                ranges |= dict(enumerate(words, first_range))
        return facts, ranges

    def _one_row(self, counted: MeasuredField | None) -> dict[int, Words]:
        """What one row, or one value of a field, adds to the counts."""
        if counted not in self._counts:
            return {}
        word, half = divmod(self._counts[counted], 2)
        return {word: np.uint64(1) << _COUNT_BITS * np.uint64(half)}

    def _summands(self, measured: MeasuredField, values: pa.Array) -> dict[int, HashWords]:
        """What rows with a value of a field add to the sums, by their place; nothing if it is neither counted nor summed."""
        summands = {place: np.full(len(values), word) for place, word in self._one_row(measured).items()}
        if measured in self._sums:
            summands[self._sums[measured]] = self._bounds[measured].centred(values).view(np.uint64)
        return summands

    def _every_sum(self, sums: Mapping[int, Words]) -> list[Words]:
        return [sums.get(place, _NOTHING) for place in range(self.subjects.sums)]

    def _add_elements(
        self,
        view: RowView,
        facts: Mapping[int, Bools | None],
        words: Mapping[int, HashWords],
        sums: Mapping[int, HashWords],
    ) -> None:
        """Adds rows that have these facts and sums only."""
        nothing = np.zeros(len(view.groups), np.bool_)
        all_facts = [facts.get(fact, nothing) for fact in range(self._facts)]
        ranges: list[WordRange] = [NO_RANGE] * self._ranges
        for place, column in words.items():
            ranges[place] = column, column
        self.subjects.add(view.groups, view.subjects, all_facts, ranges, self._every_sum(sums))


def _added(sums: Mapping[int, Words], more: Mapping[int, HashWords]) -> dict[int, Words]:
    """Sums of the same places added up: two counts share a word."""
    return {**sums, **{place: column + sums.get(place, _NOTHING) for place, column in more.items()}}


@dataclass
class _Totals:
    """Totals of each group, added up over parts of the pairs. Fields have the number of a fact, counts (None: rows) the place of
    half a sum, sums that of a sum."""

    groups: int
    fields: Mapping[MeasuredField, int]
    counts: Mapping[MeasuredField | None, int]
    sums: Mapping[MeasuredField, int]
    _subjects: Codes = field(init=False)
    _with: dict[MeasuredField, Codes] = field(init=False)
    _counted: dict[MeasuredField | None, Codes] = field(init=False)
    _centred: dict[MeasuredField, Codes] = field(init=False)
    _most: int = 0

    def __post_init__(self) -> None:
        self._subjects = self._zeros()
        self._with = {each: self._zeros() for each in self.fields}
        self._counted = {each: self._zeros() for each in self.counts}
        self._centred = {each: self._zeros() for each in self.sums}

    def add(self, pairs: Pairs, limit: int) -> None:
        """Adds some pairs."""
        has_subject = pairs.has_subject
        owners = pairs.owners[has_subject]
        self._subjects += np.bincount(owners, minlength=self.groups)
        for measured_field, fact in self.fields.items():
            self._with[measured_field] += np.bincount(owners[~pairs.lacks(fact)[has_subject]], minlength=self.groups)
        for counted, place in self.counts.items():
            word, half = divmod(place, 2)
            count = (pairs.sum(word)[has_subject] >> _COUNT_BITS * np.uint64(half) & _COUNT_MASK).astype(np.int64)
            self._most = max(self._most, int(count.max(initial=0)))
            np.add.at(self._counted[counted], owners, np.minimum(count, limit))
            if counted is not None and counted in self.sums:
                sums = pairs.sum(self.sums[counted])[has_subject].view(np.int64)
                np.add.at(self._centred[counted], owners, _limited(sums, count, limit))

    def result(self) -> GroupTotals:
        """The totals."""
        fields = {field: FieldTotals(self._counted[field], centred) for field, centred in self._centred.items()}
        rows = self._counted.get(None, self._zeros())
        return GroupTotals(self._subjects, self._with, rows, fields, self._most)

    def _zeros(self) -> Codes:
        return np.zeros(self.groups, np.int64)


def _limited(sums: Codes, counts: Codes, limit: int) -> Codes:
    """The sums of subjects with more values than the limit as those of so many values, without the fraction."""
    many = np.flatnonzero(counts > limit)
    if not many.size:
        return sums
    limited, value_counts = sums.copy(), counts[many]
    whole, remainders = np.divmod(np.abs(sums[many]), value_counts)
    limited[many] = np.sign(sums[many]) * (whole * limit + remainders * limit // value_counts)
    return limited
