"""Tally of one aggregate: batches in, one table out, small groups absent; with the records that may still be suppressed.

The result depends neither on how the records were cut into batches nor on their order.

With a key below a list a record is in several groups, and it is lost only if all of them are absent. A group that has enough
subjects keeps them, so that a record in it need not be remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import MeasureTally, MeasureTerms, SpillableTally
from minimize.aggregates.batch_views import BatchBuffer, BatchViews, RowView, group_batch, split_batch, valid_values
from minimize.aggregates.complementary_suppression import additional_measures, suppressed_measures
from minimize.aggregates.contribution_sketches import (
    CellSketches,
    ContributionSketches,
    Entries,
    FigureKind,
    hash_values,
    publishes_cells,
)
from minimize.aggregates.count import Count, CountTally
from minimize.aggregates.definition import (
    AggregateDefinition,
    BoundMeasure,
    definition_faults,
    innermost_list,
)
from minimize.aggregates.dictionaries import GroupDictionary, SubjectDictionary
from minimize.aggregates.distinct_counts import Contributors, MeasuredField
from minimize.aggregates.memory import SpillState
from minimize.arrow.batch import Batch
from minimize.arrow.codes import Codes
from minimize.arrow.nested import leaf
from minimize.errors import PolicyError
from minimize.identifiers import canonical_column
from minimize.spill import Accumulator, HashedRows, HashWords, SpillSpace, ValueHasher

LargeGroups = Callable[[], npt.NDArray[np.bool_]]
"""Whether each group has enough subjects by now."""

_MIN_PENDING = 1 << 18
_RECORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""An odd number: records times it differ, and spread over all partitions."""


class PendingRecords:
    """Pairs of a record (a number of its own) and a group that is still too small."""

    def __init__(self) -> None:
        self._records: Codes = np.empty(0, np.int64)
        self._groups: Codes = np.empty(0, np.int64)
        self._next = 0
        self._limit = _MIN_PENDING
        self._gone = 0
        self._beyond: Accumulator | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that could be set aside."""
        return int(self._records.nbytes + self._groups.nbytes)

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Sets all pairs aside; records that come are others."""
        if len(self._records):
            records = (self._records + self._gone).astype(np.uint64) * _RECORD_FACTOR
            self._put(space, np.column_stack([records, self._groups.astype(np.uint64)]))
        self._gone += self._next
        self._records = self._groups = np.empty(0, np.int64)
        self._next = 0

    def add(self, records: Codes, groups: Codes, large_groups: LargeGroups) -> None:
        """Takes the records of a batch in, each once per group."""
        self._records = np.concatenate([self._records, records + self._next])
        self._groups = np.concatenate([self._groups, groups])
        self._next = int(self._records.max(initial=self._next - 1)) + 1
        if len(self._records) > self._limit:
            self._forget(large_groups())
            self._limit = max(_MIN_PENDING, 2 * len(self._records))

    def merge(self, other: Self, groups: Codes, large_groups: LargeGroups) -> None:
        """Takes others in; `groups[i]` is our code for their group i."""
        self.add(other._records, groups[other._groups], large_groups)
        if other._beyond is not None:
            for rows in other._beyond.settle():
                records = rows.words[:, 0] + np.uint64(self._gone * int(_RECORD_FACTOR) % (1 << 64))
                ours = groups[rows.words[:, 1].astype(np.int64)]
                self._put(other._beyond.aside, np.column_stack([records, ours.astype(np.uint64)]))
        self._gone += other._gone

    def count_lost(self, large: npt.NDArray[np.bool_]) -> int:
        """How many records are in no group that stands."""
        self._forget(large)
        parts = () if self._beyond is None else self._beyond.settle()
        return len(np.unique(self._records)) + sum(_count_lost(rows, large) for rows in parts)

    def _put(self, space: SpillSpace, words: HashWords) -> None:
        self._beyond = self._beyond or Accumulator(space, width=2)
        self._beyond.add(HashedRows(words))

    def _forget(self, large: npt.NDArray[np.bool_]) -> None:
        decided = np.zeros(self._next, np.bool_)
        decided[self._records[large[self._groups]]] = True
        left = ~decided[self._records]
        self._groups = self._groups[left]
        self._records = np.unique(self._records[left], return_inverse=True)[1].astype(np.int64)
        self._next = int(self._records.max(initial=-1)) + 1


