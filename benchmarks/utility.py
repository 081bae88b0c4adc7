"""`python -m benchmarks.utility`: how much of a nightly table with noise is published in a year, and how far counts are off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean, median

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.definition import AggregateDefinition, BoundMeasure, GroupKey, NoiseTerms
from minimize.aggregates.noise import NoiseKey
from minimize.aggregates.tally import AggregateTally, settle_tables
from minimize.arrow.pointers import Pointer
from minimize.records import Batch

BELOW = 10
TENANTS = 30
VERSIONS = 3
KEYS = ("tenant", "version")
Numbers = npt.NDArray[np.int64]
Row = tuple[int, ...]


@dataclass(frozen=True)
class Scenario:
    """A fleet that reports every day.

    late       share of the rows that come on a later night: half of them on the next, half of the rest on the one after, …
    deletions  devices of the fleet whose records are deleted, each night on average
    window     nights for which a date is kept, and so can change
    """

    name: str
    late: float = 0.0
    deletions: float = 0.0
    devices: int = 3000
    window: int = 30


SCENARIOS = (
    Scenario("no late rows"),
    Scenario("1 % late", late=0.01),
    Scenario("5 % late", late=0.05),
    Scenario("one deletion a night", deletions=1),
    Scenario("1 % late, one deletion a night", late=0.01, deletions=1),
)


class Fleet:
    """Devices of tenants, a few of which have most of them; and what they report on a day."""

    def __init__(self, scenario: Scenario, nights: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._scenario = scenario
        share = 1 / np.arange(1, TENANTS + 1)
        size = scenario.devices
        self._tenant = self._random.choice(TENANTS, size, p=share / share.sum()).astype(np.int64)
        self._version = self._random.choice(VERSIONS, size, p=[0.7, 0.25, 0.05]).astype(np.int64)
        self._deleted = np.full(size, nights, np.int64)
        for night in range(nights):
            gone = self._random.integers(0, size, self._random.poisson(scenario.deletions))
            self._deleted[gone] = np.minimum(self._deleted[gone], night)

    def day(self, date: int) -> Day:
        """The rows of a day, of each with the nights from which and to which it is there."""
        there = np.flatnonzero((self._random.random(len(self._tenant)) < 0.9) & (self._deleted > date))
        device = np.repeat(there, self._random.integers(1, 3, len(there)))
        is_late = self._random.random(len(device)) < self._scenario.late
        arrives = date + np.where(is_late, self._random.geometric(0.5, len(device)), 0)
        columns = {
            "id": pa.array(device).cast(pa.string()),
            "tenant": pa.array(self._tenant[device]),
            "version": pa.array(self._version[device]),
        }
        return Day(pa.table(columns), arrives, self._deleted[device])


@dataclass
class Day:
    """The rows of a date, with the nights in which each arrives and goes, and its published counts.

    marks   the releases of the date so far
    counts  the published count of each row
    """

    rows: pa.Table
    arrives: Numbers
    goes: Numbers
    mask: npt.NDArray[np.bool_] | None = None
    marks: list[str | None] = field(default_factory=list)
    counts: Mapping[Row, int] = field(default_factory=dict)

    def changes(self, night: int) -> bool:
        """Whether its rows are others than in the night before."""
        before, self.mask = self.mask, (self.arrives <= night) & (self.goes > night)
        return before is None or not np.array_equal(before, self.mask)

    @property
    def present(self) -> pa.Table:
        """The rows that are there."""
        return self.rows.filter(pa.array(self.mask))

    def publish(self, key: NoiseKey, date: int, terms: NoiseTerms) -> None:
        """Publishes the date, unless it has had its last release."""
        keys = {name: GroupKey(name, pa.int64()) for name in KEYS}
        measures = {"devices": BoundMeasure(measure_from("count_distinct", "id"), pa.string())}
        definition = AggregateDefinition(
            "devices", keys, measures, BELOW, Pointer.parse("id"), noise=terms, source="fleet"
        )
        tally = AggregateTally(definition, hasher=key.hasher)
        batch = self.present.combine_chunks().to_batches()[0]
        tally.observe(Batch(batch, released={name: batch.column(name) for name in batch.schema.names}))
        made = settle_tables({"devices": tally}, key, str(date))["devices"]
        if made.mark in self.marks or len(self.marks) < terms.releases:
            self.marks = [*dict.fromkeys([*self.marks, made.mark])]
            self.counts = _counts(made.table, "devices")


def _counts(table: pa.Table, name: str) -> dict[Row, int]:
    groups = zip(*(table[key].to_pylist() for key in KEYS), strict=True)
    return dict(zip(groups, table[name].to_pylist(), strict=True))


@dataclass
class Utility:
    """Rows with enough devices at the end of their dates' windows: how many are published, and the errors of their counts."""

    rows: int = 0
    shown: int = 0
    devices: int = 0
    devices_shown: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, day: Day) -> None:
        """Adds a date."""
        found = day.present.group_by(list(KEYS)).aggregate([("id", "count_distinct")])
        for group, true in _counts(found, "id_count_distinct").items():
            if true < BELOW:
                continue
            self.rows, self.devices = self.rows + 1, self.devices + true
            if group in day.counts:
                self.shown, self.devices_shown = self.shown + 1, self.devices_shown + true
                self.errors.append(abs(day.counts[group] - true) / true)

    def line(self, name: str) -> str:
        """A line of the table in the documentation."""
        figures = (
            self.shown / max(self.rows, 1),
            self.devices_shown / max(self.devices, 1),
            median(self.errors or [0]),
            fmean(self.errors or [0]),
        )
        return f"| {name} | {self.rows:,} | {' | '.join(f'{100 * figure:.1f} %' for figure in figures)} | 0 |"


def ended_dates(scenario: Scenario, count: int, seed: int) -> Iterator[Day]:
    """The dates of so many nights, each when its window ends. The nights publish every date whose rows have changed."""
    fleet, key, days = Fleet(scenario, count, seed), NoiseKey.random(), dict[int, Day]()
    for night in range(count):
        days[night] = fleet.day(night)
        for date, day in days.items():
            if day.changes(night):
                day.publish(key, date, NoiseTerms())
        if night - scenario.window in days:
            yield days.pop(night - scenario.window)
    yield from days.values()


HEAD = """\
| | rows of ten devices or more | published | their devices | error of a count: median | mean | deferred |
|---|---|---|---|---|---|---|"""


@click.command()
@click.option("--nights", "count", default=365, show_default=True, help="Nights of each scenario.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other nights.")
def main(count: int, seed: int) -> None:
    """Rows of a table by tenant and version with noise, for a threshold of 10 and three releases of a date."""
    click.echo(HEAD)
    for scenario in SCENARIOS:
        found = Utility()
        for day in ended_dates(scenario, count, seed):
            found.add(day)
        click.echo(found.line(scenario.name))


if __name__ == "__main__":
    main()
