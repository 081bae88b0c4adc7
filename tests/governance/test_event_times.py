"""The oldest instant that a released time may stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.datasets.record_age import UNKNOWN_TIME, EventTimeBounds, age_limit
from minimize.output.stored_file import open_stored_file
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MICROSECONDS = int(NOON.timestamp()) * 1_000_000
DAY = 86_400_000_000
SCHEMA = pa.schema([("t", pa.timestamp("us", "UTC"))])


def policy(do: Any, type_: str = "timestamp") -> Policy:
    fields = {"t": {"type": type_, "do": do}, "device": {"type": "string", "do": "keep"}}
    return policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "time": "t", "fields": fields})


def clock(do: Any, schema: pa.Schema = SCHEMA, type_: str = "timestamp") -> EventTimeBounds:
    found = EventTimeBounds.for_policy(policy(do, type_), schema)
    assert found is not None
    return found


def oldest(found: EventTimeBounds, *times: Any, type_: pa.DataType = SCHEMA.types[0]) -> list[int]:
    return list(found.oldest(pa.record_batch([pa.array(times, type_)], names=["t"])).tolist())


@pytest.mark.parametrize("do", ["keep", {"truncate_time": {"to": "hour"}}, {"truncate_time": {"to": "month"}}])
def test_the_oldest_time_of_an_exact_or_truncated_time_is_its_own_value(do: Any) -> None:
    assert oldest(clock(do), NOON) == [MICROSECONDS]


def test_a_shifted_time_may_be_older_by_the_longest_shift() -> None:
    do = [{"shift_dates": {"key": "dates", "per": "device", "max_days": 3}}, {"truncate_time": {"to": "day"}}]
    assert oldest(clock(do), NOON) == [MICROSECONDS - 3 * DAY]


def test_a_time_that_is_not_there_is_as_old_as_can_be() -> None:
    assert oldest(clock("keep"), None, NOON) == [UNKNOWN_TIME, MICROSECONDS]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_time_resolution_gives_the_same_result(unit: Any) -> None:
    type_ = pa.timestamp(unit, "UTC")
    assert oldest(clock("keep", pa.schema([("t", type_)])), NOON, type_=type_) == [MICROSECONDS]


def test_a_date_is_its_midnight() -> None:
    found = clock("keep", pa.schema([("t", pa.date32())]), "date")
    assert oldest(found, NOON.date(), type_=pa.date32()) == [MICROSECONDS - DAY // 2]


def test_a_dropped_or_converted_time_has_no_bounds() -> None:
    assert EventTimeBounds.for_policy(policy("drop"), pa.schema([("device", pa.string())])) is None
    assert EventTimeBounds.for_policy(policy({"age": {"unit": "days"}}), pa.schema([("t", pa.int32())])) is None
    assert EventTimeBounds.for_policy(policy("presence"), pa.schema([("t", pa.bool_())])) is None


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_bounds_of_a_file_come_from_its_statistics(tmp_path: Path, unit: Any) -> None:
    schema = pa.schema([("t", pa.timestamp(unit, "UTC"))])
    pq.write_table(
        pa.table([pa.array([NOON, NOON + timedelta(days=1)], schema.types[0])], schema=schema), tmp_path / "a.parquet"
    )
    found = clock("keep", schema).bounds(open_stored_file(tmp_path, "a.parquet"))
    assert found in ((MICROSECONDS, MICROSECONDS + DAY), None if unit == "ns" else ())


def test_a_file_in_which_a_time_is_missing_has_no_bounds_and_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array([NOON, None], SCHEMA.types[0])], schema=SCHEMA), tmp_path / "a.parquet")
    stored = open_stored_file(tmp_path, "a.parquet")
    assert clock("keep").bounds(stored) is None
    assert clock("keep").extent(stored) == (MICROSECONDS, MICROSECONDS)


def test_the_extent_of_a_file_reaches_to_the_end_of_its_last_unit(tmp_path: Path) -> None:
    pq.write_table(pa.table([pa.array([NOON], SCHEMA.types[0])], schema=SCHEMA), tmp_path / "a.parquet")
    first, last = clock({"truncate_time": {"to": "month"}}).extent(open_stored_file(tmp_path, "a.parquet")) or (0, 0)
    assert (first, last - first) == (MICROSECONDS, 32 * DAY - 1)


def test_the_finest_unit_of_an_aggregate_counts() -> None:
    found = EventTimeBounds.for_groups(policy({"truncate_time": {"to": "hour"}}), {"month": "month", "day": "day"})
    assert found is not None
    assert str(found.pointer) == "/day"


def test_a_limit_is_the_last_instant_that_is_old_enough() -> None:
    assert age_limit(NOON, timedelta(days=1)) == MICROSECONDS - DAY
