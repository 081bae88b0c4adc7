"""An aggregate as a tally: batches in, one table out, small groups absent.

Nothing that leaves here depends on how the records were cut into batches, or in which order they came.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes, MeasureTally, Retiring, Terms
from minimize.aggregates.cell_sketches import CellSketches, Kind, has_cells
from minimize.aggregates.contribution_sketch import ContributionSketches, Entries, value_hashes
from minimize.aggregates.contributors import Contributors, Field
from minimize.aggregates.count import Count, CountTally
from minimize.aggregates.definition import Definition, GroupKey, Measured, faults, star_of
from minimize.aggregates.gather import Gathered, cut
from minimize.aggregates.groups import GroupBook
from minimize.aggregates.related_measures import few_within, tallied_beside
from minimize.aggregates.roster import Roster
from minimize.aggregates.shelf import Shelf
from minimize.aggregates.undecided import Undecided
from minimize.aggregates.view import View, Views, present, views
from minimize.canonical import canonical
from minimize.errors import PolicyError
from minimize.nested import leaf
from minimize.spill import Aside, Hasher, Words
from minimize.stage import Batch

__all__ = ["AggregateResult", "AggregateTally", "Definition", "GroupKey", "Measured", "faults"]

log = logging.getLogger("minimize")
_AT_ONCE = 1 << 18
"""So many rows are worked off at once: what that takes stays small, and near the processor."""
_ENOUGH = 1 << 17
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
    sketches: Mapping[Kind, Entries] = dataclass_field(default_factory=dict, repr=False, compare=False)
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

    def unpublished(self) -> AggregateResult:
        """The same with none of its groups."""
        return self.published(self.table, np.zeros(self.table.num_rows, np.bool_), 0)

    def published(self, table: pa.Table, kept: npt.NDArray[np.bool_], deferred: int) -> AggregateResult:
        """The same with another table of the same groups, some of its rows alone, and without what is not published.

        The others count as suppressed. A record of a withheld group below a list still counts as one that is in the table.
        """
        withheld, rows = int((~kept).sum()), int(self.rows[~kept].sum())
        return AggregateResult(
            table.filter(pa.array(kept)) if withheld else table,
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
        definition: Definition,
        aside: Aside | None = None,
        roster: Roster | None = None,
        groups: GroupBook | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        """Takes the space beside memory, the subjects and groups that it shares with tallies of other threads, and the keyed
        hash for contribution sketches (None: no sketches are made)."""
        wrong = faults(definition)
        if wrong:
            raise PolicyError(f"the aggregate {definition.name} cannot be made", findings=wrong)
        self._definition = definition
        self._gathered = Gathered(definition)
        self._groups = GroupBook.of(definition) if groups is None else groups
        self._subjects = (Roster() if roster is None else roster).joined()
        self._rows = CountTally(Terms())
        self._contributors = Contributors(_of_records(definition))
        tallied = [_tallied(each) for each in definition.measures.values() if not self._is_counted(each)]
        tallied += tallied_beside(definition)
        self._measures = {each: each.measure.start(each.plain, definition.terms_of(each)) for each in tallied}
        self._undecided = Undecided()
        self._outside = 0
        self._shelf = Shelf(Aside(None) if aside is None else aside)
        self._hasher = hasher
        measured = [each for each in dict.fromkeys(definition.measures.values()) if not self._is_counted(each)]
        fields = (_field(each) for each in measured if not has_cells(each))
        self._sketched: dict[Field | None, int] = {
            key: place for place, key in enumerate(dict.fromkeys([None, *fields]))
        }
        self._sketches = (
            None if hasher is None else ContributionSketches(len(self._sketched), definition.below, self._shelf.aside)
        )
        self._cells = (
            []
            if hasher is None
            else [CellSketches(each, definition.below, self._shelf.aside) for each in measured if has_cells(each)]
        )

    def observe(self, batch: Batch) -> None:
        """Takes one batch in, after its values were released: leaves in `released`, `measured`, `ranks`; subjects in `raw`."""
        self._gathered.add(batch)
        if self._gathered.rows >= _ENOUGH:
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
        self._undecided.merge(other._undecided, groups, self._standing_now)
        for each, tally in other._measures.items():
            self._measures[each].merge(tally, groups, subjects)
        self._make_room()

    def settle(self) -> AggregateResult:
        """The table of the groups that stand, ordered by their keys, nulls last."""
        self._work_off()
        if self._shelf.used:
            self._set_aside()
        everyone = np.arange(len(self._groups))
        rows = self._rows.settle(everyone).to_numpy()
        standing = self._standing()
        groups = np.flatnonzero(standing)
        table = self._table(groups)
        keys = [(name, "ascending") for name in self._definition.keys]
        if keys:
            order = pc.sort_indices(table.select(list(self._definition.keys)), sort_keys=keys)
            table, groups = table.take(order), groups[order.to_numpy()]
        seen, suppressed = int(rows.sum()), int(rows[~standing].sum())
        table, sketches = self._sketched_table(table, groups)
        lost = suppressed if self._definition.star is None else self._undecided.lost(standing) + self._outside
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

    def _sketched_table(self, table: pa.Table, groups: Codes) -> tuple[pa.Table, dict[Kind, Entries]]:
        """A table of some groups and their sketches. A histogram of too many cells to compare them is null."""
        if self._sketches is None:
            return table, {}
        sketches: dict[Kind, Entries] = dict(zip(self._sketched, self._sketches.settle(groups), strict=True))
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

    def _standing(self) -> npt.NDArray[np.bool_]:
        return np.greater_equal(self._contributors.distinct(np.arange(len(self._groups))), self._definition.below)

    def _standing_now(self) -> npt.NDArray[np.bool_]:
        """The groups that stand already, as far as memory tells."""
        groups = len(self._groups)
        held = self._contributors.held(np.arange(groups))
        return self._shelf.stood(groups) | np.greater_equal(held, self._definition.below)

    def _is_counted(self, each: Measured) -> bool:
        """Whether a measure counts rows or subjects, which is done in any case."""
        return isinstance(each.measure, Count) or self._definition.counts_subjects(each)

    def _work_off(self) -> None:
        for batch in self._gathered.take():
            for part in cut(batch, self._definition, _AT_ONCE):
                self._observe(part)
                self._make_room()

    def _make_room(self) -> None:
        """Sets aside what grows with subjects and values, where there is more of it than memory for it."""
        held = sum(tally.nbytes for tally in self._retiring())
        if self._shelf.is_full(held + self._subjects.nbytes):
            self._set_aside()

    def _set_aside(self) -> None:
        subjects = self._subjects.values
        if subjects is None:
            return
        hashes = self._shelf.hashes(subjects)
        self._shelf.remember(self._standing_now())
        for tally in self._retiring():
            tally.set_aside(self._shelf.aside, hashes)
        self._subjects = self._subjects.left()

    def _retiring(self) -> Iterator[Retiring]:
        yield self._contributors
        yield self._undecided
        yield from (tally for tally in self._measures.values() if isinstance(tally, Retiring))

    def _observe(self, batch: Batch) -> None:
        subjects = self._subjects.encode(
            canonical(leaf(batch.raw, self._definition.counting).values, fold=self._definition.folds)
        )
        seen = views(self._definition, self._groups, batch, subjects)
        self._outside += seen.outside
        self._rows.observe(seen.rows.groups, None, seen.rows.subjects)
        valued: dict[Field, _Valued] = {}
        partial: dict[Field, View] = {}
        lacking: dict[Field, npt.NDArray[np.bool_]] = {}
        for field, tallies in self._by_field():
            found = _Valued(seen.rows, None) if field is None else _valued(seen, field)
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
            self._undecided.add(seen.rows.places, seen.rows.groups, self._standing_now)

    def _sketch(self, rows: View, valued: Mapping[Field, _Valued]) -> None:
        """Takes rows, and those that have a value of a field, into the contribution sketches."""
        if self._hasher is None or self._sketches is None:
            return
        words = self._subjects.hashes(self._hasher)
        whole: dict[int, Words | None] = {self._sketched[None]: None}
        for field, found in valued.items():
            if found.values is None:
                continue
            for each in self._cells:
                if each.field == field:
                    each.add(found.view.groups, found.values, words[found.view.subjects])
            if field in self._sketched:
                place, hashes = self._sketched[field], value_hashes(found.values, self._hasher)
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
        few: dict[Measured, npt.NDArray[np.bool_]] = {}
        for each, mask in few_within(self._definition, self._measures, groups):
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

    def _column(self, each: Measured, groups: Codes) -> pa.Array:
        if self._definition.counts_subjects(each):
            return pa.array(self._definition.terms.rounded(self._contributors.distinct(groups)))
        if isinstance(each.measure, Count):
            return pa.array(self._definition.terms.rounded(self._rows.settle(groups).to_numpy()))
        tally = each.measure.settling(self._measures[_tallied(each)])
        values, field = tally.settle(groups), _field(each)
        if field is None:
            return values
        enough = self._contributors.distinct(groups, field) >= self._definition.below
        return pc.if_else(pa.array(enough), values, pa.nulls(len(groups), values.type))

    def _by_field(self) -> Iterator[tuple[Field | None, list[MeasureTally]]]:
        fields: dict[Field | None, list[MeasureTally]] = {}
        for each, tally in self._measures.items():
            fields.setdefault(_field(each), []).append(tally)
        yield from fields.items()


def _tallied(each: Measured) -> Measured:
    """The measure whose tally a measure settles from."""
    return replace(each, measure=each.measure.tallied_as)


def _field(each: Measured) -> Field | None:
    return None if each.measure.of is None else (each.measure.of, each.measure.by_rank)


def _of_records(definition: Definition) -> list[Field]:
    """The fields that are measured and stand in no list."""
    found = (_field(each) for each in definition.measures.values() if not definition.counts_subjects(each))
    return [field for field in dict.fromkeys(found) if field is not None and star_of(field[0]) is None]


@dataclass(frozen=True, slots=True)
class _Valued:
    """The rows that have a value of a field, and the values; which of the records' rows those are, where some lack one."""

    view: View
    values: pa.Array | None
    there: npt.NDArray[np.bool_] | None = None


def _valued(seen: Views, field: Field) -> _Valued:
    key, by_rank = field
    batch = seen.batch
    leaves = batch.measured if key in batch.measured else batch.released
    leaves = batch.ranks if by_rank and key in batch.ranks else leaves
    view = seen.at(star_of(key))
    values = view.values(leaves[key])
    there = present(values)
    if there is None:
        return _Valued(view, values)
    return _Valued(view.where(there), values.filter(pa.array(there)), there if view is seen.rows else None)
