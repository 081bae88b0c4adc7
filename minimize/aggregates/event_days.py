"""Tallies by event day, for an aggregate that waits for late rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.aggregates.definition import AggregateDefinition
from minimize.aggregates.dictionaries import GroupDictionary, SubjectDictionary
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.batch import Batch
from minimize.arrow.nested import leaf, row_indices
from minimize.arrow.pointers import Pointer
from minimize.spill import SpillSpace, ValueHasher

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_NO_DAY: Final = np.iinfo(np.int32).min


@dataclass(frozen=True, slots=True)
class LateWindow:
    """How long an aggregate waits.

    days   how many days after the event day its last batch is
    time   the key of the event time, as it is released
    day_of     gives for released times the day that their clock shows (date32)
    early  how many days an event may lie ahead of the batch that brings it
    """

    days: int
    time: str
    day_of: Callable[[pa.Array], pa.Array] = field(compare=False)
    early: int = 2

    def event_days(self, batch: date, days: frozenset[date] = frozenset()) -> EventDays:
        """The event days that wait for a batch, and those of them that are tallied."""
        return EventDays(batch - timedelta(self.days), batch + timedelta(self.early), days)


@dataclass(frozen=True, slots=True)
class EventDays:
    """The first and the last event day that wait for the rows of a batch; `wanted` are the ones to be tallied."""

    first: date
    last: date
    tallied: frozenset[date] = frozenset()


class EventDayTally:
    """Counts the rows of one batch by event day, and tallies those of the wanted days.

    rows    per event day within reach the rows that it has
    before  rows of days that no longer wait, and rows without a day
    after   rows of days that lie too far ahead
    days    the tally of each wanted day
    """

    def __init__(
        self,
        definition: AggregateDefinition,
        lateness: LateWindow,
        reach: EventDays,
        space: SpillSpace | None = None,
        subjects: SubjectDictionary | None = None,
        groups: Mapping[date, GroupDictionary] | None = None,
        hasher: ValueHasher | None = None,
    ) -> None:
        self._lateness, self._reach = lateness, reach
        self.rows: Counter[date] = Counter()
        self.before = self.after = 0
        books = groups or {}
        self.days = {
            day: AggregateTally(definition, space, subjects, books.get(day), hasher) for day in sorted(reach.tallied)
        }

    def observe(self, batch: Batch) -> None:
        """Takes one batch in, after its values were released."""
        numbers = _day_numbers(self._lateness.day_of(batch.released[self._lateness.time]))
        first, last = _day_number(self._reach.first), _day_number(self._reach.last)
        self.before += int((numbers < first).sum())
        self.after += int((numbers > last).sum())
        inside = numbers[(numbers >= first) & (numbers <= last)]
        for offset in np.flatnonzero(np.bincount(inside - first)).tolist() if inside.size else ():
            self._observe(batch, numbers == first + offset, _date_of(first + offset))

    def merge(self, other: Self) -> None:
        """Takes in what another tally of the same batch has seen."""
        self.rows.update(other.rows)
        self.before += other.before
        self.after += other.after
        for day, tally in other.days.items():
            self.days[day].merge(tally)

    def _observe(self, batch: Batch, mask: npt.NDArray[np.bool_], day: date) -> None:
        self.rows[day] += int(mask.sum())
        if day in self.days:
            self.days[day].observe(batch if mask.all() else select_records(batch, mask))


def select_records(batch: Batch, mask: npt.NDArray[np.bool_]) -> Batch:
    """Some of the records of a batch, by a mask over them."""

    def rows(leaves: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        return {key: values.filter(pa.array(_leaf_mask(batch.raw, key, mask))) for key, values in leaves.items()}

    return Batch(
        batch.raw.filter(pa.array(mask)),
        closed=rows(batch.closed),
        cases=rows(batch.cases),
        released=rows(batch.released),
        measured=rows(batch.measured),
        ranks=rows(batch.ranks),
    )


def _leaf_mask(raw: pa.RecordBatch, key: str, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask over the values of a field: each has that of its record."""
    pointer = Pointer.parse(key)
    return mask[row_indices(leaf(raw, pointer), raw.num_rows)] if pointer.stars else mask


def _day_numbers(days: pa.Array) -> npt.NDArray[np.int32]:
    """Days as integers; what has none is before all others."""
    filled = days.cast(pa.int32()).fill_null(_NO_DAY)
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.int32)


def _day_number(day: date) -> int:
    return day.toordinal() - _EPOCH_DAY


def _date_of(number: int) -> date:
    return date.fromordinal(number + _EPOCH_DAY)
