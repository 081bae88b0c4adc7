"""Checks of noise: what receipts state about it, the releases of a date, and statistics that noise could not have made.

Written from the definition of noisy statistics, without the code that makes them. Only with the keyring and the records could one
check that noise was drawn and not chosen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from math import floor, isqrt
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.receipts import NoiseEntry, Receipt, WrittenOutput
from minimize.verification.evidence import Evidence, EvidenceFile, EvidenceRun, new_finding

TABLES_VERSION: Final = 1
"""The newest known version of the tables of thresholds."""
_LARGEST_DRAW: Final = 6
"""A draw is at most so many standard deviations from 0. A count has two draws."""
Bounds = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class NoiseView:
    """The noise of an aggregate's statistics, as its pipeline defines it."""

    sd: Decimal
    """The standard deviation of each of the two draws of a count."""
    releases: int
    """The number of different releases that a date may have."""
    rows: int
    """The largest number of rows that one subject contributes to a row."""

    @property
    def total_sd(self) -> Fraction:
        """The standard deviation of a count: the square root of two variances, to three decimals."""
        return Fraction((isqrt(int(8 * self.sd**2 * 10**6)) + 1) // 2, 1000)

    @property
    def margin(self) -> int:
        """By how much a noisy count must exceed the threshold."""
        return -floor(-self.total_sd)

    def most_subjects(self, count: int) -> Fraction:
        """The largest noisy number of subjects with a value in a row with this noisy number of subjects."""
        return Fraction(count) + 4 * _LARGEST_DRAW * Fraction(self.sd)

    def most_values(self, count: int) -> Fraction:
        """The largest noisy number of values in a row with this noisy number of subjects."""
        return self.rows * self.most_subjects(count) + 2


def read_noise(raw: Mapping[str, Any]) -> NoiseView | None:
    """The noise of an aggregate's mapping; None if its statistics are exact. Raises ValueError, TypeError or AttributeError."""
    if raw.get("exact") is not None:
        return None
    noise, limits = raw.get("noise") or {}, raw.get("per_subject") or {}
    return NoiseView(Decimal(str(noise.get("sd", 2))), int(noise.get("releases", 3)), int(limits.get("rows", 1)))


def is_of_earlier_version(output: WrittenOutput) -> bool:
    """Whether the statistics were made before statistics had noise: those versions wrote sketches with each table."""
    return output.noise is None and output.sketches is not None


def check_terms(noise: NoiseView | None, run: EvidenceRun, file: EvidenceFile) -> Iterator[Finding]:
    """V048: the noise that a receipt states is that of its pipeline, and it names the release of the table."""
    output = run.receipt.outputs[file.name]
    stated = output.noise
    if noise is None:
        if stated is not None:
            yield new_finding(
                "V048", "the receipt states noise, but the pipeline defines exact statistics", file=run.place
            )
        return
    if stated is None:
        if run.is_first and not is_of_earlier_version(output):
            yield new_finding("V048", "the receipt states no noise, but the pipeline defines it", file=run.place)
        return
    yield from _entry_findings(noise, stated, run.place)
    if (file.date or "") not in (output.releases or {}):
        yield new_finding("V048", "the receipt does not name the release of the table", file=file.root)


def _entry_findings(noise: NoiseView, stated: NoiseEntry, place: str) -> Iterator[Finding]:
    if (stated.sd, stated.margin) != (f"{noise.sd.normalize():f}", noise.margin):
        yield new_finding("V048", "the noise that the receipt states is not that of the pipeline", file=place)
    if stated.tables > TABLES_VERSION:
        hint = "Verify with the version of minimize that wrote the receipt, or a later one."
        yield new_finding("V048", "the version of the tables of thresholds is not known", file=place, hint=hint)


def check_releases(evidence: Evidence, definitions: Mapping[tuple[str, str], NoiseView | None]) -> Iterator[Finding]:
    """V053 and V054 for every aggregate and date. Takes the noise of each run's aggregates, by run and name."""
    runs = {run.receipt.run_id: run for run in evidence.runs}
    marks: dict[tuple[str, str], list[str]] = {}
    digests: dict[tuple[object, ...], frozenset[str]] = {}
    for receipt in evidence.history:
        for name, output in receipt.outputs.items():
            run = runs.get(receipt.run_id)
            noise = definitions.get((receipt.run_id, name))
            for date, release in (output.releases or {}).items():
                known = marks.setdefault((name, date), [])
                if release.mark in known:
                    continue
                known.append(release.mark)
                if run is not None and noise is not None and len(known) > noise.releases:
                    message = f"the date has {len(known)} releases, but may have {noise.releases}"
                    yield new_finding("V053", message, file=_root(name, date))
            if run is None or not run.is_first:
                continue
            yield from _equal_release_findings(name, receipt, output, digests)
    exact = {place for place, noise in definitions.items() if noise is None}
    yield from _exact_release_findings(
        evidence.history, {each.receipt.run_id for each in evidence.runs if each.is_first}, exact
    )


def _exact_release_findings(
    history: Iterable[Receipt], first: Collection[str], exact: Collection[tuple[str, str]]
) -> Iterator[Finding]:
    """V053: exact statistics of a date that were published again, although no void receipt permits it. Takes the ids of runs that
    read a source, and the runs and names with exact statistics."""
    published: dict[tuple[str, str], str] = {}
    for receipt in history:
        if receipt.republish:
            published = {place: run_id for place, run_id in published.items() if run_id != receipt.voids}
        for name, output in receipt.outputs.items() if receipt.run_id in first else ():
            if (receipt.run_id, name) not in exact or is_of_earlier_version(output):
                continue
            for date in _digests_by_date(output, filled=True):
                if (name, date) in published:
                    message = "exact statistics were published twice, and no void receipt permits it"
                    yield new_finding("V053", message, file=_root(name, date))
                published[name, date] = receipt.run_id


def _equal_release_findings(
    name: str, receipt: Receipt, output: WrittenOutput, digests: dict[tuple[object, ...], frozenset[str]]
) -> Iterator[Finding]:
    """V054: the same release by the same plan and software has the same bytes, unless groups were past their retention."""
    by_date = _digests_by_date(output)
    for date, release in (output.releases or {}).items():
        if output.groups_past or date not in by_date:
            continue
        place = (name, date, release.mark, receipt.plan.digest, tuple(sorted(receipt.versions.items())))
        if digests.setdefault(place, by_date[date]) != by_date[date]:
            yield new_finding("V054", "an equal release has other bytes than before", file=_root(name, date))


def _digests_by_date(output: WrittenOutput, *, filled: bool = False) -> dict[str, frozenset[str]]:
    """The digests of an output's files, or of those with rows, by date, empty for no date."""
    digests_by_date: dict[str, set[str]] = {}
    for file in (file for file in output.files if file.rows or not filled):
        date = next((part[5:] for part in file.path.split("/") if part.startswith("date=")), "")
        digests_by_date.setdefault(date, set()).add(file.digest)
    return {date: frozenset(each) for date, each in digests_by_date.items()}


def _root(name: str, date: str) -> str:
    return f"{name}/date={date}" if date else name


@dataclass(frozen=True, slots=True)
class NoisyTable:
    """One table in force with noise, and what its statistics are."""

    root: str
    groups: Mapping[str, tuple[Pointer, str | None]]
    """The field and the unit of each group key, by column."""
    measures: Mapping[str, str]
    """The measure of each column, as text that is equal for equal measures."""
    terms: tuple[object, ...]
    """Everything that must be equal in another table so that equal rows have equal statistics."""
    table: pa.Table

    def figures(self, groups: Sequence[tuple[Pointer, str | None]], measures: Sequence[str]) -> dict[Any, Any]:
        """The statistics of some measures, by the values of the group keys."""
        names = {each: column for column, each in self.groups.items()}
        values = {each: column for column, each in self.measures.items()}
        keys = [self.table[names[each]].to_pylist() for each in groups]
        figures = [self.table[values[each]].to_pylist() for each in measures]
        rows = zip(*keys, strict=True) if keys else [()] * self.table.num_rows
        return dict(zip(rows, zip(*figures, strict=True), strict=True))


COMPARED_MEASURES: Final = ("count", "count_distinct", "sum", "mean", "histogram", "share")
"""The measures whose statistics do not depend on other measures of their table."""


def measure_text(raw: Any) -> str:
    """A measure as text that is equal for equal measures; empty if its statistics are not compared."""
    word = raw if isinstance(raw, str) else next(iter(raw))
    return json.dumps(raw, sort_keys=True, default=str) if word in COMPARED_MEASURES else ""


def check_equal_rows(tables: Iterable[NoisyTable]) -> Iterator[Finding]:
    """V055: rows with the same groups have the same statistics in all tables of a release."""
    by_terms: dict[tuple[object, ...], list[NoisyTable]] = {}
    for table in tables:
        by_terms.setdefault((table.terms, frozenset(table.groups.values())), []).append(table)
    for alike in by_terms.values():
        for first, second in combinations(alike, 2):
            groups = sorted(first.groups.values(), key=str)
            measures = sorted({*first.measures.values()} & {*second.measures.values()} - {""})
            if not measures:
                continue
            first_figures, second_figures = first.figures(groups, measures), second.figures(groups, measures)
            wrong = sum(
                first_figures[row] != second_figures[row] for row in first_figures.keys() & second_figures.keys()
            )
            if wrong:
                message = f"{wrong} rows have other statistics than the same rows of {first.root}"
                yield new_finding("V055", message, file=second.root)


def share_limits(noise: NoiseView, below: int, subjects: int | None) -> tuple[Fraction, Fraction]:
    """The smallest and the largest share that can be published in a row with this noisy number of subjects."""
    least = below + noise.margin
    least_share = Fraction(0) if subjects is None else least / noise.most_subjects(subjects)
    smallest = max(least_share - noise.total_sd / (8 * least), Fraction(0))
    return smallest, 1 - smallest


def grid_exponent(limit: Fraction) -> int:
    """The exponent of the largest power of ten that is at most a positive number."""
    exponent = 0
    while Fraction(10) ** exponent > limit:
        exponent -= 1
    while Fraction(10) ** (exponent + 1) <= limit:
        exponent += 1
    return exponent


def is_on_grid(value: Any, exponent: int) -> bool:
    """Whether a number is a multiple of a power of ten, rounded to its type."""
    if isinstance(value, float) and value != value:
        return False
    step = Fraction(10) ** exponent
    multiple = round(Fraction(value) / step) * step
    return value == float(multiple) if isinstance(value, float) else Fraction(value) == multiple


@dataclass(frozen=True, slots=True)
class MeanGrid:
    """The grid of the means and sums of a field between two bounds: at most half of the standard deviation of their noise, and at
    most the distance of their bounds. Takes the smallest number of subjects with a value."""

    noise: NoiseView
    low: Fraction
    high: Fraction
    least: int

    @property
    def _spread(self) -> Fraction:
        """Half of the standard deviation of the noise of a sum."""
        return (self.high - self.low) * self.noise.rows * self.noise.total_sd / 2

    def is_mean(self, mean: Any, subjects: int | None) -> bool:
        """Whether a mean is on the grid of its row, which has this noisy number of subjects, if it is published."""
        if subjects is None:
            return True
        limit = min(self._spread / self.noise.most_values(subjects), self.high - self.low)
        return is_on_grid(mean, grid_exponent(limit))

    def is_sum(self, total: Any) -> bool:
        """Whether a sum is on its grid."""
        values = self.least if self.noise.rows == 1 else 1
        return is_on_grid(total, grid_exponent(min(self._spread, (self.high - self.low) * values)))

    def is_consistent(self, mean: Any, total: Any, subjects: int | None) -> bool:
        """Whether a sum can be the mean times a number of values: each is at most a step of its grid from the unrounded one."""
        exact, most = Fraction(mean), None if subjects is None else floor(self.noise.most_values(subjects))
        values = max(round(Fraction(total) / exact), 1) if exact else 1
        return abs(Fraction(total) - exact * (values if most is None else min(values, most))) <= 2 * self._spread
