"""Published statistics of rows with noise: from exact totals and draws, all whole numbers, to numbers on a public grid.

A statistic depends on noisy totals only, so that its digits and its grid tell nothing more than they do. Its grid is the
largest power of ten that is at most half of the standard deviation of its noise, and at most the distance of its bounds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pyarrow as pa

from minimize.aggregates.base import ValueBounds
from minimize.aggregates.batch_views import GroupTotals
from minimize.aggregates.cells import Cells, target_counts
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, MeasuredField, NoiseTerms
from minimize.aggregates.noise import RowNoise
from minimize.arrow.dictionaries import Bools, Codes
from minimize.spill import HashWords


def power_of_ten_below(limit: Fraction) -> int:
    """The exponent of the largest power of ten that is not above a positive number.

    >>> power_of_ten_below(Fraction(99)), power_of_ten_below(Fraction(1, 99))
    (1, -2)
    """
    exponent = len(str(limit.numerator)) - len(str(limit.denominator))
    return exponent if Fraction(10) ** exponent <= limit else exponent - 1


def to_grid(numerator: int, denominator: int, exponent: int) -> int:
    """A fraction in whole multiples of a power of ten, rounded half up. The denominator is positive.

    >>> to_grid(477, 40, 0), to_grid(477, 4000, -2)
    (12, 12)
    """
    up, down = int(10 ** max(-exponent, 0)), int(10 ** max(exponent, 0))
    return (2 * numerator * up + denominator * down) // (2 * denominator * down)


def from_grid(multiple: int, exponent: int) -> float:
    """A multiple of a power of ten as a double, rounded once."""
    return float(multiple * 10**exponent) if exponent >= 0 else multiple / 10**-exponent


@dataclass(frozen=True)
class NoisyRows:
    """The rows of a table that are published, and the noisy totals that their statistics are made of."""

    definition: AggregateDefinition
    groups: Codes
    """The group of each row."""
    totals: GroupTotals = field(repr=False)
    """The exact totals of all groups."""
    noise: RowNoise = field(repr=False)
    """The noise of these rows."""
    subjects: Codes = field(repr=False)
    """The noisy number of subjects of each row."""

    @classmethod
    def of_groups(
        cls,
        definition: AggregateDefinition,
        groups: Codes,
        totals: GroupTotals,
        noise: RowNoise,
    ) -> NoisyRows:
        """The rows of some groups that are published: those with enough subjects, also by their noisy number."""
        exact = totals.subjects[groups]
        noisy = exact + noise.counts(noise.key.figure("subjects"))
        rows = np.flatnonzero(enough(exact, noisy, definition.below, noise.terms))
        return cls(definition, groups[rows], totals, noise.select(rows), noisy[rows])

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def terms(self) -> NoiseTerms:
        """The terms of the noise."""
        return self.noise.terms

    def figure(self, *names: str) -> HashWords:
        """The hash of the name of a statistic."""
        return self.noise.key.figure(*names)

    def enough(self, exact: Codes, noisy: Codes) -> Bools:
        """Which counts of subjects are published."""
        return enough(exact, noisy, self.definition.below, self.terms)

    def rows(self) -> Codes:
        """The noisy number of rows of each row, at least that of subjects; the same if one row of each subject counts."""
        limit = self.definition.limits.rows
        if limit == 1:
            return self.subjects
        exact = self.totals.rows[self.groups]
        noisy = exact + self.noise.scaled(self.figure("rows"), limit)
        return np.asarray(np.maximum(noisy, self.subjects), np.int64)

    def with_value(self, measured: MeasuredField) -> tuple[Codes, Bools]:
        """The noisy number of subjects with a value of a field in each row, and where statistics of the field are published."""
        exact = self.totals.with_value[measured][self.groups]
        noisy = exact + self.noise.counts(self.figure("with", measured[0]))
        return noisy, self.enough(exact, noisy)

    def sums_of(self, bound_measure: BoundMeasure) -> NoisySums:
        """The noisy number of values of the field of a measure in each row, and their noisy sum."""
        measured, bounds, type_ = bound_measure.measured_field, bound_measure.bounds, bound_measure.plain
        assert measured is not None
        assert bounds is not None
        name, limit, totals = measured[0], self.definition.limits.rows, self.totals.fields[measured]
        counted, is_shown = self.with_value(measured)
        values = counted
        if limit > 1:
            exact = totals.values[self.groups]
            values = np.maximum(exact + self.noise.scaled(self.figure("values", name), limit), counted)
        scale = limit * 2 * bounds.width(type_)
        centred = totals.centred[self.groups] + self.noise.scaled(self.figure("sum", name), scale)
        return NoisySums(np.maximum(values, 1), centred, is_shown, bounds, type_, limit * self.terms.total_sd)

    def cells(self, measured: MeasuredField, values: pa.Array, rows: Codes, exact: Codes) -> tuple[Codes, Bools]:
        """The noisy number of subjects in some cells, and which cells are published. Takes the value and the row of each."""
        names = self.noise.key.cells(self.figure("cell", measured[0]), values)
        noisy = exact + self.noise.counts(names, rows)
        return noisy, self.enough(exact, noisy)

    def quantile(self, field: str, cells: Cells, shares: Sequence[float], share: float) -> tuple[Codes, Bools]:
        """The cell at the noisy rank of a quantile in each row, and where it is published: with `below` subjects on both sides,
        and between it and the next smaller published one. Takes all quantiles of the field, ascending."""
        below, limit = self.definition.below, self.definition.limits.rows
        totals = cells.totals(cells.subjects, len(self))
        name = "with" if limit == 1 else "ranks"
        noisy = totals + self._rank_noise(name, field)
        last = np.full(len(self), -below)
        for q in shares:
            ranks = target_counts(q, totals) + self._rank_noise("q", field, repr(q))
            places, is_shown = cells.at_ranks(cells.subjects, ranks)
            is_shown &= (ranks >= below) & (ranks <= noisy - below) & (ranks - last >= below)
            if q == share:
                break
            last = np.where(is_shown, ranks, last)
        return places, is_shown

    def _rank_noise(self, *names: str) -> Codes:
        limit = self.definition.limits.rows
        return self.noise.counts(self.figure(*names)) if limit == 1 else self.noise.scaled(self.figure(*names), limit)

    def share(self, measured: MeasuredField, values: pa.Array, exact: Codes) -> pa.Array:
        """The noisy share of subjects with one of some values among those with any, in each row; null if a side is small."""
        with_value, is_shown = self.with_value(measured)
        row_indices = np.arange(len(self))
        if len(values) == 1:
            noisy, is_large = self.cells(measured, pa.repeat(values[0], len(self)), row_indices, exact)
        else:
            name = json.dumps(sorted(map(str, values.to_pylist())))
            noisy = exact + self.noise.counts(self.figure("cells", measured[0], name))
            is_large = self.enough(exact, noisy)
        others = self.totals.with_value[measured][self.groups] - exact
        is_shown &= is_large & self.enough(others, with_value - noisy)
        return pa.array(
            [
                _share(having, total, self.terms.total_sd) if shown else None
                for having, total, shown in zip(noisy.tolist(), with_value.tolist(), is_shown.tolist(), strict=True)
            ],
            pa.float64(),
        )


def enough(exact: Codes, noisy: Codes, below: int, terms: NoiseTerms) -> Bools:
    """Which counts of subjects are published: those that reach the threshold, and whose noisy count exceeds it by the margin. A
    count that vanishes then does not prove that a subject left."""
    return np.asarray((exact >= below) & (noisy >= below + terms.margin), np.bool_)


def _share(having: int, total: int, sd: Fraction) -> float:
    exponent = power_of_ten_below(sd / (2 * total))
    return from_grid(to_grid(having, total, exponent), exponent)


@dataclass(frozen=True, slots=True)
class NoisySums:
    """Noisy sums of a field in each row."""

    values: Codes
    """The noisy number of values of each row."""
    centred: Codes
    """The noisy sum of the distances of the values from the middle of the bounds, in half units."""
    is_shown: Bools
    """The rows in which statistics of the field are published."""
    bounds: ValueBounds
    type_: pa.DataType
    sd: Fraction
    """The standard deviation of the noise of a count."""

    def means(self) -> list[float | None]:
        """The mean of each row, between the bounds."""
        return [None if each is None else from_grid(*each) for each in self._on_grid(is_total=False)]

    def totals(self) -> list[Fraction | None]:
        """The sum of each row: its noisy mean times its noisy number of values."""
        return [None if each is None else each[0] * Fraction(10) ** each[1] for each in self._on_grid(is_total=True)]

    def _on_grid(self, *, is_total: bool) -> Sequence[tuple[int, int] | None]:
        unit, width = self.bounds.unit(self.type_), self.bounds.width(self.type_)
        grids = {
            count: self._grid(count if is_total else 1, 1 if is_total else count)
            for count in np.unique(self.values).tolist()
        }
        low, half_unit = Fraction(self.bounds.low), unit / 2
        grid_numbers: list[tuple[int, int] | None] = []
        # A loop over rows: the products may exceed 64 bits.
        for count, centred, is_shown in zip(
            self.values.tolist(), self.centred.tolist(), self.is_shown.tolist(), strict=True
        ):
            if not is_shown:
                grid_numbers.append(None)
                continue
            above = min(max(width * count + centred, 0), 2 * width * count)  # half units above the lower bound, of all
            exponent, first, last = grids[count]
            numerator = low.numerator * count * half_unit.denominator + above * half_unit.numerator * low.denominator
            denominator = low.denominator * half_unit.denominator * (1 if is_total else count)
            grid_numbers.append((min(max(to_grid(numerator, denominator, exponent), first), last), exponent))
        return grid_numbers

    def _grid(self, summed: int, divided: int) -> tuple[int, int, int]:
        """The exponent of the grid of a sum of so many values, divided by a number, and the smallest and largest multiple between
        the bounds of that statistic. The grid is not wider than these."""
        low, high = Fraction(self.bounds.low) * summed, Fraction(self.bounds.high) * summed
        distance = Fraction(self.bounds.high - self.bounds.low)
        exponent = power_of_ten_below(min(distance * self.sd / (2 * divided), high - low) or Fraction(1))
        step = Fraction(10) ** exponent
        first, last = -(-low // step), high // step
        return exponent, first, max(first, last)
