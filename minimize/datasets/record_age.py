"""Event times of a published file: bounds of when an event happened, age limits, start of a batch date.

A released event time is read as the oldest instant of its unit, minus the longest shift. Retention counts from that instant.
No record is kept too long; a value may be removed too early by up to the lost precision of its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.columns import column_microseconds
from minimize.arrow.dictionaries import valid_mask
from minimize.arrow.nested import leaf, leaf_type
from minimize.arrow.pointers import Pointer
from minimize.output.stored_file import StoredFile
from minimize.policy.fields import group_time_key, treatments_of
from minimize.policy.model import Field, Policy
from minimize.techniques import TechniqueStep
from minimize.times import day_start, epoch_microseconds

Moments = npt.NDArray[np.int64]
UNKNOWN_TIME: Final = np.iinfo(np.int64).min
"""The value for a missing time: older than every other time."""
HOUR_MICROSECONDS: Final = 3_600_000_000
_LONGEST_UNITS: Final = {
    "minute": HOUR_MICROSECONDS // 60,
    "hour": HOUR_MICROSECONDS,
    "day": 25 * HOUR_MICROSECONDS,
    "week": 8 * 24 * HOUR_MICROSECONDS,
    "month": 32 * 24 * HOUR_MICROSECONDS,
    "quarter": 93 * 24 * HOUR_MICROSECONDS,
    "year": 367 * 24 * HOUR_MICROSECONDS,
}
"""The longest duration of each unit in microseconds, including daylight saving changes."""
_STORED_UNITS: Final = {"DATE": 24 * HOUR_MICROSECONDS, "TIMESTAMP_MILLIS": 1_000, "TIMESTAMP_MICROS": 1}
"""Microseconds of a number in statistics. To convert them to times, pyarrow looks for a package of time zones each time."""


@dataclass(frozen=True, slots=True)
class EventTimeBounds:
    """How precisely a file shows event times."""

    pointer: Pointer
    slack: int
    """Microseconds by which an event may be older than the released time."""
    width: int
    """Microseconds by which it may be younger."""

    @classmethod
    def for_policy(cls, policy: Policy, schema: pa.Schema) -> EventTimeBounds | None:
        """The bounds for a file written under a policy; None if the file does not show event times."""
        field = None if policy.time is None else policy.fields.get(policy.time)
        return None if field is None else cls.for_field(field, schema)

    @classmethod
    def for_field(cls, field: Field, schema: pa.Schema) -> EventTimeBounds | None:
        """The bounds for the times of a field; None if the file does not show them."""
        if field.pointer.stars or not _is_time_field(schema, field.pointer):
            return None
        chains = [way for way in treatments_of(field) if not isinstance(way, str)]
        widths = [_chain_width(chain) for chain in chains]
        if not chains or None in widths:
            return None
        slack = max(_chain_shift(chain) for chain in chains)
        return cls(field.pointer, slack, slack + max(width or 0 for width in widths))

    @classmethod
    def for_groups(cls, policy: Policy, units: Mapping[str, str | None]) -> EventTimeBounds | None:
        """The bounds for an aggregate with these group columns of event times, by their units; the finest unit decides."""
        time_key = group_time_key(policy, units)
        return None if time_key is None else cls(Pointer((time_key[0],)), time_key[1] // timedelta(microseconds=1), 0)

    def oldest(self, batch: pa.RecordBatch) -> Moments:
        """Per row the oldest possible instant, in microseconds since 1970; `UNKNOWN_TIME` if the time is null."""
        times = leaf(batch, self.pointer).values
        valid = valid_mask(times)
        moments = column_microseconds(times) - self.slack
        return moments if valid is None else np.where(valid, moments, UNKNOWN_TIME)

    def newest(self, batch: pa.RecordBatch) -> Moments:
        """Per row the latest possible instant of the event; `UNKNOWN_TIME` if the time is null."""
        moments = self.oldest(batch)
        return np.where(moments == UNKNOWN_TIME, UNKNOWN_TIME, moments + self.slack + self.width)

    def extent(self, stored: StoredFile) -> tuple[int, int] | None:
        """The first and last possible instant of all events of a file; None if it has none.

        Reads the file if statistics are missing.
        """
        known = self.bounds(stored) or self._read(stored)
        return None if known is None else (known[0], known[1] + self.slack + self.width)

    def _read(self, stored: StoredFile) -> tuple[int, int] | None:
        moments_by_batch = [self.oldest(batch) for batch in stored.batches(columns=[self.pointer.top])]
        known = [each[each != UNKNOWN_TIME] for each in moments_by_batch]
        some = [each for each in known if len(each)]
        return (min(int(each.min()) for each in some), max(int(each.max()) for each in some)) if some else None

    def bounds(self, stored: StoredFile) -> tuple[int, int] | None:
        """The smallest and largest oldest instant of a file, from its statistics; None if they are missing.

        Also None if a row has no time.
        """
        name = ".".join(str(part) for part in self.pointer.parts)
        metadata = stored.file.metadata
        places = [place for place in range(metadata.num_columns) if metadata.schema.column(place).path == name]
        if len(places) != 1 or not metadata.num_rows:
            return None
        groups = (metadata.row_group(group).column(places[0]) for group in range(metadata.num_row_groups))
        extents = [_chunk_extent(chunk) for chunk in groups]
        known = [each for each in extents if each is not None]
        if len(known) < len(extents):
            return None
        return min(low for low, _ in known) - self.slack, max(high for _, high in known) - self.slack


def age_limit(at: datetime, retention: timedelta) -> int:
    """The last instant that has this age at `at`, in microseconds since 1970."""
    return epoch_microseconds(at - retention)


def _chunk_extent(chunk: Any) -> tuple[int, int] | None:
    statistics = chunk.statistics if chunk.is_stats_set else None
    if statistics is None or not statistics.has_min_max or not statistics.has_null_count or statistics.null_count:
        return None
    unit = _STORED_UNITS.get(statistics.converted_type)
    if unit is not None:
        return statistics.min_raw * unit, statistics.max_raw * unit
    low, high = column_microseconds(pa.array([statistics.min, statistics.max]))
    return int(low), int(high)


def _is_time_field(schema: pa.Schema, pointer: Pointer) -> bool:
    try:
        type_ = leaf_type(schema, pointer)
    except KeyError:
        return False
    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def _chain_width(chain: Iterable[TechniqueStep]) -> int | None:
    """How long after the released time the event may have happened, in microseconds; None if a step leaves this open."""
    width = 0
    for step in chain:
        form = step.time_form
        if form is None:
            return None
        width += 0 if form.unit is None else _LONGEST_UNITS[form.unit] - 1
    return width


def _chain_shift(chain: Iterable[TechniqueStep]) -> int:
    shifts = (form.shift for step in chain if (form := step.time_form) is not None)
    return sum(shift // timedelta(microseconds=1) for shift in shifts)


def partition_start(on: str | None) -> int | None:
    """The start of a batch date in microseconds since 1970; None without a date."""
    return None if on is None else epoch_microseconds(day_start(on))