def _count_lost(rows: HashedRows, large: npt.NDArray[np.bool_]) -> int:
    """How many records of a part are in no group that stands. The pairs of a record are in one part, side by side."""
    if not len(rows):
        return 0
    records, groups = rows.words[:, 0], rows.words[:, 1].astype(np.int64)
    starts = np.flatnonzero(np.append(True, records[1:] != records[:-1]))
    return int((~np.logical_or.reduceat(large[groups], starts)).sum())


log = logging.getLogger("minimize")
_ROWS_AT_ONCE = 1 << 18
"""So many rows are worked off at once: what that takes stays small, and near the processor."""
_MIN_ROWS = 1 << 17
"""So many rows are worth working off."""


@dataclass(frozen=True, slots=True)
class AggregateResult:
    """The table, and what was left out of it.

    rows_seen          records; with a key below a list, pairs of a record and a group that it is in
    rows_suppressed    those of `rows_seen` that are in an absent group
    groups_suppressed  the absent groups
    records_lost       records that are in no group of the table: all of theirs are absent, or the list that is grouped by has no
                       element (which is not in `rows_seen`); without a key below a list the same as `rows_suppressed`
    groups_past        groups that are past their retention, with `rows_past` rows; they are absent, too
    deferred           rows whose new figures are not published, because earlier ones would tell of few subjects by difference
    below_list         whether a key is below a list, so that a record may be in several groups
    rows               the rows behind each row of the table; with `subjects` and `sketches`, not to be published
    subjects           the distinct subjects of each row of the table
    sketches           per kind of figure the contribution sketch of each row of the table; empty without a key for them
    """

    table: pa.Table
    rows_seen: int
    rows_suppressed: int
    groups_suppressed: int
    records_lost: int
    deferred: int = 0
    below_list: bool = False
    rows: Codes = dataclass_field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)
    subjects: Codes = dataclass_field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)
    sketches: Mapping[FigureKind, Entries] = dataclass_field(default_factory=dict, repr=False, compare=False)
    groups_past: int = 0
    rows_past: int = 0

    def within_retention(self, past: npt.NDArray[np.bool_]) -> AggregateResult:
        """The same without some groups, which are past their retention."""
        if not past.any():
            return self
        rows, kept = int(self.rows[past].sum()), ~past
        return replace(
            self,
            table=self.table.filter(pa.array(kept)),
            records_lost=self.records_lost + (0 if self.below_list else rows),
            rows=self.rows[kept],
            subjects=self.subjects[kept],
            sketches={kind: entries[kept] for kind, entries in self.sketches.items()},
            groups_past=self.groups_past + int(past.sum()),
            rows_past=self.rows_past + rows,
        )

    def select_none(self) -> AggregateResult:
        """The same with none of its groups."""
        return self.select_rows(self.table, np.zeros(self.table.num_rows, np.bool_), 0)

    def select_rows(self, table: pa.Table, mask: npt.NDArray[np.bool_], deferred: int) -> AggregateResult:
        """The same with another table of the same groups, some of its rows alone, and without what is not published.

        The others count as suppressed. A record of a withheld group below a list still counts as one that is in the table.
        """
        withheld, rows = int((~mask).sum()), int(self.rows[~mask].sum())
        return AggregateResult(
            table.filter(pa.array(mask)) if withheld else table,
            self.rows_seen,
            self.rows_suppressed + rows,
            self.groups_suppressed + withheld,
            self.records_lost + (0 if self.below_list else rows),
            deferred,
            groups_past=self.groups_past,
            rows_past=self.rows_past,
        )


