"""Complementary suppression between the tables of one run.

It withholds rows that disclose small groups by difference from coarser or crossing tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, product
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.cells import CellMeasure
from minimize.aggregates.contribution_sketches import (
    Entries,
    FigureKind,
    count_differing,
    fold_sketches,
    sum_sketches,
)
from minimize.aggregates.definition import TIME_UNITS, AggregateDefinition, BoundMeasure, GroupKey, TimeUnit
from minimize.aggregates.dictionaries import truncate_times
from minimize.arrow.dictionaries import Bools, Codes

_ROWS_AT_ONCE: Final = 1 << 14
"""Rows compared at the same time."""
_MAX_CHAINS: Final = 64
"""Largest number of chains of tables that are compared with one coarser table. Shorter chains come first, so that every pair
is compared."""


@dataclass
class PublishedTable:
    """A table as it would be published.

    subjects  the distinct subjects of each row
    sketches  the contribution sketches of each row, by kind of figure
    unsuppressed      the rows that are not withheld
    has_sketches     the rows that have sketches; others are not compared
    retained  the rows that keep the figures of an earlier release
    current   the sketches of the figures that each row would have without that release
    """

    definition: AggregateDefinition
    table: pa.Table
    subjects: Codes
    sketches: Mapping[FigureKind, Entries] = field(repr=False)
    unsuppressed: Bools = field(repr=False)
    has_sketches: Bools = field(repr=False)
    retained: Bools = field(repr=False)
    current: Mapping[FigureKind, Entries] = field(repr=False)

    def __post_init__(self) -> None:
        self._shown = shown_figures(self.definition, self.table)

    @property
    def figures(self) -> frozenset[FigureKind]:
        """The kinds of figures that the table publishes."""
        return frozenset(self.sketches) & frozenset(self._shown)

    def published_figures(self, figure: FigureKind) -> Bools:
        """The rows with a published figure of one kind: not withheld, and not null."""
        return self._shown[figure] & self.unsuppressed & self.has_sketches


def shown_figures(definition: AggregateDefinition, table: pa.Table) -> dict[FigureKind, Bools]:
    """The rows of a table that have a figure, by kind of figure."""
    shown: dict[FigureKind, Bools] = {}
    for name, each in definition.measures.items():
        column = table.column(name)
        for kind, mask in _measure_figures(definition, each, column):
            shown[kind] = shown.get(kind, np.zeros(table.num_rows, np.bool_)) | mask
    return shown


def _measure_figures(
    definition: AggregateDefinition, each: BoundMeasure, column: pa.ChunkedArray
) -> Iterator[tuple[FigureKind, Bools]]:
    """The kinds of figures of a measure, each with the rows that have one."""
    kind = None if definition.counts_subjects(each) else each.measured_field
    if kind is not None and isinstance(each.measure, CellMeasure):
        yield from (((*kind, cell), mask) for cell, mask in each.measure.published_cells(column, each.plain))
    else:
        yield kind, np.asarray(column.is_valid().to_numpy(), np.bool_)


def suppress_related(tables: Sequence[PublishedTable]) -> None:
    """Withholds rows until no subtraction between two tables, or along a chain of tables, discloses fewer than `below` subjects.

    The coarser row is withheld; in tables that cross, the smallest row of the table with more rows.
    """
    finer = {place: list(_finer_tables(tables, place)) for place in range(len(tables))}
    fine_to_coarse = sorted(finer, key=lambda place: len(finer[place]))
    while True:
        before = sum(int(each.unsuppressed.sum()) for each in tables)
        for place in fine_to_coarse:
            for chain in _table_chains(finer, place):
                finer_tables = [tables[each] for each in chain]
                for new_alone in _retained_choices(finer_tables):
                    _suppress_coarser(tables[place], finer_tables, new_alone)
        for one, other in combinations(range(len(tables)), 2):
            if one not in finer[other] and other not in finer[one]:
                _suppress_crossing(tables[one], tables[other])
        if before == sum(int(each.unsuppressed.sum()) for each in tables):
            return


def _finer_tables(tables: Sequence[PublishedTable], place: int) -> Iterator[int]:
    """The tables whose keys refine those of one table. Of two tables with the same keys the first counts as the coarser."""
    coarse = tables[place].definition
    for other, each in enumerate(tables):
        same = place > other and _refines(coarse, each.definition)
        if other != place and not same and _refines(each.definition, coarse):
            yield other


def _refines(fine: AggregateDefinition, coarse: AggregateDefinition) -> bool:
    return all(_finer_key(fine, key) is not None for key in coarse.keys.values())


def _finer_key(fine: AggregateDefinition, coarse: GroupKey) -> str | None:
    """The name of the key of a finer table from which a coarser key can be derived."""
    for name, key in fine.keys.items():
        if key.pointer == coarse.pointer and _nests_in(key.to, coarse.to):
            return name
    return None


def _nests_in(fine: TimeUnit | None, coarse: TimeUnit | None) -> bool:
    """Whether each unit of time is within one coarser unit. None is the released form, which is finer than every unit."""
    if fine == coarse or fine is None:
        return True
    if coarse is None:
        return False
    if "week" in (fine, coarse):
        return coarse == "week" and fine in ("minute", "hour", "day")
    return TIME_UNITS.index(fine) < TIME_UNITS.index(coarse)


def _table_chains(finer: Mapping[int, Sequence[int]], place: int) -> list[tuple[int, ...]]:
    """The chains of ever finer tables below one table, the shortest first."""
    found: list[tuple[int, ...]] = [(each,) for each in finer[place]]
    for chain in found:
        if len(found) >= _MAX_CHAINS:
            break
        found += [(*chain, each) for each in finer[chain[-1]]]
    return found


def _retained_choices(chain: Sequence[PublishedTable]) -> Iterator[tuple[bool, ...]]:
    """The tables of a chain whose rows with retained figures are not subtracted: an attacker can leave them out."""
    return product(*((False, True) if each.retained.any() else (False,) for each in chain))


def _suppress_coarser(coarse: PublishedTable, chain: Sequence[PublishedTable], new_alone: Sequence[bool]) -> None:
    """Withholds the coarser rows of which too few subjects remain after subtracting a chain of finer tables."""
    below = max(each.definition.below for each in (coarse, *chain))
    if any(each.definition.counting != coarse.definition.counting for each in chain):
        if any(coarse.figures & each.figures for each in chain):
            coarse.unsuppressed[:] = False  # sketches of different subjects cannot be compared
        return
    for figure in coarse.figures.intersection(*(each.figures for each in chain)):
        buckets = min(each.sketches[figure].shape[1] for each in (coarse, *chain))
        rest = fold_sketches(coarse.sketches[figure], buckets)
        for place, each in enumerate(chain):
            shown = each.published_figures(figure) & ~(each.retained & new_alone[place])
            for above, is_new in zip(chain[:place], new_alone, strict=False):
                shown &= ~_rows_below(each, above, above.published_figures(figure) & ~(above.retained & is_new))
            owners = np.where(shown, _coarser_rows(coarse, each), -1)
            coarse.unsuppressed &= ~_coarser_left_by_retained(coarse, each, figure, owners, below)
            rest = rest - sum_sketches(fold_sketches(each.sketches[figure], buckets), owners, len(rest))
        few = count_differing(rest)
        coarse.unsuppressed &= ~(coarse.published_figures(figure) & (few > 0) & (few < below))
        if len(chain) == 1 and _overlaps(chain[0], coarse):
            coarse.unsuppressed &= ~_coarser_left_by_one(coarse, chain[0], figure, below)


def _overlaps(fine: PublishedTable, coarse: PublishedTable) -> bool:
    """Whether a record can be in several rows of a finer table and in one row of a coarser one."""
    return fine.definition.star is not None and coarse.definition.star is None


def _coarser_left_by_one(coarse: PublishedTable, fine: PublishedTable, figure: FigureKind, below: int) -> Bools:
    """The coarser rows of which few subjects remain after subtracting a single finer row. Overlapping rows cannot be added."""
    buckets = min(each.sketches[figure].shape[1] for each in (coarse, fine))
    owners = np.where(fine.published_figures(figure), _coarser_rows(coarse, fine), -1)
    rows = np.flatnonzero(owners >= 0)
    whole, parts = fold_sketches(coarse.sketches[figure], buckets), fold_sketches(fine.sketches[figure], buckets)
    found = np.zeros(coarse.table.num_rows, np.bool_)
    for some in np.array_split(rows, len(rows) // _ROWS_AT_ONCE + 1):
        few = count_differing(whole[owners[some]] - parts[some])
        found[owners[some[(few > 0) & (few < below)]]] = True
    return found


def _coarser_left_by_retained(
    coarse: PublishedTable, fine: PublishedTable, figure: FigureKind, owners: Codes, below: int
) -> Bools:
    """The coarser rows with new figures that contain a finer row with retained figures which now has few subjects.

    An attacker can derive the finer row: the coarser row less the other finer rows.
    """
    few = count_differing(fine.current[figure]) if figure in fine.current else np.zeros(len(owners), np.int64)
    found = np.zeros(coarse.table.num_rows, np.bool_)
    found[owners[(owners >= 0) & fine.retained & (few > 0) & (few < below)]] = True
    return np.asarray(found & ~coarse.retained, np.bool_)


def _rows_below(fine: PublishedTable, coarse: PublishedTable, rows: Bools) -> Bools:
    """The rows of a finer table that are within some rows of a coarser one."""
    owners = _coarser_rows(coarse, fine)
    return (owners >= 0) & rows[owners]


def _coarser_rows(coarse: PublishedTable, fine: PublishedTable) -> Codes:
    """The coarser row that contains each finer row; -1 if there is none."""
    if not coarse.table.num_rows:
        return np.full(fine.table.num_rows, -1)
    keys = coarse.definition.keys
    names = [_finer_key(fine.definition, key) for key in keys.values()]
    codes = _common_codes(
        [coarse.table.column(name) for name in keys],
        [_cut_column(fine, name or "", key.to, key) for name, key in zip(names, keys.values(), strict=True)],
        (coarse.table.num_rows, fine.table.num_rows),
    )
    places = np.full(int(max(part.max(initial=-1) for part in codes)) + 1, -1)
    places[codes[0]] = np.arange(len(codes[0]))
    return places[codes[1]]


def _suppress_crossing(one: PublishedTable, other: PublishedTable) -> None:
    """Withholds rows of two crossing tables until their totals differ by no or by enough subjects, per value of the shared
    keys."""
    figures = one.figures & other.figures
    if not figures or not one.table.num_rows or not other.table.num_rows:
        return
    below = max(one.definition.below, other.definition.below)
    if one.definition.counting != other.definition.counting:
        (one if one.table.num_rows > other.table.num_rows else other).unsuppressed[:] = False
        return
    codes = _shared_key_codes(one, other)
    groups = int(max(part.max(initial=-1) for part in codes)) + 1
    while True:
        few = np.zeros(groups, np.bool_)
        for figure in figures:
            for whole, each, places in ((one, other, codes), (other, one, codes[::-1])):
                if _overlaps(each, whole):
                    each.unsuppressed &= ~_rows_with_few_others(whole, each, figure, places, groups, below)
            buckets = min(each.sketches[figure].shape[1] for each in (one, other))
            sums = [
                sum_sketches(
                    fold_sketches(each.sketches[figure], buckets),
                    np.where(each.published_figures(figure), part, -1),
                    groups,
                )
                for each, part in zip((one, other), codes, strict=True)
            ]
            count = count_differing(sums[0] - sums[1])
            few |= (count > 0) & (count < below)
        if not few.any():
            return
        for group in np.flatnonzero(few).tolist():
            rows = [
                np.flatnonzero(each.unsuppressed & (part == group))
                for each, part in zip((one, other), codes, strict=True)
            ]
            table, chosen = (one, rows[0]) if len(rows[0]) > len(rows[1]) else (other, rows[1])
            table.unsuppressed[chosen[np.argmin(table.subjects[chosen])]] = False


def _rows_with_few_others(
    whole: PublishedTable,
    parts: PublishedTable,
    figure: FigureKind,
    codes: tuple[Codes, Codes],
    groups: int,
    below: int,
) -> Bools:
    """The rows of a table with overlapping rows after whose subtraction few subjects remain of the total of another table, per
    value of the shared keys."""
    buckets = min(each.sketches[figure].shape[1] for each in (whole, parts))
    owners = np.where(whole.published_figures(figure), codes[0], -1)
    sums = sum_sketches(fold_sketches(whole.sketches[figure], buckets), owners, groups)
    rows = np.flatnonzero(parts.published_figures(figure))
    found = np.zeros(parts.table.num_rows, np.bool_)
    for some in np.array_split(rows, len(rows) // _ROWS_AT_ONCE + 1):
        few = count_differing(sums[codes[1][some]] - fold_sketches(parts.sketches[figure][some], buckets))
        found[some[(few > 0) & (few < below)]] = True
    return found


def _shared_key_codes(one: PublishedTable, other: PublishedTable) -> tuple[Codes, Codes]:
    """A code of the values of the shared keys for each row of two tables. Times are cut to the coarser unit of both."""
    columns: tuple[list[pa.ChunkedArray], list[pa.ChunkedArray]] = ([], [])
    for name, key in one.definition.keys.items():
        for theirs, partner in other.definition.keys.items():
            if key.pointer == partner.pointer and (_nests_in(key.to, partner.to) or _nests_in(partner.to, key.to)):
                coarser = partner if _nests_in(key.to, partner.to) else key
                columns[0].append(_cut_column(one, name, coarser.to, coarser))
                columns[1].append(_cut_column(other, theirs, coarser.to, coarser))
                break
    return _common_codes(*columns, (one.table.num_rows, other.table.num_rows))


def _cut_column(table: PublishedTable, name: str, unit: TimeUnit | None, coarser: GroupKey) -> pa.ChunkedArray:
    """The column of a key, cut to the unit of time of a coarser key by the clock of that key."""
    column = table.table.column(name)
    if unit is None or table.definition.keys[name].to == unit:
        return column
    cut = coarser.cut or partial(truncate_times, unit=unit)
    return pa.chunked_array([cut(column.combine_chunks())])


def _common_codes(
    one: Sequence[pa.ChunkedArray], other: Sequence[pa.ChunkedArray], rows: tuple[int, int]
) -> tuple[Codes, Codes]:
    """Codes of the combinations of some columns, equal for equal combinations of two tables."""
    codes = np.zeros(sum(rows), np.int64)
    for mine, theirs in zip(one, other, strict=True):
        both = pa.chunked_array([*mine.chunks, *theirs.cast(mine.type).chunks], mine.type).combine_chunks()
        values = pc.dictionary_encode(both, null_encoding="encode").indices.to_numpy().astype(np.int64)
        codes = codes * (int(values.max(initial=0)) + 1) + values
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes[: rows[0]], codes[rows[0] :]
