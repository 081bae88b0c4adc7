"""`quantile`: the value at a rank."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, ClassVar, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.aggregates.base import ORDERED_TYPES, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.cells import Cells, CellTally, target_counts
from minimize.aggregates.distinct_subjects import SubjectCounts
from minimize.arrow.dictionaries import Bools, Codes, decode_dictionary
from minimize.arrow.hashing import mix, to_ordered_words
from minimize.spill import HashWords
from minimize.text import brief_number

if TYPE_CHECKING:
    from minimize.aggregates.base import ValueBounds
    from minimize.aggregates.definition import BoundMeasure, SubjectLimits
    from minimize.aggregates.noise import NoiseKey
    from minimize.aggregates.noisy_figures import NoisyRows


class Quantile(Measure):
    """The smallest existing value that at least a share `q` of the values do not exceed.

    Takes numbers, timestamps and dates that are generalized, and gives the same type. Values in open bins are used by their rank;
    a result in an open bin is null. Null unless `below` subjects have a value at or below the result, and as many one at or above
    it. With noise, subjects are ranked by their values in place of rows, each in at most as many cells as rows of a subject
    count; the rank is noisy, and a quantile is also null unless `below` subjects are between it and the next smaller published
    one of the field.
    Source: inverse of the empirical distribution function, type 1 of Hyndman and Fan (1996).
    """

    name: ClassVar[str] = "quantile"
    about: ClassVar[str] = "the value at a rank (inverse of the distribution, type 1)"
    takes = ORDERED_TYPES
    takes_noise = True
    shown_values = "supported"
    revealed_counts = "none"
    needs_bounds = False
    by_rank = True
    depends_on_rows = True
    hidden_cells = "together"
    of: str
    q: float = Field(ge=0, le=1)

    @property
    def extreme(self) -> str | None:
        """A share of 0 or 1 gives an extreme value."""
        return {0.0: "smallest", 1.0: "largest"}.get(self.q)

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return QuantileTally(self.accepted_type(type_), self.q, terms)

    def start_noisy(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally, which ranks subjects and so needs no range of their values."""
        if terms.ranks is not None:
            return KnownRanksTally(self.accepted_type(type_), terms.ranks)
        return QuantileTally(self.accepted_type(type_), self.q, terms, ranges=0)

    def noisy_column(self, rows: NoisyRows, measured: BoundMeasure, tally: MeasureTally | None) -> pa.Array:
        """The value at a noisy rank; null where too few subjects support it."""
        assert isinstance(tally, QuantileTally | KnownRanksTally)
        assert measured.measured_field is not None
        subjects = rows.totals.with_value[measured.measured_field][rows.groups]
        cells = tally.limited_cells(rows.groups, subjects, rows.noise.key, rows.definition.limits.rows)
        measures = (each.measure for each in rows.definition.measures.values())
        shares = {each.q for each in measures if isinstance(each, Quantile) and each.of == self.of}
        places, is_shown = rows.quantile(self.of, cells, sorted(shares), self.q)
        return _values_at(cells, places, is_shown, self.accepted_type(measured.plain))

    @property
    def shared_measure(self) -> Measure:
        """The median of the field: all its quantiles are computed from the same counts."""
        return Quantile(of=self.of, q=0.5)

    def adapt_tally(self, tally: MeasureTally) -> MeasureTally:
        """The same counts at the rank of this measure. Takes the tally of a quantile."""
        return tally.with_share(self.q) if isinstance(tally, QuantileTally) else tally

    def noise_text(self, deviation: float, limits: SubjectLimits, bounds: ValueBounds | None) -> str:
        """That of the rank."""
        return f"{brief_number(deviation)} subjects in the rank"


