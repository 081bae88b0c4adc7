"""Tally of one aggregate: batches in, one table without small groups out; and tallies by event day for a late window.

Small groups are suppressed: rows whose groups may still be suppressed, and statistics of one table that disclose a small group by
difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import DigestedTally, MeasureTally, ValueBounds, not_nan
from minimize.aggregates.batch_views import (
    BatchBuffer,
    BatchViews,
    Contributors,
    FieldRows,
    GroupTotals,
    group_batch,
    select_records,
    split_batch,
)
from minimize.aggregates.cells import CellMeasure
from minimize.aggregates.definition import (
    AggregateDefinition,
    BoundMeasure,
    EventDays,
    LateWindow,
    MeasuredField,
    definition_faults,
    innermost_list,
)
from minimize.aggregates.dictionaries import GroupDictionary
from minimize.aggregates.exact_sums import GroupSums
from minimize.aggregates.noise import DateRelease, NoiseKey, RowNoise, group_hashes, row_identities
from minimize.aggregates.noisy_figures import NoisyRows
from minimize.arrow.dictionaries import Bools, Codes, valid_mask
from minimize.arrow.hashing import SPREAD_FACTOR
from minimize.arrow.nested import leaf
from minimize.errors import PolicyError
from minimize.identifiers import canonical_column
from minimize.records import Batch
from minimize.spill import UNLIMITED_SPACE, Accumulator, HashedRows, SpillSpace, ValueHasher
from minimize.times import EPOCH

LargeGroups = Callable[[], npt.NDArray[np.bool_]]
"""Whether each group has enough subjects so far."""

_MAX_PENDING = 1 << 20
"""Pairs in memory."""


def has_enough_subjects(subjects: Codes, below: int) -> Bools:
    """The groups that may be published: those with at least `below` distinct subjects. All others are suppressed.

    >>> has_enough_subjects(np.array([9, 10, 11]), 10).tolist()
    [False, True, True]
    """
    return np.greater_equal(subjects, below)


class PendingRecords:
    """Pairs of a record (a number of its own) and a group, of records of which no group has enough subjects so far."""

    def __init__(self, space: SpillSpace) -> None:
        self._records: Codes = np.empty(0, np.int64)
        self._groups: Codes = np.empty(0, np.int64)
        self._next = 0
        self._rows = Accumulator(space, width=2)

    def add(self, records: Codes, groups: Codes, large_groups: LargeGroups) -> None:
        """Adds the records of a batch, each once per group."""
        self._records = np.concatenate([self._records, records + self._next])
        self._groups = np.concatenate([self._groups, groups])
        self._next = int(self._records.max(initial=self._next - 1)) + 1
        if len(self._records) > _MAX_PENDING:
            self._put_aside(large_groups())

    def merge(self, records: Self, groups: Codes) -> None:
        """Merges others; `groups[i]` is the code here for their group i."""
        records._put_aside(np.zeros(len(groups), np.bool_))
        first = np.uint64(self._next * int(SPREAD_FACTOR) % (1 << 64))
        for rows in records._rows.settle():
            ours = groups[rows.words[:, 1].astype(np.int64)].astype(np.uint64)
            self._rows.add(HashedRows(np.column_stack([rows.words[:, 0] + first, ours])))
        self._next += records._next

    def count_lost(self, large: npt.NDArray[np.bool_]) -> int:
        """The number of records in no published group."""
        self._put_aside(large)
        return sum(_count_lost(rows, large) for rows in self._rows.settle())

    def _put_aside(self, large: npt.NDArray[np.bool_]) -> None:
        """Moves the pairs to the rows, without those of records that have a large group."""
        records = self._records - self._records.min(initial=self._next)
        decided = np.zeros(int(records.max(initial=-1)) + 1, np.bool_)
        decided[records[large[self._groups]]] = True
        kept = np.flatnonzero(~decided[records])
        keys = self._records[kept].astype(np.uint64) * SPREAD_FACTOR
        self._rows.add(HashedRows(np.column_stack([keys, self._groups[kept].astype(np.uint64)])))
        self._records = self._groups = np.empty(0, np.int64)


def _count_lost(rows: HashedRows, large: npt.NDArray[np.bool_]) -> int:
    """The number of records of a part in no published group. The pairs of a record are in one part, one after another."""
    if not len(rows):
        return 0
    records, groups = rows.words[:, 0], rows.words[:, 1].astype(np.int64)
    starts = np.flatnonzero(np.append(True, records[1:] != records[:-1]))
    return int((~np.logical_or.reduceat(large[groups], starts)).sum())


def additional_measures(definition: AggregateDefinition) -> Iterator[BoundMeasure]:
    """Measures that are tallied but not published by the table."""
    for kind in _cell_measures(definition):
        yield from kind.additional_measures(definition)


def suppressed_measures(
    definition: AggregateDefinition, tallies: Mapping[BoundMeasure, MeasureTally], groups: Codes
) -> Iterator[tuple[BoundMeasure, Bools]]:
    """Measures that become null in some of these groups, each with a mask over the groups."""
    below = max(definition.below, 1)
    for kind in _cell_measures(definition):
        yield from kind.suppressed_measures(definition, tallies, groups, below)


def _cell_measures(definition: AggregateDefinition) -> list[type[CellMeasure]]:
    """The classes of the cell measures of the same groups."""
    measures = (each.measure for each in definition.measures.values())
    return list(dict.fromkeys(type(measure) for measure in measures if isinstance(measure, CellMeasure)))


_ROWS_AT_ONCE = 1 << 18
"""Rows processed at once: the memory for it stays small and within the cache of the processor."""
_MIN_ROWS = 1 << 17
"""Buffered rows from which processing pays."""


@dataclass(frozen=True, slots=True)
class AggregateResult:
    """The table, and counts of the rows that it leaves out."""

    table: pa.Table
    rows_seen: int
    """Records; with a key below a list, pairs of a record and a group that it is in."""
    rows_suppressed: int
    """Rows of `rows_seen` in a suppressed group."""
    groups_suppressed: int
    """The number of suppressed groups."""
    records_lost: int
    """Records in no group of the table: all of their groups are suppressed, or the grouped list has no element (which is
    not in `rows_seen`); without a key below a list the same as `rows_suppressed`."""
    below_list: bool = False
    """Whether a key is below a list, so that a record may be in several groups."""
    rows: Codes = dataclass_field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)
    """The number of rows of each group of the table, not to be published."""
    groups_past: int = 0
    """Groups past their retention. The table does not contain them."""
    rows_past: int = 0
    """Rows of these groups."""
    most_of_subject: int = dataclass_field(default=0, repr=False, compare=False)
    """The largest number of rows, or of values of a field, of one subject in one group; 0 if they are not counted."""
    mark: str | None = None
    """What distinguishes releases of a date; None for exact statistics."""

    def within_retention(self, past: npt.NDArray[np.bool_]) -> AggregateResult:
        """The same without some groups that are past their retention."""
        if not past.any():
            return self
        rows, kept = int(self.rows[past].sum()), ~past
        return replace(
            self,
            table=self.table.filter(pa.array(kept)),
            records_lost=self.records_lost + (0 if self.below_list else rows),
            rows=self.rows[kept],
            groups_past=self.groups_past + int(past.sum()),
            rows_past=self.rows_past + rows,
        )

    def select_none(self) -> AggregateResult:
        """The same without groups: all rows count as suppressed."""
        rows = int(self.rows.sum())
        return replace(
            self,
            table=self.table.slice(0, 0),
            rows_suppressed=self.rows_suppressed + rows,
            groups_suppressed=self.groups_suppressed + len(self.rows),
            records_lost=self.records_lost + (0 if self.below_list else rows),
            rows=self.rows[:0],
        )


_SUBJECT_DOMAIN: Final = 1
"""The domain of the hashes of subjects."""


class AggregateTally:
    """Tallies one aggregate within the memory budget of the run. Raises PolicyError with all faults of the definition."""

    def __init__(
        self,
        definition: AggregateDefinition,
        space: SpillSpace = UNLIMITED_SPACE,
        groups: GroupDictionary | None = None,
        hasher: ValueHasher | None = None,
    ) -> None:
        """Takes the spill space, the groups that it shares with tallies of other threads, and the keyed hash of subjects and
        values for statistics with noise (None: a hash of the spill space)."""
        wrong = definition_faults(definition)
        if wrong:
            raise PolicyError(f"the definition of the aggregate {definition.name} has faults", findings=wrong)
        self._definition = definition
        self._gathered = BatchBuffer(definition)
        self._groups = GroupDictionary.for_definition(definition) if groups is None else groups
        self._rows = GroupSums()
        space = space if hasher is None else space.with_hasher(hasher)
        self._hasher = space.hasher
        self._mark = self._hasher.mark
        measured = [
            bound_measure
            for bound_measure in sorted(
                set(definition.measures.values()), key=lambda bound_measure: bound_measure.meaning
            )
            if not definition.counts_subjects(bound_measure)
        ]
        self._measures = dict(_start_tallies(definition, measured, space))
        fields = dict.fromkeys(each.measured_field for each in [*measured, *self._measures] if each.measured_field)
        self._contributors = Contributors(
            self._measures,
            fields,
            dict(_summed_fields(measured)),
            space,
            None if definition.noise is None else _counted_fields(measured),
        )
        self._undecided = PendingRecords(space)
        self._outside = 0

    @property
    def has_noise(self) -> bool:
        """Whether its statistics have noise."""
        return self._definition.noise is not None

    @property
    def meaning(self) -> str:
        """What its statistics are."""
        return self._definition.meaning

    def observe(self, batch: Batch) -> None:
        """Adds one batch after its values were released: leaves in `released`, `measured`, `ranks`; subjects in `raw`."""
        self._gathered.add(batch)
        if self._gathered.rows >= _MIN_ROWS:
            self._work_off()

    def merge(self, tally: Self) -> None:
        """Merges another tally of the same definition. Raises ValueError if it hashed subjects under another key."""
        if self._mark != tally._mark:
            raise ValueError("the tallies have different keys")
        self._work_off()
        tally._work_off()
        groups = self._groups.merge(tally._groups)
        self._outside += tally._outside
        self._rows.merge(tally._rows, groups)
        self._contributors.subjects.merge(tally._contributors.subjects, groups)
        self._undecided.merge(tally._undecided, groups)
        for bound_measure, measure_tally in tally._measures.items():
            self._measures[bound_measure].merge(measure_tally, groups)

    def contributions(self) -> tuple[Codes, int]:
        """The number of distinct subjects of each group, also of small ones, and the largest number of rows, or of values of a
        field, of one subject in one group (0 if they are not counted). Not to be published."""
        self._work_off()
        totals = self._contributors.totals(len(self._groups), self._definition.limits)
        return totals.subjects, totals.most

    def digest(self, key: NoiseKey) -> bytes:
        """A digest of all that statistics are made of, independent of the order and the division of the rows.

        Raises ValueError if subjects were hashed under another key: their noise would be new in each run.
        """
        if key.hasher.mark != self._mark:
            raise ValueError("the tally has another key than its noise")
        self._work_off()
        group_codes = np.arange(len(self._groups))
        columns = dict(zip(self._definition.keys, self._groups.columns(group_codes), strict=True))
        groups = group_hashes(self._definition, columns, key)
        parts = [self._contributors.subjects.digest(groups)]
        parts += [tally.digest(groups, key) for tally in self._measures.values() if isinstance(tally, DigestedTally)]
        return b"".join(parts)

    def settle(self, noise: tuple[NoiseKey, DateRelease] | None = None) -> AggregateResult:
        """The table of the published groups, ordered by their keys, nulls last. It takes no rows afterwards.

        Takes the key and the release, if its statistics have noise.
        """
        self._work_off()
        table, groups, most = self._exact_table() if noise is None else self._noisy_table(*noise)
        published = np.zeros(len(self._groups), np.bool_)
        published[groups] = True
        keys = [(name, "ascending") for name in self._definition.keys]
        if keys:
            order = pc.sort_indices(table.select(list(self._definition.keys)), sort_keys=keys)
            table, groups = table.take(order), groups[order.to_numpy()]
        rows = self._rows.select(np.arange(len(self._groups)))
        row_count, suppressed = int(rows.sum()), int(rows[~published].sum())
        lost = suppressed if self._definition.star is None else self._undecided.count_lost(published) + self._outside
        return AggregateResult(
            table=table.combine_chunks(),
            rows_seen=row_count,
            rows_suppressed=suppressed,
            groups_suppressed=int((~published).sum()),
            records_lost=lost,
            below_list=self._definition.star is not None,
            rows=rows[groups],
            most_of_subject=most,
            mark=None if noise is None else noise[1].mark,
        )

    def _exact_table(self) -> tuple[pa.Table, Codes, int]:
        """The exact statistics, the groups of the rows, and 0."""
        groups = np.flatnonzero(self._large_groups())
        return self._table(groups), groups, 0

    def _noisy_table(self, key: NoiseKey, release: DateRelease) -> tuple[pa.Table, Codes, int]:
        """The statistics with noise, the groups of the rows, and the largest number of rows of one subject."""
        definition = self._definition
        totals: GroupTotals = self._contributors.totals(len(self._groups), definition.limits)
        groups = np.flatnonzero(has_enough_subjects(totals.subjects, definition.below))
        columns = dict(zip(definition.keys, self._groups.columns(groups), strict=True))
        assert definition.noise is not None
        identities, hashes = (
            hashed(definition, columns, key)[: len(groups)] for hashed in (row_identities, group_hashes)
        )
        noise = RowNoise(key, definition.noise, release, identities, hashes)
        rows = NoisyRows.of_groups(definition, groups, totals, noise)
        figures = [self._noisy_column(each, rows) for each in definition.measures.values()]
        typed_columns = zip([*self._groups.columns(rows.groups), *figures], definition.schema.types, strict=True)
        return (
            pa.table([column.cast(type_) for column, type_ in typed_columns], schema=definition.schema),
            rows.groups,
            totals.most,
        )

    def _noisy_column(self, bound_measure: BoundMeasure, rows: NoisyRows) -> pa.Array:
        if self._definition.counts_subjects(bound_measure):
            return pa.array(rows.subjects)
        tally = self._measures.get(_tally_measure(bound_measure))
        return bound_measure.measure.noisy_column(rows, bound_measure, tally)

    def __getstate__(self) -> dict[str, Any]:
        """State for other processes, without buffered batches and without the key of the hashes. It can only be merged."""
        self._work_off()
        return {**self.__dict__, "_hasher": None}

    def _large_groups(self) -> npt.NDArray[np.bool_]:
        return has_enough_subjects(
            self._contributors.subjects.count(np.arange(len(self._groups))), self._definition.below
        )

    def _work_off(self) -> None:
        for batch in self._gathered.take():
            for part in split_batch(batch, self._definition, _ROWS_AT_ONCE):
                self._observe(part)

    def _observe(self, batch: Batch) -> None:
        subjects = self._hasher(
            canonical_column(leaf(batch.raw, self._definition.counting).values, fold=self._definition.folds),
            _SUBJECT_DOMAIN,
        )
        views = group_batch(self._definition, self._groups, batch, subjects)
        self._outside += views.outside
        self._rows.count(views.rows.groups)
        valued: dict[MeasuredField, FieldRows] = {}
        for field, tallies in self._by_field():
            field_rows = _field_rows(views, field, without_nan=self.has_noise)
            for tally in tallies:
                tally.observe(field_rows.view.groups, field_rows.values, field_rows.view.subjects)
            if field is not None:
                valued[field] = field_rows
        self._contributors.add(views.rows, valued)
        if views.rows.places is not None:
            self._undecided.add(views.rows.places, views.rows.groups, self._large_groups)

    def _table(self, groups: Codes) -> pa.Table:
        """The columns of the published groups. Nothing is computed for other groups."""
        few: dict[BoundMeasure, npt.NDArray[np.bool_]] = {}
        for bound_measure, mask in suppressed_measures(self._definition, self._measures, groups):
            few[bound_measure] = few.get(bound_measure, np.zeros(len(groups), np.bool_)) | mask
        measures = []
        for bound_measure in self._definition.measures.values():
            column = self._column(bound_measure, groups)
            if bound_measure in few:
                column = pc.if_else(pa.array(few[bound_measure]), pa.nulls(len(groups), column.type), column)
            measures.append(column)
        schema = self._definition.schema
        columns = zip([*self._groups.columns(groups), *measures], schema.types, strict=True)
        return pa.table([column.cast(type_) for column, type_ in columns], schema=schema)

    def _column(self, bound_measure: BoundMeasure, groups: Codes) -> pa.Array:
        if self._definition.counts_subjects(bound_measure):
            return pa.array(self._definition.terms_of(bound_measure).rounded(self._contributors.subjects.count(groups)))
        tally = bound_measure.measure.adapt_tally(self._measures[_tally_measure(bound_measure)])
        values, field = tally.settle(groups), bound_measure.measured_field
        if field is None:
            return values
        enough = has_enough_subjects(self._contributors.with_value(groups, field), self._definition.below)
        return pc.if_else(pa.array(enough), values, pa.nulls(len(groups), values.type))

    def _by_field(self) -> Iterator[tuple[MeasuredField | None, list[MeasureTally]]]:
        fields: dict[MeasuredField | None, list[MeasureTally]] = {each: [] for each in self._contributors.fields}
        for bound_measure, tally in self._measures.items():
            fields.setdefault(bound_measure.measured_field, []).append(tally)
        yield from fields.items()


def _tally_measure(bound_measure: BoundMeasure) -> BoundMeasure:
    """The measure whose tally settles a measure."""
    return replace(bound_measure, measure=bound_measure.measure.shared_measure)


def _start_tallies(
    definition: AggregateDefinition, measured: Iterable[BoundMeasure], space: SpillSpace
) -> Iterator[tuple[BoundMeasure, MeasureTally]]:
    """The tallies of measures. With noise, the totals of the groups suffice for some."""
    if definition.noise is not None:
        for bound_measure in dict.fromkeys(map(_tally_measure, measured)):
            tally = bound_measure.measure.start_noisy(
                bound_measure.plain, replace(definition.terms_of(bound_measure), space=space)
            )
            if tally is not None:
                yield bound_measure, tally
        return
    for bound_measure in dict.fromkeys([*map(_tally_measure, measured), *additional_measures(definition)]):
        yield (
            bound_measure,
            bound_measure.measure.start(bound_measure.plain, replace(definition.terms_of(bound_measure), space=space)),
        )


def _summed_fields(measured: Iterable[BoundMeasure]) -> Iterator[tuple[MeasuredField, ValueBounds]]:
    for bound_measure in measured:
        if (
            bound_measure.measure.sums_values
            and bound_measure.measured_field is not None
            and bound_measure.bounds is not None
        ):
            yield bound_measure.measured_field, bound_measure.bounds


def _counted_fields(measured: Iterable[BoundMeasure]) -> Iterator[MeasuredField]:
    for bound_measure in measured:
        if bound_measure.measure.depends_on_rows and bound_measure.measured_field is not None:
            yield bound_measure.measured_field


def settle_tables(
    tallies: Mapping[str, AggregateTally], key: NoiseKey | None, date: str | None
) -> dict[str, AggregateResult]:
    """The tables of a date that are settled together: those with noise are one release. Takes the key of noise.

    Raises ValueError if a table has noise and there is no key.
    """
    noisy = {name: tally for name, tally in tallies.items() if tally.has_noise}
    if noisy and key is None:
        raise ValueError("statistics with noise need a key")
    digests = [(tally.meaning, tally.digest(key)) for tally in noisy.values() if key is not None]
    release = None if key is None else DateRelease.of(key, date, digests)
    return {
        name: tally.settle((key, release) if name in noisy and key is not None and release is not None else None)
        for name, tally in tallies.items()
    }


def _field_rows(views: BatchViews, field: MeasuredField | None, *, without_nan: bool) -> FieldRows:
    """The rows with a value of a field; of statistics with noise, NaN is no value."""
    if field is None:
        return FieldRows(views.rows, pa.nulls(len(views.rows.groups)))
    key, by_rank = field
    batch = views.batch
    leaves = batch.measured if key in batch.measured else batch.released
    leaves = batch.ranks if by_rank and key in batch.ranks else leaves
    view = views.view_for(innermost_list(key))
    values = view.values(leaves[key])
    has_value, numbers = valid_mask(values), not_nan(values) if without_nan else None
    if numbers is not None:
        has_value = numbers if has_value is None else has_value & numbers
    of_record = view is views.rows
    if has_value is None:
        return FieldRows(view, values, of_record)
    return FieldRows(
        view.select(has_value), values.filter(pa.array(has_value)), of_record, has_value if of_record else None
    )


_EPOCH_DAY: Final = EPOCH.toordinal()
_NO_DAY: Final = np.iinfo(np.int32).min


class EventDayTally:
    """Counts the rows of one batch by event day, and tallies the rows of the days to tally.

    rows    number of rows per event day within the window
    before  rows of days before the window, and rows without a day
    after   rows of days after the window
    days    the tally of each day to tally
    """

    def __init__(
        self,
        definition: AggregateDefinition,
        lateness: LateWindow,
        reach: EventDays,
        space: SpillSpace = UNLIMITED_SPACE,
        groups: Mapping[date, GroupDictionary] | None = None,
        hasher: ValueHasher | None = None,
    ) -> None:
        self._lateness, self._reach = lateness, reach
        self.rows: Counter[date] = Counter()
        self.before = self.after = 0
        books = groups or {}
        self.days = {day: AggregateTally(definition, space, books.get(day), hasher) for day in sorted(reach.tallied)}

    def observe(self, batch: Batch) -> None:
        """Adds one batch after its values were released."""
        numbers = _day_numbers(self._lateness.day_of(batch.released[self._lateness.time]))
        first, last = _day_number(self._reach.first), _day_number(self._reach.last)
        self.before += int((numbers < first).sum())
        self.after += int((numbers > last).sum())
        inside = numbers[(numbers >= first) & (numbers <= last)]
        for offset in np.flatnonzero(np.bincount(inside - first)).tolist() if inside.size else ():
            self._observe(batch, numbers == first + offset, _date_of(first + offset))

    def merge(self, tally: Self) -> None:
        """Merges another tally of the same batch."""
        self.rows.update(tally.rows)
        self.before += tally.before
        self.after += tally.after
        for day, day_tally in tally.days.items():
            self.days[day].merge(day_tally)

    def _observe(self, batch: Batch, mask: npt.NDArray[np.bool_], day: date) -> None:
        self.rows[day] += int(mask.sum())
        if day in self.days:
            self.days[day].observe(batch if mask.all() else select_records(batch, mask))


def _day_numbers(days: pa.Array) -> npt.NDArray[np.int32]:
    """Days as integers. A missing day is before all others."""
    filled = days.cast(pa.int32()).fill_null(_NO_DAY)
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.int32)


def _day_number(day: date) -> int:
    return day.toordinal() - _EPOCH_DAY


def _date_of(number: int) -> date:
    return date.fromordinal(number + _EPOCH_DAY)
