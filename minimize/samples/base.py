"""What a dataset of samples is: records about the members of a population of the world.

A new dataset is one module of `datasets/` with one class, one row in `DATASETS` there, and one test file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pyarrow as pa

from minimize.samples import lines, values
from minimize.samples.collection import Clock, Setting, Subjects, levels
from minimize.samples.faults import Faults
from minimize.samples.people import addresses
from minimize.samples.values import Bools, Ints, Random, chance, picked
from minimize.samples.world import Population, World

DAY = 86_400_000
"""Milliseconds."""
ANCIENT = 40
"""Days after which most records are no longer kept."""
HOUR_STEP = 10_007_003
"""Milliseconds between the hours of two members, one after the other: the first few are spread over the day."""
LARGEST = 300_000
"""Members of a population; in larger samples each of them has more records."""

P = TypeVar("P", bound=Population)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some records of one day: those numbered `start` to `start + count` of that day's `of`.

    index     which of the sample's days it is
    sequence  which of the sample's slices it is
    """

    day: date
    start: int
    count: int
    of: int
    index: int = 0
    sequence: int = 0

    @property
    def midnight(self) -> int:
        """When the day begins, in milliseconds since 1970, UTC."""
        return (self.day.toordinal() - date(1970, 1, 1).toordinal()) * DAY


@dataclass(frozen=True, slots=True)
class Rows:
    """The records of a slice in the order in which they arrive, before they have columns of their own.

    members  whom each is about
    times    when it happened, in milliseconds since 1970
    turns    how many records of the member came before it in the sample
    """

    members: Ints
    times: Ints
    turns: Ints
    random: Random

    def __len__(self) -> int:
        return len(self.members)

    def chance(self, share: float) -> Bools:
        """True for about this share of the records."""
        return chance(self.random, len(self), share)

    def codes(self, size: int, skew: float = 0.0) -> Ints:
        """A place in a pool for each record; the higher the skew, the more have the first."""
        return values.codes(self.random, len(self), size, skew)

    def pick(self, pool: Sequence[str | None], skew: float = 0.0, where: Bools | None = None) -> pa.Array:
        """A value of a pool for each record; null where the mask is false."""
        return picked(pool, self.codes(len(pool), skew), where, pa.string())

    def guids(self) -> pa.StringArray:
        """A GUID for each record."""
        return values.guids(self.random, len(self))


@dataclass(frozen=True, slots=True)
class Records:
    """Records as columns: which record it is, what is known of the member that it is about, and the rest.

    facts    columns of the whole population
    members  the facts of each member of the population as members of a JSON object
    rows     the number of the member that each record is about
    """

    ids: Mapping[str, pa.Array]
    facts: Mapping[str, pa.Array]
    columns: Mapping[str, pa.Array]
    members: pa.StringArray
    rows: pa.Array

    def lines(self) -> pa.StringArray:
        """The records as JSON lines."""
        own, others = lines.fragments(self.ids), lines.fragments(self.columns)
        return lines.concatenated("{", lines.joined([*own, self.members.take(self.rows), *others]), "}")

    def table(self) -> pa.Table:
        """The records as a table."""
        facts = {name: column.take(self.rows) for name, column in self.facts.items()}
        columns = {**self.ids, **facts, **self.columns}
        return pa.table({name: lines.decoded(column) for name, column in columns.items()})


class Dataset(ABC, Generic[P]):
    """Records about the members of a population.

    population  whom the records are about
    subject     the field that names them
    daily       how many records of each there are in a day
    every       or in so many days
    fewest      how many members there are at least
    ancient     the age in days of records that are no longer kept
    facts       the fields that are columns of the population
    settings_by what is collected only by a setting: `collection.levels`, …
    wrong       values of another type that a field may have by mistake
    """

    population: type[P]
    subject: ClassVar[str]
    daily: ClassVar[int] = 1
    every: ClassVar[int] = 1
    fewest: ClassVar[int] = 1
    ancient: ClassVar[int] = ANCIENT
    facts: ClassVar[tuple[str, ...]]
    settings_by: ClassVar[tuple[Callable[[Clock, Subjects, Random], list[Setting]], ...]] = (levels,)
    wrong: ClassVar[tuple[tuple[str, Any], ...]]

    def __init__(self, per_day: int, seed: int) -> None:
        self.world = World(seed)
        reporting = min(LARGEST // self.every, max(self.fewest, -(-per_day // self.daily)))
        self.members = self.population(self.world, reporting * self.every)
        self.fixed = self.fixed_columns()
        self._json = lines.joined(lines.fragments(self.fixed))
        self.addresses = addresses(np.random.default_rng([seed, 4]))

    @property
    def faults(self) -> Faults:
        """A phone that sends its contacts, a number that is a word …"""
        return Faults(
            missing=(self.subject, "tenant_id"),
            wrong=dict(self.wrong),
            time="event_time",
            forbidden={"contacts": [{"name": "Carol", "phone": "+12025550199"}], "password": "correct horse"},
            strange={"debug": {"build": "nightly"}, "beta_ring": 3, "carol@mail.example": True},
        )

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The columns that are the same in all records of a member."""
        return self.members.facts(("tenant_id", *self.facts))

    @abstractmethod
    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The other columns, but for `event_id` and `event_time`."""

    def records(self, part: Slice, random: Random) -> Records:
        """The records of a slice, in the order in which they arrive."""
        rows = self.rows(part, random)
        ids = {"event_id": rows.guids(), "event_time": values.instants(rows.times)}
        return Records(ids, self.fixed, self.columns(rows), self._json, pa.array(rows.members))

    def rows(self, part: Slice, random: Random) -> Rows:
        """Each member's records at equal intervals of its day, each member at an hour of its own."""
        number = np.arange(part.start, part.start + part.count)
        reporting = self.members.count // self.every
        member = number % reporting * self.every + part.day.toordinal() % self.every
        turn = number // reporting % self.daily
        interval = DAY // self.daily
        start = part.midnight + turn * interval + member * HOUR_STEP % interval
        events, arrival = delayed(start + random.integers(0, 60_000, part.count), random, self.ancient)
        turns = part.index * self.daily + turn
        return Rows(member[arrival], events[arrival], turns[arrival], random)

    def settings(self, clock: Clock, random: Random) -> list[Setting]:
        """What was collected when."""
        subjects = Subjects(self.fixed[self.subject], self.members.tenant)
        return [row for rows in self.settings_by for row in rows(clock, subjects, random)]


def delayed(events: Ints, random: Random, ancient: int = ANCIENT) -> tuple[Ints, Ints]:
    """Event times of records that arrive in this batch, and the order of arrival.

    Most arrive within minutes (out of order), one in fifty happened one to three days before. One in a thousand, and one of
    any hundred or more, is so many days old that it is no longer kept.
    """
    number, middle = np.arange(len(events)), min(500, len(events) // 2)
    arrival = np.argsort(events + random.integers(0, 600_000, len(events)), kind="stable")
    late = np.where(chance(random, len(events), 0.02), random.integers(1, 4, len(events)) * DAY, 0)
    too_old = np.where((number % 1000 == middle) & (len(events) >= 100), ancient * DAY, 0)
    return events - late - too_old, arrival