class QuantileTally:
    """The cells of a field by its ordered values, open bins included, and for exact statistics each subject's range of values.

    Numbers are tallied as doubles, because the ranks of open bins are infinite.
    """

    facts = 0
    _counts: SubjectCounts

    def __init__(self, type_: pa.DataType, q: float, terms: MeasureTerms, ranges: int = 1) -> None:
        self.ranges = ranges
        self._type = type_
        self._kind = type_ if pa.types.is_temporal(type_) else pa.float64()
        self._cells = CellTally(self._kind, terms)
        self._q = q
        self._terms = terms

    def with_share(self, q: float) -> QuantileTally:
        """The same rows at another rank."""
        tally = copy(self)
        tally._q = q
        return tally

    def bind(self, counts: SubjectCounts) -> None:
        """Takes the counts of subjects."""
        self._counts = counts

    def describe(self, values: pa.Array) -> tuple[list[Bools], list[HashWords]]:
        """The ordered words of the values."""
        return [], [to_ordered_words(self._ranked(values))] if self.ranges else []

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._cells.observe(groups, self._ranked(values), subjects)

    def merge(self, tally: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._cells.merge(tally._cells, groups)

    def cells(self, groups: Codes) -> Cells:
        """The cells of some groups."""
        return self._cells.cells(groups)

    def limited_cells(self, groups: Codes, subjects: Codes, key: NoiseKey, limit: int) -> Cells:
        """The cells of some groups, each subject in at most so many of them. Takes the number of subjects of each group."""
        cells = self.cells(groups)
        if np.array_equal(cells.totals(cells.subjects, len(groups)), subjects):
            return cells  # each subject is in one cell
        return self._cells.cells(groups, self._cells.count_limited(key, limit))

    def digest(self, groups: HashWords, key: NoiseKey) -> bytes:
        """A digest of the subjects of all cells."""
        return self._cells.digest(groups, key)

    def settle(self, groups: Codes) -> pa.Array:
        """The quantile of each group. Null if the group has no value, the result is in an open bin, or too few subjects support
        it."""
        cells = self.cells(groups)
        ranks = target_counts(self._q, cells.totals(cells.occurrences, len(groups)))
        places, is_shown = cells.at_ranks(cells.occurrences, ranks)
        words = np.zeros(len(groups), np.uint64)
        if is_shown.any():
            words[is_shown] = to_ordered_words(cells.values.take(pa.array(places[is_shown])))
        is_shown &= self._counts.count_beside(groups, words) >= max(self._terms.below, 1)
        return _values_at(cells, places, is_shown, self._type)

    def _ranked(self, values: pa.Array) -> pa.Array:
        return decode_dictionary(values).cast(self._kind, safe=False)


_LAST: Final = np.uint64(2**64 - 1)
"""The order of a cell that a subject is not in: after all others."""


class KnownRanksTally:
    """The subjects of each cell of a group, if all values are known beforehand: each value is a fact about a subject in a group.

    Takes the type of the results, and the values as ascending doubles.
    """

    ranges = 0
    _counts: SubjectCounts

    def __init__(self, type_: pa.DataType, values: Sequence[float]) -> None:
        self._type = type_
        self._values = np.array(values, np.float64)
        self.facts = len(self._values)

    def bind(self, counts: SubjectCounts) -> None:
        """Takes the counts of subjects."""
        self._counts = counts

    def describe(self, values: pa.Array) -> tuple[list[Bools], list[HashWords]]:
        """The rows with each value. Raises ValueError if a value is not one of the known ones."""
        places = self._places(values)
        return [places == place for place in range(self.facts)], []

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Nothing: `describe` says all."""

    def merge(self, tally: Self, groups: Codes) -> None:
        """Nothing: the pairs are merged."""

    def settle(self, groups: Codes) -> pa.Array:
        """Nulls: it has no exact statistics."""
        return pa.nulls(len(groups), self._type)

    def limited_cells(self, groups: Codes, subjects: Codes, key: NoiseKey, limit: int) -> Cells:
        """The cells of some groups, each subject in at most so many of them."""
        counts = self._limited(groups, key, limit) if limit < self.facts else self._unlimited(groups)
        rows, places = np.nonzero(counts)
        return Cells(rows, pa.array(self._values[places]), counts[rows, places], np.zeros(len(rows), np.int64))

    def _unlimited(self, groups: Codes) -> Codes:
        return np.column_stack([self._counts.count_having(groups, fact) for fact in range(self.facts)])

    def _limited(self, groups: Codes, key: NoiseKey, limit: int) -> Codes:
        """The subjects of each cell. A keyed hash chooses the cells of a subject in too many, as in `CellTally.count_limited`."""
        of_value = key.hasher(pa.array(self._values))[:, 0]
        most = int(groups.max(initial=-1)) + 1
        counts = np.zeros((most, self.facts), np.int64)
        for owners, subjects, masks in self._counts.having(self.facts):
            many = np.flatnonzero(masks.sum(axis=1) > limit)
            order = of_value ^ mix(subjects[many, 1])[:, None]
            first = np.argsort(np.where(masks[many], order, _LAST), axis=1, kind="stable")[:, :limit]
            chosen = np.zeros((len(many), self.facts), np.bool_)
            np.put_along_axis(chosen, first, values=True, axis=1)
            masks[many] &= chosen
            for fact in range(self.facts):
                counts[:, fact] += np.bincount(owners[masks[:, fact]], minlength=most)[:most]
        return counts[groups]

    def _places(self, values: pa.Array) -> Codes:
        """The place of each value among the known ones."""
        if pa.types.is_dictionary(values.type):
            indices: Codes = values.indices.to_numpy(zero_copy_only=False)
            return self._places(values.dictionary)[indices]
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        places = np.minimum(np.searchsorted(self._values, numbers), self.facts - 1)
        if not np.array_equal(self._values[places], numbers):
            raise ValueError("a value is not one of the known ones")
        return np.asarray(places, np.int64)


def _values_at(cells: Cells, places: Codes, is_shown: Bools, type_: pa.DataType) -> pa.Array:
    """The values of some cells, one for each row; null where they are not shown, and in open bins."""
    values = cells.values.take(pa.array(places, mask=~is_shown))
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
    return values.cast(type_, safe=False)  # the error of a failed cast would contain the value