class AggregateTally:
    """Tallies one aggregate, in as much memory as the run has for it. Raises PolicyError with all faults of the definition."""

    def __init__(
        self,
        definition: AggregateDefinition,
        space: SpillSpace | None = None,
        subjects: SubjectDictionary | None = None,
        groups: GroupDictionary | None = None,
        hasher: ValueHasher | None = None,
    ) -> None:
        """Takes the space beside memory, the subjects and groups that it shares with tallies of other threads, and the keyed
        hash for contribution sketches (None: no sketches are made)."""
        wrong = definition_faults(definition)
        if wrong:
            raise PolicyError(f"the aggregate {definition.name} cannot be made", findings=wrong)
        self._definition = definition
        self._gathered = BatchBuffer(definition)
        self._groups = GroupDictionary.for_definition(definition) if groups is None else groups
        self._subjects = (SubjectDictionary() if subjects is None else subjects).acquire()
        self._rows = CountTally(MeasureTerms())
        self._contributors = Contributors(_record_fields(definition))
        tallied = [_tally_measure(each) for each in definition.measures.values() if not self._is_counted(each)]
        tallied += additional_measures(definition)
        self._measures = {each: each.measure.start(each.plain, definition.terms_of(each)) for each in tallied}
        self._undecided = PendingRecords()
        self._outside = 0
        self._shelf = SpillState(SpillSpace(None) if space is None else space)
        self._hasher = hasher
        measured = [each for each in dict.fromkeys(definition.measures.values()) if not self._is_counted(each)]
        fields = (_measured_field(each) for each in measured if not publishes_cells(each))
        self._sketched: dict[MeasuredField | None, int] = {
            key: place for place, key in enumerate(dict.fromkeys([None, *fields]))
        }
        self._sketches = (
            None if hasher is None else ContributionSketches(len(self._sketched), definition.below, self._shelf.aside)
        )
        self._cells = (
            []
            if hasher is None
            else [CellSketches(each, definition.below, self._shelf.aside) for each in measured if publishes_cells(each)]
        )

    def observe(self, batch: Batch) -> None:
        """Takes one batch in, after its values were released: leaves in `released`, `measured`, `ranks`; subjects in `raw`."""
        self._gathered.add(batch)
        if self._gathered.rows >= _MIN_ROWS:
            self._work_off()

    def merge(self, other: Self) -> None:
        """Takes in what another tally of the same definition has seen."""
        self._work_off()
        other._work_off()
        groups, subjects = self._groups.merge(other._groups), self._subjects.merge(other._subjects)
        self._shelf.merge(other._shelf, groups)
        self._outside += other._outside
        self._rows.merge(other._rows, groups, subjects)
        self._contributors.merge(other._contributors, groups, subjects)
        if self._sketches is not None and other._sketches is not None:
            self._sketches.merge(other._sketches, groups)
        for mine, theirs in zip(self._cells, other._cells, strict=True):
            mine.merge(theirs, groups)
        self._undecided.merge(other._undecided, groups, self._large_groups_in_memory)
        for each, tally in other._measures.items():
            self._measures[each].merge(tally, groups, subjects)
        self._spill_excess()

    def settle(self) -> AggregateResult:
        """The table of the groups that stand, ordered by their keys, nulls last."""
        self._work_off()
        if self._shelf.used:
            self._set_aside()
        everyone = np.arange(len(self._groups))
        rows = self._rows.settle(everyone).to_numpy()
        standing = self._large_groups()
        groups = np.flatnonzero(standing)
        table = self._table(groups)
        keys = [(name, "ascending") for name in self._definition.keys]
        if keys:
            order = pc.sort_indices(table.select(list(self._definition.keys)), sort_keys=keys)
            table, groups = table.take(order), groups[order.to_numpy()]
        seen, suppressed = int(rows.sum()), int(rows[~standing].sum())
        table, sketches = self._sketched_table(table, groups)
        lost = suppressed if self._definition.star is None else self._undecided.count_lost(standing) + self._outside
        return AggregateResult(
            table.combine_chunks(),
            seen,
            suppressed,
            int((~standing).sum()),
            lost,
            0,
            self._definition.star is not None,
            self._rows.settle(groups).to_numpy(),
            self._contributors.distinct(groups),
            sketches,
        )

    def _sketched_table(self, table: pa.Table, groups: Codes) -> tuple[pa.Table, dict[FigureKind, Entries]]:
        """A table of some groups and their sketches. A histogram of too many cells to compare them is null."""
        if self._sketches is None:
            return table, {}
        sketches: dict[FigureKind, Entries] = dict(zip(self._sketched, self._sketches.settle(groups), strict=True))
        for each in self._cells:
            found = each.settle(groups)
            sketches |= {(*each.field, cell): entries for cell, entries in (found or {}).items()}
            for name, measured in self._definition.measures.items() if found is None else ():
                if measured == each.measured:
                    message = "%s: the histogram %s has too many cells to be guarded, and is not published"
                    log.warning(message, self._definition.name, name, extra={"code": "W035"})
                    place = table.schema.get_field_index(name)
                    table = table.set_column(
                        place, table.schema.field(place), pa.nulls(table.num_rows, table.schema.types[place])
                    )
        return table, sketches

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: what was tallied, and no batch that waits."""
        self._work_off()
        return self.__dict__

    def _large_groups(self) -> npt.NDArray[np.bool_]:
        return np.greater_equal(self._contributors.distinct(np.arange(len(self._groups))), self._definition.below)

    def _large_groups_in_memory(self) -> npt.NDArray[np.bool_]:
        """The groups that stand already, as far as memory tells."""
        groups = len(self._groups)
        held = self._contributors.distinct_in_memory(np.arange(groups))
        return self._shelf.remembered_large_groups(groups) | np.greater_equal(held, self._definition.below)

    def _is_counted(self, each: BoundMeasure) -> bool:
        """Whether a measure counts rows or subjects, which is done in any case."""
        return isinstance(each.measure, Count) or self._definition.counts_subjects(each)

    def _work_off(self) -> None:
        for batch in self._gathered.take():
            for part in split_batch(batch, self._definition, _ROWS_AT_ONCE):
                self._observe(part)
                self._spill_excess()

    def _spill_excess(self) -> None:
        """Sets aside what grows with subjects and values, where there is more of it than memory for it."""
        held = sum(tally.nbytes for tally in self._retiring())
        if self._shelf.is_full(held + self._subjects.nbytes):
            self._set_aside()

    def _set_aside(self) -> None:
        subjects = self._subjects.values
        if subjects is None:
            return
        hashes = self._shelf.hashes(subjects)
        self._shelf.remember_large_groups(self._large_groups_in_memory())
        for tally in self._retiring():
            tally.spill(self._shelf.aside, hashes)
        self._subjects = self._subjects.acquire_successor()

    def _retiring(self) -> Iterator[SpillableTally]:
        yield self._contributors
        yield self._undecided
        yield from (tally for tally in self._measures.values() if isinstance(tally, SpillableTally))

    def _observe(self, batch: Batch) -> None:
        subjects = self._subjects.encode(
            canonical_column(leaf(batch.raw, self._definition.counting).values, fold=self._definition.folds)
        )
        seen = group_batch(self._definition, self._groups, batch, subjects)
        self._outside += seen.outside
        self._rows.observe(seen.rows.groups, None, seen.rows.subjects)
        valued: dict[MeasuredField, _FieldRows] = {}
        partial: dict[MeasuredField, RowView] = {}
        lacking: dict[MeasuredField, npt.NDArray[np.bool_]] = {}
        for field, tallies in self._by_field():
            found = _FieldRows(seen.rows, None) if field is None else _field_rows(seen, field)
            if field is not None and found.there is not None:
                lacking[field] = ~found.there
            elif field is not None and found.view is not seen.rows and found.view is not seen.elements:
                partial[field] = found.view
            for tally in tallies:
                tally.observe(found.view.groups, found.values, found.view.subjects)
            if field is not None:
                valued[field] = found
        self._sketch(seen.rows, valued)
        self._contributors.observe(seen.rows, partial, lacking)
        if seen.rows.places is not None:
            self._undecided.add(seen.rows.places, seen.rows.groups, self._large_groups_in_memory)

    def _sketch(self, rows: RowView, valued: Mapping[MeasuredField, _FieldRows]) -> None:
        """Takes rows, and those that have a value of a field, into the contribution sketches."""
        if self._hasher is None or self._sketches is None:
            return
        words = self._subjects.hashes(self._hasher)
        whole: dict[int, HashWords | None] = {self._sketched[None]: None}
        for field, found in valued.items():
            if found.values is None:
                continue
            for each in self._cells:
                if each.field == field:
                    each.add(found.view.groups, found.values, words[found.view.subjects])
            if field in self._sketched:
                place, hashes = self._sketched[field], hash_values(found.values, self._hasher)
                if found.there is not None:
                    whole[place] = every = np.zeros(len(found.there), np.uint64)
                    every[found.there] = hashes
                elif found.view is rows:
                    whole[place] = hashes
                else:
                    self._sketches.add(found.view.groups, words[found.view.subjects], {place: hashes})
        self._sketches.add(rows.groups, words[rows.subjects], whole)

    def _table(self, groups: Codes) -> pa.Table:
        """The columns of the groups that stand: nothing is worked out for others."""
        few: dict[BoundMeasure, npt.NDArray[np.bool_]] = {}
        for each, mask in suppressed_measures(self._definition, self._measures, groups):
            few[each] = few.get(each, np.zeros(len(groups), np.bool_)) | mask
        measures = []
        for each in self._definition.measures.values():
            column = self._column(each, groups)
            if each in few:
                column = pc.if_else(pa.array(few[each]), pa.nulls(len(groups), column.type), column)
            measures.append(column)
        schema = self._definition.schema
        columns = zip([*self._groups.columns(groups), *measures], schema.types, strict=True)
        return pa.table([column.cast(type_) for column, type_ in columns], schema=schema)

    def _column(self, each: BoundMeasure, groups: Codes) -> pa.Array:
        if self._definition.counts_subjects(each):
            return pa.array(self._definition.terms.rounded(self._contributors.distinct(groups)))
        if isinstance(each.measure, Count):
            return pa.array(self._definition.terms.rounded(self._rows.settle(groups).to_numpy()))
        tally = each.measure.adapt_tally(self._measures[_tally_measure(each)])
        values, field = tally.settle(groups), _measured_field(each)
        if field is None:
            return values
        enough = self._contributors.distinct(groups, field) >= self._definition.below
        return pc.if_else(pa.array(enough), values, pa.nulls(len(groups), values.type))

    def _by_field(self) -> Iterator[tuple[MeasuredField | None, list[MeasureTally]]]:
        fields: dict[MeasuredField | None, list[MeasureTally]] = {}
        for each, tally in self._measures.items():
            fields.setdefault(_measured_field(each), []).append(tally)
        yield from fields.items()


def _tally_measure(each: BoundMeasure) -> BoundMeasure:
    """The measure whose tally a measure settles from."""
    return replace(each, measure=each.measure.shared_measure)


def _measured_field(each: BoundMeasure) -> MeasuredField | None:
    return None if each.measure.of is None else (each.measure.of, each.measure.by_rank)


def _record_fields(definition: AggregateDefinition) -> list[MeasuredField]:
    """The fields that are measured and stand in no list."""
    found = (_measured_field(each) for each in definition.measures.values() if not definition.counts_subjects(each))
    return [field for field in dict.fromkeys(found) if field is not None and innermost_list(field[0]) is None]


@dataclass(frozen=True, slots=True)
class _FieldRows:
    """The rows that have a value of a field, and the values; which of the records' rows those are, where some lack one."""

    view: RowView
    values: pa.Array | None
    there: npt.NDArray[np.bool_] | None = None


def _field_rows(views: BatchViews, field: MeasuredField) -> _FieldRows:
    key, by_rank = field
    batch = views.batch
    leaves = batch.measured if key in batch.measured else batch.released
    leaves = batch.ranks if by_rank and key in batch.ranks else leaves
    view = views.view_for(innermost_list(key))
    values = view.values(leaves[key])
    there = valid_values(values)
    if there is None:
        return _FieldRows(view, values)
    return _FieldRows(view.select(there), values.filter(pa.array(there)), there if view is views.rows else None)
