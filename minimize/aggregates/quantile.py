"""`quantile`: the value at a rank."""

from __future__ import annotations

from copy import copy
from fractions import Fraction
from functools import partial
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
from pydantic import Field

from minimize.aggregates.base import ORDERED_TYPES, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.distinct_subjects import SubjectCounts
from minimize.aggregates.value_counts import ValueCounts, ValueSubjects, word_count
from minimize.arrow.dictionaries import Bools, Codes
from minimize.spill import HashWords


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
        return QuantileTally(ValueCounts(terms.space, self.accepted_type(type_)), self.q, terms)

    @property
    def shared_measure(self) -> Measure:
        """The median of the field: all its quantiles are computed from the same counts."""
        return Quantile(of=self.of, q=0.5)

    def adapt_tally(self, tally: MeasureTally) -> MeasureTally:
        """The same counts at the rank of this measure. Takes the tally of a quantile."""
        return tally.with_share(self.q) if isinstance(tally, QuantileTally) else tally


class QuantileTally:
    """The value at a rank of each group. Generalized values of one word are supported by the range of each subject."""

    facts = 0
    _counts: SubjectCounts

    def __init__(self, values: ValueCounts, q: float, terms: MeasureTerms) -> None:
        self._values = values
        self._q = q
        self._terms = terms
        self.ranges = int(terms.generalized and word_count(values.type) == 1)
        self._subjects = None if self.ranges else ValueSubjects(terms.space, values.type)

    def with_share(self, q: float) -> QuantileTally:
        """The same rows at another rank."""
        other = copy(self)
        other._q = q
        return other

    def bind(self, counts: SubjectCounts) -> None:
        """Takes the counts of subjects."""
        self._counts = counts

    def describe(self, values: pa.Array) -> tuple[list[Bools], list[HashWords]]:
        """The ordered words of the values, if they are ranges."""
        return [], [self._values.words_of(values)[:, 0]] if self.ranges else []

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows."""
        self._values.add(groups, values)
        if self._subjects is not None:
            self._subjects.add(groups, self._values.words_of(values), subjects)

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._values.merge(other._values, groups)
        if self._subjects is not None and other._subjects is not None:
            self._subjects.merge(other._subjects, groups)

    def settle(self, groups: Codes) -> pa.Array:
        """The quantile of each group. Null if the group has no value, the result is in an open bin, or too few subjects support
        it."""
        words, valid = self._values.words_at(partial(_target_counts, self._q), groups)
        if self._subjects is None:
            found = self._counts.count_beside(groups, words[:, 0])
        else:
            found = self._subjects.count(groups, words, exact=not self._terms.generalized)
        valid &= found >= max(self._terms.below, 1)
        values, closed = self._values.from_words(words[valid], open_bins=self._terms.generalized)
        valid[valid] = closed
        return values.filter(pa.array(closed)).take(pa.array(np.cumsum(valid) - 1, mask=~valid))


def _target_counts(q: float, totals: Codes) -> Codes:
    """The number of the value, from 1, that first reaches the share. Computed with integers from the decimal form of `q`."""
    share = Fraction(repr(q))
    distinct, places = np.unique(totals, return_inverse=True)
    # A loop over distinct totals: the products may exceed 64 bits.
    wanted = [max(1, -(-share.numerator * total // share.denominator)) for total in distinct.tolist()]
    return np.array(wanted, np.int64)[places]
