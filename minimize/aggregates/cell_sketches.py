"""Contribution sketches of the cells of a histogram, and of the two sides of a share.

A histogram publishes a number for each value, and a share one for the values that it names. Each of these numbers can be compared
with the same number of another table or of an earlier release, whatever becomes of the other values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.aggregates.base import Codes
from minimize.aggregates.combined import Combinations
from minimize.aggregates.contribution_sketch import ContributionSketches, Entries, bucket_count
from minimize.aggregates.definition import Measured
from minimize.aggregates.histogram import Histogram
from minimize.aggregates.share import Share
from minimize.codebook import Codebook
from minimize.spill import Aside, Words

Mask = npt.NDArray[np.bool_]
Kind = tuple[str, bool] | tuple[str, bool, str] | None
"""A kind of figures, those of which can be subtracted: numbers of rows and of subjects (None), figures over the values of a field
(its key, and whether by rank), and numbers of rows with some of its values (named by `cell_of` or `rest_of`)."""
MOST_BYTES: Final = 1 << 28
"""The sketches of all cells of a histogram, at most."""


def has_cells(measured: Measured) -> bool:
    """Whether a measure publishes numbers of rows with some values."""
    return isinstance(measured.measure, Histogram | Share)


def cell_of(values: Iterable[str]) -> str:
    """The name of the rows that have one of some values."""
    return "is:" + json.dumps(sorted(values))


def rest_of(values: Iterable[str]) -> str:
    """The name of the rows that have another value than some."""
    return "not:" + json.dumps(sorted(values))


def sides(measured: Measured) -> tuple[str, str]:
    """The names of both sides of a share."""
    assert isinstance(measured.measure, Share)
    values = pa.array(measured.measure.is_, measured.plain).cast(pa.string()).to_pylist()
    return cell_of(values), rest_of(values)


class CellSketches:
    """Sketches of the rows of each group that are in a cell of one measure."""

    def __init__(self, measured: Measured, below: int, aside: Aside) -> None:
        self.measured = measured
        self._below = below
        self._named = None if isinstance(measured.measure, Histogram) else sides(measured)
        self._values = Codebook(pa.string())
        self._cells = Combinations(2)
        self._sketches = ContributionSketches(1, below, aside)

    @property
    def field(self) -> tuple[str, bool]:
        """The field of the measure."""
        return self.measured.measure.of or "", self.measured.measure.by_rank

    def add(self, groups: Codes, values: pa.Array, subjects: Words) -> None:
        """Takes rows in: the group, the value and the keyed hash of the subject of each."""
        cells = self._cells.encode([groups, self._codes(values)], len(groups))
        self._sketches.add(cells, subjects, {0: None})

    def merge(self, other: Self, groups: Codes) -> None:
        """Takes others in; `groups[i]` is our code of their group i."""
        theirs, codes = other._cells.columns()
        ours = codes if self._named is not None else self._values.codes(other._values.values)[codes]
        self._sketches.merge(other._sketches, self._cells.encode([groups[theirs], ours], len(theirs)))

    def settle(self, groups: Codes) -> dict[str, Entries] | None:
        """By the name of a cell its sketch in each of some groups; None if that is more than memory should hold."""
        owners, codes = self._cells.columns()
        places = np.full(int(max(owners.max(initial=-1), groups.max(initial=-1))) + 1, -1)
        places[groups] = np.arange(len(groups))
        chosen = np.flatnonzero(places[owners] >= 0)
        names = self._named or [cell_of([each]) for each in self._values.values.to_pylist()]
        present = np.unique(codes[chosen])
        buckets = bucket_count(self._below)
        if len(present) * len(groups) * buckets * 4 > MOST_BYTES:
            return None
        settled = self._sketches.settle(chosen)[0]
        found: dict[str, Entries] = {}
        for code in present.tolist():
            entries = np.zeros((len(groups), buckets), np.uint32)
            mine = np.flatnonzero(codes[chosen] == code)
            entries[places[owners[chosen[mine]]]] = settled[mine]
            found[names[code]] = entries
        return found

    def _codes(self, values: pa.Array) -> Codes:
        if pa.types.is_dictionary(values.type):
            indices: Codes = values.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            return self._codes(values.dictionary)[indices]
        if isinstance(self.measured.measure, Share):
            named = pa.array(self.measured.measure.is_, self.measured.plain)
            hits = pc.is_in(values, value_set=named.cast(values.type)).to_numpy(zero_copy_only=False)
            return np.where(hits, 0, 1)
        return self._values.encode(values.cast(pa.string()))


def cells_shown(column: pa.ChunkedArray) -> Iterator[tuple[str, Mask]]:
    """The names of the cells that a column of histograms shows, each with the rows that show it."""
    whole = column.combine_chunks()
    parents, cells = pc.list_parent_indices(whole).to_numpy(), pc.list_flatten(whole)
    values = pc.struct_field(cells, "value").cast(pa.string()).dictionary_encode()
    shown = pc.struct_field(cells, "count").is_valid().to_numpy(zero_copy_only=False)
    indices = values.indices.fill_null(-1).to_numpy()
    for code, value in enumerate(values.dictionary.to_pylist()):
        mask = np.zeros(len(whole), np.bool_)
        mask[parents[shown & (indices == code)]] = True
        yield cell_of([value]), mask
