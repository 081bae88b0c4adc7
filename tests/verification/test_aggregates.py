"""Groups, counts and statistics of aggregates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from minimize.receipts import PolicyRef, WrittenOutput, sha256_text

from .make import OutputWriter, policy

FIELDS: dict[str, Any] = {
    "device": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
    "time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}},
    "version": {"type": "string", "do": {"truncate_version": {"parts": 2}}},
    "battery": {"type": "double", "do": {"bin": {"width": 10}}, "in_aggregates": {"clip": {"min": 0, "max": 100}}},
    "opens": {"type": "integer", "do": {"clip": {"max": 20}}},
    "serial": {"type": "string", "do": "drop"},
    "phone": {"type": "string", "do": "keep", "purposes": ["customer_support"]},
}
FLEET: dict[str, Any] = {
    "group_by": {"day": {"time": "day"}, "version": "version"},
    "measures": {"events": "count", "devices": {"count_distinct": "device"}, "battery": {"mean": "battery"}},
    "suppress": {"below": 10, "counting": "device"},
    "exact": {"because": "a test"},
}
DAY = datetime(2026, 11, 24, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


def fleet(**changed: list[Any]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "day": [DAY, DAY],
        "version": ["10.0", None],
        "events": [40, 25],
        "devices": [20, 10],
        "battery": [55.5, None],
        **changed,
    }
    types = {"day": TIME, "version": pa.string(), "battery": pa.float64()}
    return pa.table({name: pa.array(values, types.get(name)) for name, values in columns.items()})


def codes(writer: OutputWriter, table: pa.Table, aggregate: dict[str, Any] | None = None, **parts: Any) -> list[str]:
    defined = {**FLEET, **(aggregate or {}), **parts}
    writer.run(policy(FIELDS), {"fleet": table}, pipeline={"pipeline": "p", "aggregates": {"fleet": defined}})
    return writer.codes()


def test_an_aggregate_that_obeys_is_accepted(writer: OutputWriter) -> None:
    assert codes(writer, fleet()) == []


def test_an_empty_aggregate_is_accepted(writer: OutputWriter) -> None:
    assert codes(writer, fleet().slice(0, 0)) == []


@pytest.mark.parametrize("devices", [[20, 9], [1, 10], [0, 12]])
def test_a_small_group_is_found(writer: OutputWriter, devices: list[int]) -> None:
    assert codes(writer, fleet(devices=devices)) == ["V041"]


def test_a_group_of_few_rows_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(events=[9, 40])) == ["V041"]


def test_the_subject_is_counted_by_default(writer: OutputWriter) -> None:
    assert codes(writer, fleet(devices=[20, 9]), suppress={}) == ["V041"]


def test_another_distinct_count_may_be_small(writer: OutputWriter) -> None:
    measures = {**FLEET["measures"], "devices": {"count_distinct": "version"}}
    assert codes(writer, fleet(devices=[1, 2]), measures=measures) == []


def test_counts_that_are_not_rounded_are_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(events=[41, 25]), round={"counts_to": 5}) == ["V042"]


def test_a_rounded_count_that_may_come_from_a_sufficient_count_is_accepted(writer: OutputWriter) -> None:
    assert codes(writer, fleet(devices=[10, 15]), suppress={"below": 12}, round={"counts_to": 5}) == []


def test_a_rounded_count_that_cannot_be_large_enough_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(devices=[20, 5]), round={"counts_to": 5}) == ["V041"]


def test_a_group_key_that_is_not_released_so_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(version=["10.0.19045", None])) == ["V030"]


def test_a_time_that_is_finer_than_its_unit_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(day=[DAY.replace(hour=3), DAY])) == ["V030"]


def test_a_group_key_of_another_type_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet().set_column(1, "version", pa.array([10, 11]))) == ["V023"]


def test_a_group_that_occurs_twice_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(version=["10.0", "10.0"])) == ["V044"]
    assert "V044" in codes(writer, fleet(version=[None, None]))


@pytest.mark.parametrize("column", ["device", "serial", "phone", "unknown"])
def test_a_group_that_shows_what_it_must_not_is_found(writer: OutputWriter, column: str) -> None:
    table = fleet().rename_columns(["day", "version", "events", "devices", "battery"])
    found = codes(writer, table, group_by={"day": {"time": "day"}, "version": column})
    assert "V043" in found


def test_other_columns_than_the_defined_are_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet(extra=["a", "b"])) == ["V040"]
    assert "V040" in codes(writer, fleet().drop_columns(["events"]))


def test_an_aggregate_that_no_pipeline_defines_is_found(writer: OutputWriter) -> None:
    writer.run(policy(FIELDS), {"fleet": fleet()}, pipeline={"pipeline": "p", "aggregates": {"other": FLEET}})
    assert writer.codes() == ["V040"]


def test_another_category_is_found(writer: OutputWriter) -> None:
    from dataclasses import replace

    receipt = writer.run(policy(FIELDS), {"fleet": fleet()}, pipeline={"pipeline": "p", "aggregates": {"fleet": FLEET}})
    writer.receipts.clear()
    output = WrittenOutput("pseudonymized", 2, files=receipt.outputs["fleet"].files)
    writer.sign(replace(receipt, outputs={"fleet": output}))
    assert writer.codes() == ["V025"]


@pytest.mark.parametrize(
    ("ago", "own", "found"),
    [(29, None, []), (31, None, ["V046"]), (31, "365d", []), (367, "365d", ["V046"]), (9, "7d", ["V046"])],
)
def test_a_group_that_was_past_its_retention_is_found(
    writer: OutputWriter, ago: int, own: str | None, found: list[str]
) -> None:
    aggregate = FLEET if own is None else {**FLEET, "retention": own}
    table = fleet(day=[DAY - timedelta(days=ago), DAY])
    kept = policy(FIELDS, time="time", retention="30d")
    writer.run(kept, {"fleet": table}, pipeline={"pipeline": "p", "aggregates": {"fleet": aggregate}})
    assert writer.codes() == found


@pytest.mark.parametrize(("own", "found"), [("11d", []), ("9d", ["V046"])])
def test_without_a_time_a_group_is_as_old_as_its_date(writer: OutputWriter, own: str, found: list[str]) -> None:
    aggregate = {**FLEET, "group_by": {"version": "version"}, "retention": own}
    pipeline = {"pipeline": "p", "aggregates": {"fleet": aggregate}}
    writer.run(policy(FIELDS), {"fleet": fleet().drop_columns(["day"])}, pipeline=pipeline, date="2026-11-14")
    assert writer.codes() == found


def test_the_retention_of_today_counts_where_it_was_applied(writer: OutputWriter) -> None:
    kept, old = policy(FIELDS, time="time", retention="30d"), fleet(day=[DAY - timedelta(days=31), DAY])
    now = {"pipeline": "p", "aggregates": {"fleet": {**FLEET, "retention": "365d"}}}
    stored = {"retention.yaml": json.dumps(kept), "retention_pipeline.yaml": json.dumps(now)}
    applied = PolicyRef("p", 1, sha256_text(stored["retention.yaml"].encode()))
    then = {"pipeline": "p", "aggregates": {"fleet": FLEET}}
    writer.run(kept, {"fleet": old}, pipeline=then, beside=stored, kind="expire", retention=applied)
    assert writer.codes() == []


@pytest.mark.parametrize("battery", [-1.0, 100.5, float("nan")])
def test_a_mean_outside_its_clip_is_found(writer: OutputWriter, battery: float) -> None:
    assert codes(writer, fleet(battery=[battery, None])) == ["V045"]


@pytest.mark.parametrize(("battery", "found"), [(5.0, []), (5.5, ["V045"])])
def test_the_bounds_of_a_clip_may_be_written_as_text(writer: OutputWriter, battery: float, found: list[str]) -> None:
    clipped = {**FIELDS["battery"], "in_aggregates": {"clip": {"min": "0.50", "max": "5.25"}}}
    writer.run(
        policy({**FIELDS, "battery": clipped}),
        {"fleet": fleet(battery=[battery, None])},
        pipeline={"pipeline": "p", "aggregates": {"fleet": FLEET}},
    )
    assert writer.codes() == found


def test_a_maximum_above_the_clip_of_its_records_is_found(writer: OutputWriter) -> None:
    measures = {"events": "count", "devices": {"count_distinct": "device"}, "battery": {"max": "opens"}}
    assert codes(writer, fleet(battery=[21.0, None]), measures=measures) == ["V045"]


@pytest.mark.parametrize(("share", "found"), [(0.5, []), (1.5, ["V045"]), (-0.1, ["V045"])])
def test_a_share_is_between_none_and_all(writer: OutputWriter, share: float, found: list[str]) -> None:
    measures = {
        "events": "count",
        "devices": {"count_distinct": "device"},
        "battery": {"share": {"of": "opens", "is": 1}},
    }
    assert codes(writer, fleet(battery=[share, None]), measures=measures) == found


@pytest.mark.parametrize(("cells", "found"), [([40, None], []), ([40, 3], ["V041"])])
def test_a_cell_of_a_histogram_is_no_smaller_than_a_group(
    writer: OutputWriter, cells: list[int | None], found: list[str]
) -> None:
    measures = {"events": "count", "devices": {"count_distinct": "device"}, "battery": {"histogram": "opens"}}
    type_ = pa.list_(pa.struct([("value", pa.int64()), ("count", pa.int64())]))
    histogram = [{"value": place, "count": count} for place, count in enumerate(cells)]
    table = fleet().set_column(4, "battery", pa.array([histogram, None], type_))
    assert codes(writer, table, measures=measures) == found


def test_a_count_of_another_type_is_found(writer: OutputWriter) -> None:
    assert codes(writer, fleet().set_column(2, "events", pa.array(["a", "b"]))) == ["V023"]
