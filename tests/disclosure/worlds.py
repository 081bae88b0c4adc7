"""Many small worlds in one release: what an attacker sees of each, with noise and, as a control, without.

A world is one row of a table, or a few. All worlds are settled together, so that a test needs one release for each night. The
attacker knows the code, the distribution of the noise, and everything about a world except one fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates import measure_from
from minimize.aggregates.base import ValueBounds
from minimize.aggregates.definition import (
    AggregateDefinition,
    BoundMeasure,
    GroupKey,
    NoiseTerms,
    StandardDeviation,
    SubjectLimits,
)
from minimize.aggregates.noise import NoiseKey, draw_table
from minimize.aggregates.tally import AggregateTally, settle_tables
from minimize.arrow.pointers import Pointer
from minimize.records import Batch

Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
People = Mapping[str, Integers]
"""One row for each person: the number of the person, the world, and other fields."""

BELOW: Final = 10
KEY: Final = NoiseKey(b"worlds are values".ljust(32), b"worlds are draws".ljust(32))


def around(most: int) -> ValueBounds:
    """Bounds at the same distance from 0."""
    return ValueBounds(Decimal(-most), Decimal(most))


SCORES: Final = ValueBounds(Decimal(0), Decimal(100))
BIT: Final = ValueBounds(Decimal(0), Decimal(1))
TYPES: Final = {"day": pa.date32()}
"""The types of fields that are not integers."""
MEASURES: Final[Mapping[str, BoundMeasure]] = {
    "people": BoundMeasure(measure_from("count_distinct", "person"), pa.int64()),
    "rows": BoundMeasure(measure_from("count")),
    "balance": BoundMeasure(measure_from("sum", "score"), pa.int64(), generalized=True, bounds=around(50)),
    "wide_balance": BoundMeasure(measure_from("sum", "score"), pa.int64(), generalized=True, bounds=around(100)),
    "mean": BoundMeasure(measure_from("mean", "score"), pa.int64(), generalized=True, bounds=SCORES),
    "sum": BoundMeasure(measure_from("sum", "score"), pa.int64(), generalized=True, bounds=SCORES),
    "bit_mean": BoundMeasure(measure_from("mean", "bit"), pa.int64(), generalized=True, bounds=BIT),
    "bit_sum": BoundMeasure(measure_from("sum", "bit"), pa.int64(), generalized=True, bounds=BIT),
    "age_mean": BoundMeasure(measure_from("mean", "age"), pa.int64(), generalized=True, bounds=SCORES),
    "moods": BoundMeasure(measure_from("histogram", "bit"), pa.int64()),
    "median": BoundMeasure(measure_from("quantile", {"of": "bit", "q": 0.5}), pa.int64(), generalized=True),
}


@dataclass(frozen=True)
class Form:
    """A table: its keys next to the world, the names of its measures, and the size of its noise."""

    keys: Sequence[str] = ()
    measures: Sequence[str] = ("people",)
    sd: StandardDeviation = "2"
    limit: int = 1

    def definition(self, *, has_noise: bool) -> AggregateDefinition:
        """Its definition."""
        return AggregateDefinition(
            "table",
            {name: GroupKey(name, TYPES.get(name, pa.int64())) for name in ("world", *self.keys)},
            {name: MEASURES[name] for name in self.measures},
            BELOW,
            Pointer.parse("person"),
            noise=NoiseTerms(self.sd) if has_noise else None,
            limits=SubjectLimits(self.limit),
            source="people",
        )


@dataclass(frozen=True)
class Night:
    """The tables of one release."""

    tables: Sequence[pa.Table] = field(repr=False)
    worlds: int

    def figures(self, table: int, measure: str, **where: int) -> Doubles:
        """A figure of each world, of the row with these other keys; NaN if it is absent."""
        found, rows = np.full(self.worlds, np.nan), self.tables[table]
        for key, value in where.items():
            rows = rows.filter(pa.array(rows[key].cast(pa.int32()).to_numpy() == value))
        found[rows["world"].to_numpy()] = rows[measure].to_numpy()
        return found

    def cells(self, table: int, value: int) -> Doubles:
        """The count of a cell of each world's histogram; NaN if it is absent."""
        found, rows = np.full(self.worlds, np.nan), self.tables[table].to_pylist()
        for row in rows:
            for cell in row["moods"]:
                if cell["value"] == value:
                    found[row["world"]] = cell["count"]
        return found


