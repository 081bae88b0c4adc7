"""Utility of a table with noise: which of its rows are shown, and how far its statistics are off.

Computed from the tables of thresholds, for all draws together, so that nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final, Self

import numpy as np

from minimize.aggregates.definition import STANDARD_DEVIATIONS, AggregateDefinition, StandardDeviation
from minimize.aggregates.noise import draw_table
from minimize.aggregates.noisy_figures import enough
from minimize.arrow.dictionaries import Codes, Doubles
from minimize.results import OMIT_IF_EMPTY, OMIT_IF_NONE, JsonResult
from minimize.text import brief_number, count_noun, percent_text

_WORDS: Final = 1 << 64


@lru_cache(maxsize=len(STANDARD_DEVIATIONS))
def count_noise(sd: StandardDeviation) -> tuple[Codes, Doubles]:
    """The possible noise of a count, ascending, and the probability of each: the sum of two draws.

    >>> noise, probabilities = count_noise("2")
    >>> int(noise[0]), int(noise[-1]), round(float(probabilities @ noise**2), 6)
    (-24, 24, 8.0)
    """
    limits = [0, *draw_table(sd).whole.tolist(), _WORDS]
    once = [(above - below) / _WORDS for below, above in pairwise(limits)]
    both = np.convolve(once, once)
    most = len(both) // 2
    return np.arange(-most, most + 1), both


@dataclass(frozen=True, slots=True)
class RowUtility:
    """What to expect of rows with so many subjects."""

    shown: Doubles
    """The probability that a row is shown."""
    count_error: Doubles
    """The mean distance of a shown number of subjects from the exact one."""
    deviations: Mapping[str, Doubles]
    """The standard deviation of the noise of each other measure whose statistic is one number, if each subject has a value."""


def row_utility(definition: AggregateDefinition, subjects: Codes) -> RowUtility:
    """What to expect of the rows of a table. Takes the number of subjects of each.

    Only large draws lift a small row over the threshold, so that its error is larger if it is shown.
    """
    if definition.noise is None:
        return RowUtility((subjects >= definition.below).astype(np.float64), np.zeros(len(subjects)), {})
    numbers, places = np.unique(subjects, return_inverse=True)
    noise, weights = _shown_draws(definition, numbers)
    shown = weights.sum(axis=1)
    error = weights @ np.abs(noise) / np.where(shown > 0, shown, 1.0)
    return RowUtility(shown[places], error[places], _deviations(definition, subjects))


def _shown_draws(definition: AggregateDefinition, numbers: Codes) -> tuple[Codes, Doubles]:
    """The possible noise, and for each number of subjects the probability of each with which the row is shown."""
    assert definition.noise is not None
    noise, probabilities = count_noise(definition.noise.sd)
    exact = numbers[:, None]
    return noise, probabilities * enough(exact, exact + noise, definition.below, definition.noise)


def _deviations(definition: AggregateDefinition, subjects: Codes) -> dict[str, Doubles]:
    measures = [
        (label, bound_measure)
        for label, bound_measure in definition.measures.items()
        if not definition.counts_subjects(bound_measure)
    ]
    sizes = [(label, definition.stated_noise(bound_measure)) for label, bound_measure in measures]
    return {label: size.of_rows(subjects.astype(np.float64)) for label, size in sizes if size is not None}


@dataclass(frozen=True, slots=True)
class TableUtility(JsonResult):
    """What to expect of one table, as `plan` and `lint` show it."""

    name: str
    rows: int
    """The number of rows: all of a preview, or those that were shown on a date."""
    shown: float
    """The expected number of rows that are shown."""
    subjects: float | None = field(default=None, metadata=OMIT_IF_NONE)
    """The expected share of the subjects, each counted in each of its rows, that are in shown rows."""
    count_error: float | None = field(default=None, metadata=OMIT_IF_NONE)
    """The median of the relative error of shown numbers of subjects; None if it is not known."""
    deviations: Mapping[str, float] = field(default_factory=dict)
    """The standard deviation of the noise of each other measure whose statistic is one number, in the median of the rows."""
    hidden: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """The measures of whose statistics noise hides most, in the median of the rows."""
    unstated: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """The other measures, whose statistics are not one number, or whose noise is in the rank."""
    is_exact: bool = False
    """Whether the statistics have no noise."""
    is_preview: bool = True
    date: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The date on which the rows were shown; None for a preview, or if the table has no dates."""
    most_rows: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """The largest number of rows of one subject in one group of a preview, if statistics depend on it and more than one."""
    counted_rows: int | None = field(default=None, metadata=OMIT_IF_NONE)
    """How many of the `most_rows` count; None if the pipeline does not state it."""
    older: str = field(default="", metadata=OMIT_IF_EMPTY)
    """What to know of published statistics that are older than the data of the last run; empty if there are none."""

    @classmethod
    def of_preview(cls, definition: AggregateDefinition, subjects: Codes, most_rows: int) -> Self:
        """Of the exact number of subjects of each row, and the largest number of rows of one subject. If the number of rows that
        count is not stated, all of them count, because a run refuses fewer."""
        stated = definition.limits
        if definition.needs_limit:
            definition = replace(definition, limits=replace(stated, rows=max(stated.rows, most_rows)))
        expected = row_utility(definition, subjects)
        depends = any(each.measure.depends_on_rows for each in definition.measures.values())
        all_subjects = int(subjects.sum())
        deviations = _medians(expected.deviations, expected.shown)
        return cls(
            name=definition.name,
            rows=len(subjects),
            shown=float(expected.shown.sum()),
            subjects=float(expected.shown @ subjects) / all_subjects if all_subjects else None,
            count_error=_median_error(definition, subjects, is_shown=False),
            deviations=deviations,
            hidden=_hidden_measures(
                definition, deviations, _weighted_median(subjects.astype(np.float64), expected.shown)
            ),
            unstated=_unstated_measures(definition),
            is_exact=definition.noise is None,
            most_rows=most_rows if depends and definition.noise is not None and most_rows > 1 else None,
            counted_rows=stated.rows if stated.is_stated else None,
        )

    @classmethod
    def of_published(cls, definition: AggregateDefinition, rows: int, subjects: Codes | None, date: str | None) -> Self:
        """Of a published table: the number of its rows and, if the table has it, the noisy number of subjects of each."""
        known = np.empty(0, np.int64) if subjects is None else subjects
        weights = np.ones(len(known))
        deviations = _medians(_deviations(definition, known), weights)
        return cls(
            name=definition.name,
            rows=rows,
            shown=float(rows),
            count_error=_median_error(definition, known, is_shown=True),
            deviations=deviations,
            hidden=_hidden_measures(definition, deviations, _weighted_median(known.astype(np.float64), weights)),
            unstated=_unstated_measures(definition),
            is_exact=definition.noise is None,
            is_preview=False,
            date=date,
        )

    def lines(self) -> Iterator[str]:
        """One line."""
        parts = [
            f"{self.name}: {self._rows_text()}",
            self._error_text(),
            self._hidden_text(),
            self._limit_text(),
            self.older,
        ]
        yield "; ".join(part for part in parts if part)

    def _rows_text(self) -> str:
        if not self.is_preview:
            return f"{count_noun(self.rows, 'row')} {'was' if self.rows == 1 else 'were'} shown" + (
                f" on {self.date}" if self.date else " by the last run"
            )
        about = "" if self.is_exact else "about "
        share = f" ({percent_text(self.subjects)} of subjects)" if self.subjects is not None else ""
        return f"{about}{self.shown:,.0f} of {count_noun(self.rows, 'row')} would be shown{share}"

    def _error_text(self) -> str:
        if self.is_exact:
            return "statistics are exact"
        if self.count_error is None:
            return (
                "" if self.shown < 0.5 else "the table has no number of subjects, so that relative errors are not known"
            )
        sizes = ", ".join(f"{label} {brief_number(size)}" for label, size in self.deviations.items())
        others = f"; standard deviation of noise in the median row: {sizes}" if sizes else ""
        others += f"; noise without a standard deviation: {', '.join(self.unstated)}" if self.unstated else ""
        return f"a number of subjects is off by {percent_text(self.count_error)} (median){others}"

    def _hidden_text(self) -> str:
        if not self.hidden:
            return ""
        advice = "choose closer bounds, a smaller `per_subject`, or fewer groups"
        return f"WARNING: noise hides most of {', '.join(self.hidden)}: {advice}"

    def _limit_text(self) -> str:
        if self.most_rows is None or self.most_rows <= (self.counted_rows or 1):
            return ""
        if self.counted_rows is None:
            return f"a subject has up to {self.most_rows} rows: state how many count, `per_subject: {{rows: {self.most_rows}}}`"
        return f"a subject has up to {self.most_rows} rows, of which {self.counted_rows} count"


