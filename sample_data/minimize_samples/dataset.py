"""A sample dataset: faults in some of its lines, records about the members of a population, messages of third parties.

A new dataset is one class in a module of `datasets/`, one row in `DATASETS` there, and one test.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize_samples import arrays
from minimize_samples.arrays import Ints, Random, null_unless, pool_values, random_mask
from minimize_samples.collection_settings import SampleClock, SampleSetting, SampleSubjects, level_settings
from minimize_samples.world import Population, World, ip_addresses

JsonRecord = dict[str, Any]
RecordFault = Callable[[JsonRecord], bytes]


@dataclass(frozen=True, slots=True)
class DatasetFaults:
    """The faults that records of one dataset can have.

    missing    fields that can be missing
    wrong      values of another type, by field
    time       the field with a time
    forbidden  fields that must not arrive, with a value
    strange    undeclared fields, with a value
    """

    missing: tuple[str, ...]
    wrong: Mapping[str, Any]
    time: str
    forbidden: Mapping[str, Any]
    strange: Mapping[str, Any]

    def fatal(self) -> list[RecordFault]:
        """The faults that send a record to quarantine; each of the first five has its own code."""
        missing, wrong, forbidden = (
            [_drop_member(name) for name in self.missing],
            [_set_member(name, value) for name, value in self.wrong.items()],
            [_set_member(name, value) for name, value in self.forbidden.items()],
        )
        first = [_cut_line, *forbidden[:1], *missing[:1], *wrong[:1], _set_member(self.time, "yesterday evening")]
        return [*first, _break_encoding, _repeat_member, _wrap_in_list, *missing[1:], *wrong[1:], *forbidden[1:]]

    def harmless(self) -> list[RecordFault]:
        """The faults that do not quarantine a record: an undeclared field, a time with another offset."""
        return [*(_set_member(name, value) for name, value in self.strange.items()), _shift_offset(self.time)]


FATAL_SHARE = 0.008
HARMLESS_SHARE = 0.01


def spoil_lines(lines: pa.StringArray, faults: DatasetFaults, random: Random, sequence: int = 0) -> pa.BinaryArray:
    """The lines as bytes, some of them faulty: `FATAL_SHARE` fatally, `HARMLESS_SHARE` harmlessly. Loops only over these.

    The sequence of kinds of faults continues from one slice to the next.
    """
    count = len(lines)
    fatal, harmless = int(count * FATAL_SHARE), int(count * HARMLESS_SHARE)
    rows = random.permutation(count)
    kinds = [
        *_faults_in_turn(faults.fatal(), fatal, sequence * fatal),
        *_faults_in_turn(faults.harmless(), harmless, sequence * harmless),
    ]
    return _replace_lines(lines, dict(zip(rows.tolist(), kinds, strict=False)))


def _replace_lines(lines: pa.StringArray, kinds: Mapping[int, RecordFault]) -> pa.BinaryArray:
    rows = sorted(kinds)
    mask = np.zeros(len(lines), np.bool_)
    mask[rows] = True
    spoilt = [kinds[row](json.loads(lines[row].as_py())) for row in rows]
    return pc.replace_with_mask(lines.cast(pa.binary()), pa.array(mask), pa.array(spoilt, pa.binary()))


def _faults_in_turn(faults: Sequence[RecordFault], count: int, start: int) -> list[RecordFault]:
    return [faults[index % len(faults)] for index in range(start, start + count)]


def _json_line(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _drop_member(name: str) -> RecordFault:
    return lambda record: _json_line({key: value for key, value in record.items() if key != name})


def _set_member(name: str, value: Any) -> RecordFault:
    return lambda record: _json_line({**record, name: value})


def _shift_offset(name: str) -> RecordFault:
    def shifted(record: JsonRecord) -> bytes:
        time = datetime.fromisoformat(record[name]).astimezone(timezone(timedelta(hours=1)))
        return _json_line({**record, name: time.isoformat(timespec="milliseconds")})

    return shifted


def _cut_line(record: JsonRecord) -> bytes:
    line = _json_line(record)
    return line[: len(line) * 2 // 3]


def _repeat_member(record: JsonRecord) -> bytes:
    line = _json_line(record)
    first = _json_line({next(iter(record)): "again"})
    return line[:-1] + b"," + first[1:]


def _break_encoding(record: JsonRecord) -> bytes:
    return _json_line(record).replace(b'":"', b'":"\xff\xfe', 1)


def _wrap_in_list(record: JsonRecord) -> bytes:
    return _json_line([record])


DAY_MILLISECONDS = 86_400_000
"""Milliseconds."""
ANCIENT_DAYS = 40
"""Days after which the retention of most records ends."""
HOUR_STEP = 10_007_003
"""Milliseconds between the times of day of two consecutive members, so the first members are spread over the day."""
LARGEST_POPULATION = 300_000
"""Members of a population; in larger samples each of them has more records."""

P = TypeVar("P", bound=Population)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some records of one day: those numbered `start` to `start + count` of that day's `day_total`.

    index     which of the sample's days it is
    sequence  which of the sample's slices it is
    """

    day: date
    start: int
    count: int
    day_total: int
    index: int = 0
    sequence: int = 0

    @property
    def midnight(self) -> int:
        """When the day begins, in milliseconds since 1970, UTC."""
        return (self.day.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MILLISECONDS


@dataclass(frozen=True, slots=True)
class SampleRows:
    """The records of a slice in the order of arrival, before their own columns are added.

    members  the member that each record is about
    times    event times, in milliseconds since 1970
    turns    number of earlier records of the member in the sample
    """

    members: Ints
    times: Ints
    turns: Ints
    random: Random

    def __len__(self) -> int:
        return len(self.members)

    def chance(self, share: float) -> Bools:
        """True for about this share of the records."""
        return random_mask(self.random, len(self), share)

    def codes(self, size: int, skew: float = 0.0) -> Ints:
        """An index into a pool for each record; with a higher skew, more records have the first."""
        return arrays.random_codes(self.random, len(self), size, skew)

    def pick(self, pool: Sequence[str | None], skew: float = 0.0, where: Bools | None = None) -> pa.Array:
        """A value of a pool for each record; null where the mask is false."""
        return pool_values(pool, self.codes(len(pool), skew), where, pa.string())

    def guids(self) -> pa.StringArray:
        """A GUID for each record."""
        return arrays.guids(self.random, len(self))


@dataclass(frozen=True, slots=True)
class SampleRecords:
    """Records as columns: id of the record, facts of its member, and the other fields.

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
        own, others = arrays.json_members(self.ids), arrays.json_members(self.columns)
        return arrays.concatenate("{", arrays.join_members([*own, self.members.take(self.rows), *others]), "}")

    def table(self) -> pa.Table:
        """The records as a table."""
        facts = {name: column.take(self.rows) for name, column in self.facts.items()}
        columns = {**self.ids, **facts, **self.columns}
        return pa.table({name: arrays.decode_dictionaries(column) for name, column in columns.items()})


class Dataset(ABC, Generic[P]):
    """Records about the members of a population.

    population  the members that the records are about
    subject     the field that names them
    daily       records of each member per day
    every       or the number of days per record
    fewest      the least number of members
    ancient     the age in days of records whose retention has ended
    facts       the fields that are columns of the population
    settings_by the settings on which collection depends: `collection.levels`, …
    wrong       values of a wrong type, by field
    """

    population: type[P]
    subject: ClassVar[str]
    daily: ClassVar[int] = 1
    every: ClassVar[int] = 1
    fewest: ClassVar[int] = 1
    ancient: ClassVar[int] = ANCIENT_DAYS
    facts: ClassVar[tuple[str, ...]]
    settings_by: ClassVar[tuple[Callable[[SampleClock, SampleSubjects, Random], list[SampleSetting]], ...]] = (
        level_settings,
    )
    wrong: ClassVar[tuple[tuple[str, Any], ...]]

    def __init__(self, per_day: int, seed: int) -> None:
        self.world = World(seed)
        reporting = min(LARGEST_POPULATION // self.every, max(self.fewest, -(-per_day // self.daily)))
        self.members = self.population(self.world, reporting * self.every)
        self.fixed = self.fixed_columns()
        self._json = arrays.join_members(arrays.json_members(self.fixed))
        self.addresses = ip_addresses(np.random.default_rng([seed, 4]))

    @property
    def faults(self) -> DatasetFaults:
        """Faults such as a phone that sends its contacts, or a word in place of a number."""
        return DatasetFaults(
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
    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The other columns, but for `event_id` and `event_time`."""

    def records(self, part: Slice, random: Random) -> SampleRecords:
        """The records of a slice, in the order in which they arrive."""
        rows = self.rows(part, random)
        ids = {"event_id": rows.guids(), "event_time": arrays.timestamp_array(rows.times)}
        return SampleRecords(ids, self.fixed, self.columns(rows), self._json, pa.array(rows.members))

    def rows(self, part: Slice, random: Random) -> SampleRows:
        """The records of each member at equal intervals of the day, starting at a different time for each member."""
        number = np.arange(part.start, part.start + part.count)
        reporting = self.members.count // self.every
        member = number % reporting * self.every + part.day.toordinal() % self.every
        turn = number // reporting % self.daily
        interval = DAY_MILLISECONDS // self.daily
        start = part.midnight + turn * interval + member * HOUR_STEP % interval
        events, arrival = delay_events(start + random.integers(0, 60_000, part.count), random, self.ancient)
        turns = part.index * self.daily + turn
        return SampleRows(member[arrival], events[arrival], turns[arrival], random)

    def _persons(self) -> tuple[tuple[str, int], ...]:
        """The distinct users in `user_id`, each with its tenant's index, in the order of the members."""
        if "user_id" not in self.fixed:
            return ()
        pairs = zip(self.fixed["user_id"].to_pylist(), self.members.tenant.tolist(), strict=True)
        return tuple(dict.fromkeys(pair for pair in pairs if pair[0] is not None))

    def settings(self, clock: SampleClock, random: Random) -> list[SampleSetting]:
        """The collection settings."""
        subjects = SampleSubjects(self.fixed[self.subject], self.members.tenant, self._persons())
        return [row for rows in self.settings_by for row in rows(clock, subjects, random)]


def delay_events(events: Ints, random: Random, ancient: int = ANCIENT_DAYS) -> tuple[Ints, Ints]:
    """Event times of records that arrive in this batch, and the order of arrival.

    Most arrive within minutes (out of order), one in fifty is one to three days late. One in a thousand, and one of
    any hundred or more, is so old that its retention has ended.
    """
    number, middle = np.arange(len(events)), min(500, len(events) // 2)
    arrival = np.argsort(events + random.integers(0, 600_000, len(events)), kind="stable")
    late = np.where(random_mask(random, len(events), 0.02), random.integers(1, 4, len(events)) * DAY_MILLISECONDS, 0)
    too_old = np.where((number % 1000 == middle) & (len(events) >= 100), ancient * DAY_MILLISECONDS, 0)
    return events - late - too_old, arrival


class ReceivedDataset(Dataset[P]):
    """Messages about the members of a population. Their collection depends on the tenant's consent, not on a setting.

    constant  fields that have the same value in every message
    """

    settings_by = ()
    constant: ClassVar[tuple[tuple[str, Any], ...]] = ()

    @property
    def faults(self) -> DatasetFaults:
        """The faults that any record can have; the time is that of arrival."""
        return replace(super().faults, time="received_at")

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The columns that are the same in all messages about a member."""
        same = {name: pa.array([value] * self.members.count) for name, value in self.constant}
        return super().fixed_columns() | same

    def records(self, part: Slice, random: Random) -> SampleRecords:
        """The messages of a slice."""
        rows = self.rows(part, random)
        ids = {"message_id": rows.guids(), "received_at": arrays.timestamp_array(rows.times)}
        return SampleRecords(ids, self.fixed, self.columns(rows), self._json, pa.array(rows.members))


def earlier_times(rows: SampleRows, days: Sequence[float], weights: Sequence[float]) -> pa.TimestampArray:
    """A time up to a number of days before the arrival of each message, by weight."""
    longest = (pa.array(days, pa.float64()).to_numpy() * DAY_MILLISECONDS)[
        arrays.weighted_codes(rows.random, len(rows), weights)
    ]
    return arrays.timestamp_array(rows.times - (longest * rows.random.random(len(rows))).astype("int64"))


def occasional_values(rows: SampleRows, pool: Sequence[str], share: float) -> pa.Array:
    """A value of a pool in about this share of the messages; null in the others."""
    return null_unless(rows.pick(pool), rows.chance(share))