def publish(people: People, *forms: Form, date: str = "2026-01-01", has_noise: bool = True) -> Night:
    """The tables of one release."""
    columns = {name: _column(name, values) for name, values in people.items()}
    batch = Batch(pa.record_batch(columns), released=columns)
    tallies = {
        str(place): AggregateTally(form.definition(has_noise=has_noise), hasher=KEY.hasher)
        for place, form in enumerate(forms)
    }
    for tally in tallies.values():
        tally.observe(batch)
    settled = settle_tables(tallies, KEY, date)
    worlds = int(people["world"].max()) + 1
    return Night([settled[str(place)].table for place in range(len(forms))], worlds)


def _column(name: str, values: Integers) -> pa.Array:
    return pa.array(values.astype(np.int32), TYPES[name]) if name in TYPES else pa.array(values, pa.int64())


def nights(people: People, *forms: Form, count: int, has_noise: bool = True) -> list[Night]:
    """As many nights with the same people."""
    return [publish(people, *forms, date=f"night {number}", has_noise=has_noise) for number in range(count)]


def crowd(sizes: Integers, **fields: Integers) -> dict[str, Integers]:
    """So many people in each world. Fields are those of a world, or of a person."""
    world = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(world)) - np.searchsorted(world, world)
    found = {"person": np.arange(len(world)), "world": world, "place": place}
    return {
        **found,
        **{name: values if len(values) == len(world) else values[world] for name, values in fields.items()},
    }


def together(*crowds: People) -> dict[str, Integers]:
    """Several crowds as one, of different people."""
    found: dict[str, Integers] = {name: np.concatenate([each[name] for each in crowds]) for name in crowds[0]}
    return {**found, "person": np.arange(len(found["world"]))}


def without(people: People, places: npt.NDArray[np.bool_]) -> dict[str, Integers]:
    """The others."""
    return {name: values[~places] for name, values in people.items()}


def layer() -> Doubles:
    """The probability of each draw of one layer of a count, from -12 to 12."""
    edges = [0, *draw_table("2").whole.tolist(), 1 << 64]
    return np.array([(after - before) / (1 << 64) for before, after in pairwise(edges)])


CERTAIN: Final = np.ones(1)
"""The distribution of no noise."""


def total(*layers: Doubles) -> Doubles:
    """The distribution of a sum of independent symmetric noise."""
    found = CERTAIN
    for each in layers:
        found = np.convolve(found, each)
    return found


def logs(distribution: Doubles, errors: Integers) -> Doubles:
    """The logarithm of the probability of each error."""
    most = len(distribution) // 2
    inside = np.abs(errors) <= most
    chances = np.where(inside, distribution[np.where(inside, errors + most, 0)], 0.0)
    with np.errstate(divide="ignore"):
        return np.log(chances)


def posterior(seen: Doubles, candidates: Sequence[int], lasting: Doubles, nightly: Doubles) -> Doubles:
    """The probability of each candidate in each world, given what was seen of it in some nights (one row a night), if each is as
    likely. `lasting` is noise that stays, `nightly` that of each night. A night without the figure tells nothing."""
    most = len(lasting) // 2
    levels = np.arange(min(candidates) - most, max(candidates) + most + 1)
    likely = np.zeros((seen.shape[1], len(levels)))
    for night in seen:
        there = ~np.isnan(night)
        likely[there] += logs(nightly, np.rint(night[there, None]).astype(np.int64) - levels)
    likely = np.exp(likely - likely.max(axis=1, keepdims=True))
    places = np.array(candidates) - levels[0]
    found = np.column_stack([likely[:, place - most : place + most + 1] @ lasting for place in places])
    whole = found.sum(axis=1, keepdims=True)
    return np.asarray(found / np.where(whole > 0, whole, 1))


def guesses(chances: Doubles, candidates: Sequence[int]) -> Integers:
    """The best guess in each world."""
    return np.asarray(np.array(candidates, np.int64)[chances.argmax(axis=1)])


def wilson(successes: int, trials: int, deviations: float = 2.576) -> tuple[float, float]:
    """The interval of Wilson around a rate, in percent; 99 % by default.

    >>> [round(each, 1) for each in wilson(10, 100, 1.96)]
    [5.5, 17.4]
    """
    rate, square = successes / trials, deviations**2
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = deviations / (1 + square / trials) * sqrt(rate * (1 - rate) / trials + square / (4 * trials**2))
    return 100 * (middle - half), 100 * (middle + half)


def check(found: npt.NDArray[Any], most: float, width: float = 10) -> None:
    """Asserts that attacks succeed in at most so many percent of the worlds, as far as the number of worlds tells: the interval
    of Wilson reaches down to it, and not far above it."""
    low, high = wilson(int(found.sum()), len(found))
    rate = 100 * float(found.mean())
    assert low <= most, f"{rate:.1f} % of worlds, which is significantly more than {most} %"
    assert high <= most + width, f"{rate:.1f} % of worlds are too few worlds to tell"
