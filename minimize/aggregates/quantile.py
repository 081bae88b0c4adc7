"""`quantile`: the value at a rank."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from minimize.aggregates.base import ORDERED_TYPES, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.exact_sums import CellSums
from minimize.aggregates.quantile_support import SpilledValueCounts, ValueSubjects
from minimize.arrow.dictionaries import Codes
from minimize.arrow.value_dictionary import ValueDictionary
from minimize.spill import HashWords, SpillSpace


class Quantile(Measure):
    """The smallest existing value that at least a share `q` of the values do not exceed.

    Takes numbers, timestamps and dates, and gives the same type. Values in open bins are used by their rank; a result in an open
    bin is null. Null unless `below` subjects have a value at or below the result, and as many one at or above it. For values
    that are not generalized, null unless `below` subjects have exactly that value.
    Source: inverse of the empirical distribution function, type 1 of Hyndman and Fan (1996).
    """

    name: ClassVar[str] = "quantile"
    about: ClassVar[str] = "the value at a rank (inverse of the distribution, type 1)"
    takes = ORDERED_TYPES
    shown_values = "supported"
    revealed_counts = "none"
    needs_bounds = False
    by_rank = True
    hidden_cells = "together"
    of: str
    q: float = Field(ge=0, le=1)

    @property
    def extreme(self) -> str | None:
        """A share of 0 or 1 gives an extreme value."""
        return {0.0: "smallest", 1.0: "largest"}.get(self.q)

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return QuantileTally(ValueCounts(self.accepted_type(type_)), ValueSubjects(terms.below), self.q, terms)

    @property
    def shared_measure(self) -> Measure:
        """The median of the field: all its quantiles are computed from the same counts."""
        return Quantile(of=self.of, q=0.5)

    def adapt_tally(self, tally: MeasureTally) -> MeasureTally:
        """The same counts at the rank of this measure. Takes the tally of a quantile."""
        return tally.with_share(self.q) if isinstance(tally, QuantileTally) else tally


class ValueCounts:
    """Counts per group and value. Ranks (doubles) may replace values of another numeric type."""

    def __init__(self, type_: pa.DataType) -> None:
        self.type = type_
        self._book: ValueDictionary | None = None
        self._counts = CellSums()
        self.spilled: SpilledValueCounts | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._counts.nbytes + (0 if self._book is None else self._book.nbytes)

    def spill(self, space: SpillSpace) -> None:
        """Spills all values and their counts, in the order of the values."""
        if self._book is None or not len(self._book):
            return
        groups, codes, counts = self._counts.settle()
        values = self._book.values
        self.spilled = self.spilled or SpilledValueCounts(space, values.type)
        self.spilled.add(groups, values.take(pa.array(codes)), counts[:, 0])
        self._book, self._counts = ValueDictionary(values.type), CellSums()

    def add(self, groups: Codes, values: pa.Array) -> Codes:
        """Adds rows. Returns the code of each value."""
        codes = self._book_of(values.type).encode(values)
        self._counts.add(groups, codes)
        return codes

    def merge(self, other: Self, groups: Codes) -> Codes:
        """Merges other counts; `groups[i]` is the code here for their group i. Returns the code here for each of their values."""
        codes = np.empty(0, np.int64)
        if other._book is not None:
            codes = self._book_of(other._book.values.type).codes(other._book.values)
            self._counts.merge(other._counts, groups, codes)
        if other.spilled is not None:
            self.spilled = SpilledValueCounts.from_merge(self.spilled, other.spilled, groups)
        return codes

    @property
    def values(self) -> pa.Array:
        """The value of each code."""
        return self._book_of(self.type).values

    def settle(self, groups: Codes) -> tuple[pa.Array, Codes, Codes, Codes]:
        """The distinct values in order; and for each cell of these groups the index of the group, the index of the value, and
        the count."""
        book = self._book_of(self.type)
        order = pc.sort_indices(book.values).to_numpy().astype(np.int64)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        rows, codes, counts = self._counts.settle()
        places = np.full(int(max(groups.max(initial=-1), rows.max(initial=-1))) + 1, -1, np.int64)
        places[groups] = np.arange(len(groups))
        chosen = np.flatnonzero(places[rows] >= 0)
        return book.values.take(pa.array(order)), places[rows[chosen]], ranks[codes[chosen]], counts[chosen, 0]

    def _book_of(self, type_: pa.DataType) -> ValueDictionary:
        if self._book is None:
            self._book = ValueDictionary(type_)
        return self._book


class QuantileTally:
    """The value at a rank of each group."""

    def __init__(self, counts: ValueCounts, subjects: ValueSubjects, q: float, terms: MeasureTerms) -> None:
        self._counts = counts
        self._subjects = subjects
        self._q = q
        self._terms = terms

    def with_share(self, q: float) -> QuantileTally:
        """The same rows at another rank."""
        return QuantileTally(self._counts, self._subjects, q, self._terms)

    def observe(self, groups: Codes, values: pa.Array, subjects: Codes) -> None:
        """Adds rows."""
        self._subjects.add(groups, self._counts.add(groups, values), subjects)

    @property
    def nbytes(self) -> int:
        """Bytes that can be spilled."""
        return self._counts.nbytes + self._subjects.nbytes

    def spill(self, space: SpillSpace, subjects: HashWords) -> None:
        """Spills the values and their subjects."""
        self._subjects.spill(space, self._counts.values, subjects)
        self._counts.spill(space)

    def merge(self, other: Self, groups: Codes, subjects: Codes) -> None:
        """Merges another tally."""
        codes = self._counts.merge(other._counts, groups)
        self._subjects.merge(other._subjects, groups, codes, subjects)

    def settle(self, groups: Codes) -> pa.Array:
        """The quantile of each group. Null if the group has no value, the result is in an open bin, or too few subjects support
        it."""
        found, terms = self._quantiles(groups), self._terms
        enough = self._subjects.supported(groups, found, self._counts.values, exact=not terms.generalized)
        return self._cast_values(pc.if_else(pa.array(enough), found, pa.nulls(len(groups), found.type)))

    def _quantiles(self, groups: Codes) -> pa.Array:
        if self._counts.spilled is not None:
            return self._counts.spilled.values_at(partial(_target_counts, self._q), groups)
        values, rows, ranks, counts = self._counts.settle(groups)
        chosen = _ranks_at_share(rows, ranks, counts, self._q, len(groups))
        return values.take(pa.array(np.maximum(chosen, 0), mask=chosen < 0))

    def _cast_values(self, values: pa.Array) -> pa.Array:
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_inf(values), pa.nulls(len(values), values.type), values)
        return values.cast(self._counts.type, safe=False)  # the error of a failed cast would contain the value


def _ranks_at_share(rows: Codes, ranks: Codes, counts: Codes, q: float, groups: int) -> Codes:
    """The rank in each row at which the cumulative counts reach a share `q` of the row; -1 for a row without counts."""
    order = np.lexsort((ranks, rows))
    rows, ranks, running = rows[order], ranks[order], np.cumsum(counts[order])
    starts = np.searchsorted(rows, np.arange(groups))
    ends = np.searchsorted(rows, np.arange(groups), side="right")
    before = np.concatenate([[0], running])
    total = before[ends] - before[starts]
    wanted = before[starts] + _target_counts(q, total)
    found = np.append(ranks, -1)[np.minimum(np.searchsorted(running, wanted), len(ranks))]
    return np.where(total > 0, found, -1)


def _target_counts(q: float, totals: Codes) -> Codes:
    """The number of the value, from 1, that first reaches the share. Computed with integers from the decimal form of `q`."""
    share = Fraction(repr(q))
    distinct, places = np.unique(totals, return_inverse=True)
    # A loop over distinct totals: the products may exceed 64 bits.
    wanted = [max(1, -(-share.numerator * total // share.denominator)) for total in distinct.tolist()]
    return np.array(wanted, np.int64)[places]
