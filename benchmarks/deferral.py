"""`python -m benchmarks.deferral`: how many rows of a nightly table are deferred in a year, and for how many nights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.publisher import Publisher, definition
from minimize.aggregates.tally import AggregateResult

BELOW = 10
TENANTS = 30
VERSIONS = 3
Numbers = npt.NDArray[np.int64]
Row = tuple[int, ...]


@dataclass(frozen=True)
class Scenario:
    """A fleet that reports every day.

    late       share of the rows that come on a later night: half of them on the next, half of the rest on the one after, …
    deletions  devices of the fleet whose records are deleted, each night on average
    coarse     whether totals of each tenant are published next to the table by tenant and version
    window     nights for which a date is kept, and so can change
    """

    name: str
    late: float = 0.0
    deletions: float = 0.0
    coarse: bool = False
    devices: int = 3000
    window: int = 30

    @property
    def tables(self) -> dict[str, list[str]]:
        """The keys of each table."""
        coarse = {"tenants": ["tenant"]} if self.coarse else {}
        return {**coarse, "versions": ["tenant", "version"]}


SCENARIOS = (
    Scenario("0.1 % late", late=0.001),
    Scenario("1 % late", late=0.01),
    Scenario("5 % late", late=0.05),
    Scenario("one deletion a week", deletions=1 / 7),
    Scenario("one deletion a night", deletions=1),
    Scenario("1 % late, one deletion a night", late=0.01, deletions=1),
    Scenario("the same, and totals of tenants", late=0.01, deletions=1, coarse=True),
)


@dataclass(frozen=True)
class Night:
    """One table of one date after a night in which it was made anew.

    figures    of each group the sum of numbers that no two of its rows share: other rows, another sum
    devices    of each group the number of its devices
    published  those sums, as they were published
    """

    number: int
    date: int
    table: str
    figures: Mapping[Row, int] = field(repr=False)
    devices: Mapping[Row, int] = field(repr=False)
    published: Mapping[Row, int] = field(repr=False)
    result: AggregateResult = field(repr=False)


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

    def day(self, date: int) -> _Day:
        """The rows of a day, of each with the nights from which and to which it is there."""
        there = np.flatnonzero((self._random.random(len(self._tenant)) < 0.9) & (self._deleted > date))
        device = np.repeat(there, self._random.integers(1, 3, len(there)))
        is_late = self._random.random(len(device)) < self._scenario.late
        arrives = date + np.where(is_late, self._random.geometric(0.5, len(device)), 0)
        columns = {
            "id": pa.array(device).cast(pa.string()),
            "tenant": pa.array(self._tenant[device]),
            "version": pa.array(self._version[device]),
            "x": pa.array(self._random.integers(0, 100, len(device))),
            "w": pa.array(self._random.integers(1, 1 << 36, len(device))),
        }
        return _Day(pa.table(columns), arrives, self._deleted[device])


@dataclass
class _Day:
    rows: pa.Table
    arrives: Numbers
    goes: Numbers
    mask: npt.NDArray[np.bool_] | None = None

    def changes(self, night: int) -> bool:
        """Whether its rows are others than in the night before."""
        before, self.mask = self.mask, (self.arrives <= night) & (self.goes > night)
        return before is None or not np.array_equal(before, self.mask)


def nights(scenario: Scenario, count: int, seed: int = 0) -> Iterator[Night]:
    """So many nights: each publishes the day before, and every date in the window of which rows came late or were deleted."""
    fleet = Fleet(scenario, count, seed)
    tables = {name: definition(name, keys, BELOW) for name, keys in scenario.tables.items()}
    publishers: dict[int, Publisher] = {}
    days: dict[int, _Day] = {}
    for night in range(count):
        days[night], publishers[night] = fleet.day(night), Publisher(tables)
        days.pop(night - scenario.window, None)
        publishers.pop(night - scenario.window, None)
        for date, day in days.items():
            if day.changes(night):
                rows = day.rows.filter(pa.array(day.mask))
                for name, each in publishers[date].publish(rows).items():
                    keys = scenario.tables[name]
                    yield Night(night, date, name, *_groups(rows, keys), _sums(each.result.table, keys), each.result)


def _groups(rows: pa.Table, keys: list[str]) -> tuple[dict[Row, int], dict[Row, int]]:
    found = rows.group_by(keys).aggregate([("w", "sum"), ("id", "count_distinct")])
    groups = _rows(found, keys)
    figures, devices = found["w_sum"].to_pylist(), found["id_count_distinct"].to_pylist()
    return dict(zip(groups, figures, strict=True)), dict(zip(groups, devices, strict=True))


def _sums(table: pa.Table, keys: list[str]) -> dict[Row, int]:
    return dict(zip(_rows(table, keys), table["w"].to_pylist(), strict=True))


def _rows(table: pa.Table, keys: list[str]) -> list[Row]:
    return [*zip(*(table[key].to_pylist() for key in keys), strict=True)]


@dataclass
class Deferrals:
    """Which rows had to keep their former figures, and for how many nights.

    rows       rows that were published at all: a group of a date
    deferred   those that were deferred at least once
    waits      of each wait that ended, its nights
    open       rows that wait still, or waited when their date was removed
    vanished   rows that were in force, and are not any more, though they have enough devices
    """

    window: int
    rows: set[tuple[str, int, Row]] = field(default_factory=set)
    deferred: set[tuple[str, int, Row]] = field(default_factory=set)
    vanished: set[tuple[str, int, Row]] = field(default_factory=set)
    waits: list[int] = field(default_factory=list)
    open: dict[tuple[str, int, Row], int] = field(default_factory=dict)

    def add(self, night: Night) -> None:
        """Takes a table of a night in."""
        for group, figure in night.figures.items():
            key = (night.table, night.date, group)
            published = night.published.get(group)
            if published is None:
                if key in self.rows and night.devices[group] >= BELOW:
                    self.vanished.add(key)
                self.open.pop(key, None)
                continue
            self.rows.add(key)
            if published != figure:
                self.deferred.add(key)
                self.open.setdefault(key, night.number)
            elif key in self.open:
                self.waits.append(night.number - self.open.pop(key))

    def line(self, name: str) -> str:
        """A line of the table in the documentation."""
        several = self.waits if len(self.waits) > 1 else [*self.waits, *self.waits] or [0, 0]
        nine = quantiles(several, n=10, method="inclusive")[-1]
        figures = [
            f"{len(self.rows):,}",
            f"{_percent(len(self.deferred), len(self.rows))}",
            f"{_percent(len(self.open), len(self.deferred))}",
            f"{median(several):.0f}" if self.waits else "–",
            f"{nine:.0f}" if self.waits else "–",
            f"{max(several)}" if self.waits else "–",
            f"{_percent(len(self.vanished), len(self.rows))}",
        ]
        return f"| {name} | {' | '.join(figures)} |"


HEAD = """\
| | rows | deferred at least once | of those never released | nights until released: median | 90 % | most | vanished |
|---|---|---|---|---|---|---|---|"""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"


@click.command()
@click.option("--nights", "count", default=365, show_default=True, help="Nights of each scenario.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other nights.")
def main(count: int, seed: int) -> None:
    """Rows of the table by tenant and version that kept their former figures, and how long, for a threshold of 10."""
    logging.getLogger("minimize").setLevel(logging.ERROR)
    click.echo(HEAD)
    for scenario in SCENARIOS:
        found = {name: Deferrals(scenario.window) for name in scenario.tables}
        for night in nights(scenario, count, seed):
            found[night.table].add(night)
        for name, each in found.items():
            click.echo(each.line(scenario.name if name == "versions" else f"{scenario.name}: {name}"))


if __name__ == "__main__":
    main()