def _median_error(definition: AggregateDefinition, subjects: Codes, *, is_shown: bool) -> float | None:
    """The median of the relative error of a shown number of subjects, over the rows and all draws; None if no row is shown."""
    numbers, counts = np.unique(subjects[subjects > 0], return_counts=True)
    if definition.noise is None or not len(numbers):
        return None
    noise, weights = _shown_draws(definition, numbers)
    if is_shown:
        weights = np.broadcast_to(count_noise(definition.noise.sd)[1], weights.shape)
    return _weighted_median(np.abs(noise) / numbers[:, None], weights * counts[:, None])


def _hidden_measures(
    definition: AggregateDefinition, deviations: Mapping[str, float], subjects: float | None
) -> tuple[str, ...]:
    """The measures of whose statistics noise hides most, in a row with so many subjects."""
    sizes = {label: definition.stated_noise(definition.measures[label]) for label in deviations}
    return tuple(
        label
        for label, size in sizes.items()
        if size is not None and subjects is not None and size.hides(deviations[label], subjects)
    )


def _unstated_measures(definition: AggregateDefinition) -> tuple[str, ...]:
    if definition.noise is None:
        return ()
    return tuple(
        label for label, bound_measure in definition.measures.items() if definition.stated_noise(bound_measure) is None
    )


def _medians(deviations: Mapping[str, Doubles], weights: Doubles) -> dict[str, float]:
    medians = {label: _weighted_median(sizes, weights) for label, sizes in deviations.items()}
    return {label: size for label, size in medians.items() if size is not None}


def _weighted_median(values: Doubles, weights: Doubles) -> float | None:
    order = np.argsort(values, axis=None, kind="stable")
    reached = np.cumsum(weights.ravel()[order])
    if not len(reached) or reached[-1] <= 0:
        return None
    return float(values.ravel()[order][np.searchsorted(reached, reached[-1] / 2)])
