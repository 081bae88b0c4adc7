"""What stands beside the columns of an output: policy, technique, key and category, in records and in aggregates."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import OutputError
from minimize.keys import add_key
from tests.job.house import AGGREGATES, AT, BEFORE, DAY, House, event, events

BY_DEVICE = {
    "group_by": {"tenant": "tenant_id"},
    "measures": {"events": "count", "devices": {"histogram": "device_id"}},
    "suppress": {"below": 1},
}


def schema(house: House, name: str) -> pa.Schema:
    return pq.read_schema(minimize.files(house.out, name)[0])


def told(field: pa.Field) -> dict[str, str]:
    return {key.decode().removeprefix("minimize:"): value.decode() for key, value in (field.metadata or {}).items()}


def test_a_column_of_records_says_what_was_done_to_it(house: House) -> None:
    house.brings(events(30))
    house.run()
    assert told(schema(house, "records").field("device_id")) == {
        "policy": "checkins/3",
        "field": "device_id",
        "technique": "pseudonymize",
        "leaves": "linkable",
        "category": "pseudonymized",
        "key": "device/1",
    }
    assert all(told(field)["policy"] == "checkins/3" for field in schema(house, "records"))


def test_a_column_of_an_aggregate_says_what_it_is_of(house: House) -> None:
    house.brings(events(30))
    house.run()
    found = schema(house, "per_model")
    assert {told(field)["category"] for field in found} == {"aggregated"}
    assert {told(field)["policy"] for field in found} == {"checkins/3"}
    assert told(found.field("model"))["technique"] == "top"
    assert told(found.field("battery")) == {
        "policy": "checkins/3",
        "measure": "mean",
        "field": "battery",
        "category": "aggregated",
    }
    assert "field" not in told(found.field("events"))


@pytest.mark.parametrize(
    "aggregate",
    [BY_DEVICE, {"group_by": {"tenant": "tenant_id"}, "measures": {"events": "count"}, "suppress": {"below": 1}}],
    ids=["histogram", "group"],
)
def test_an_aggregate_over_pseudonyms_of_two_key_versions_is_not_mixed(house: House, aggregate: object) -> None:
    tenant = {"type": "string", "do": {"pseudonymize": {"key": "device"}}}
    house.policy({"tenant_id": tenant} if aggregate is not BY_DEVICE else {})
    house.pipeline(aggregates={"pseudonyms": aggregate})
    house.brings(events(30))
    house.brings(events(30, 100), day=BEFORE)
    house.run(date=DAY)
    assert told(schema(house, "pseudonyms").field("tenant" if aggregate is not BY_DEVICE else "devices"))["key"] == (
        "device/1"
    )
    add_key(house.keys, "device", now=AT)
    house.run(date=BEFORE)
    with pytest.raises(OutputError, match="key"):
        minimize.read(house.out, "pseudonyms")
    assert minimize.read(house.out, "pseudonyms", dates=DAY).num_rows == 2
    minimize.verify(house.out, keys=house.keys)


def test_a_measure_that_shows_no_value_joins_across_key_versions(house: House) -> None:
    house.pipeline(aggregates=AGGREGATES)
    house.brings(events(30))
    house.brings(events(30, 100), day=BEFORE)
    house.run(date=DAY)
    add_key(house.keys, "device", now=AT)
    house.run(date=BEFORE)
    assert minimize.read(house.out, "per_model").num_rows > 0


def test_nested_pseudonyms_of_two_key_versions_are_not_mixed(house: House) -> None:
    nested = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}
    device = {"type": "string", "role": "identifier", "do": "drop"}
    house.policy({"/apps/*/user": nested, "device_id": device})
    for day in (DAY, BEFORE):
        house.brings([event(n, apps=[{"user": "a"}, {"user": "b"}]) for n in range(4)], day=day)
    house.run(date=DAY)
    assert minimize.read(house.out).num_rows == 4
    add_key(house.keys, "device", now=AT)
    house.run(date=BEFORE)
    with pytest.raises(OutputError, match=r"/apps/[*]/user"):
        minimize.read(house.out)
    assert minimize.read(house.out, mixed_keys=True).num_rows == 8


def test_the_date_stands_last_though_dates_differ_in_columns(house: House) -> None:
    house.brings(events(4))
    house.brings(events(4, 100), day=BEFORE)
    house.run(date=BEFORE)
    house.policy({"later": {"type": "string", "do": "keep"}})
    house.run(date=DAY)
    assert minimize.read(house.out).column_names[-2:] == ["later", "date"]


def test_the_meaning_of_nulls_names_open_bins_and_small_sides(house: House) -> None:
    aggregate = AGGREGATES["per_model"] | {
        "measures": {
            "devices": {"count_distinct": "device_id"},
            "storage": {"quantile": {"of": "storage", "q": 0.5}},
            "north": {"share": {"of": "tenant_id", "is": "north"}},
            "tenants": {"histogram": "tenant_id"},
        }
    }
    house.pipeline(aggregates={"per_model": aggregate})
    house.brings(events(30))
    page = (house.out / "runs" / house.run().run_id / "columns.md").read_text()
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in page.partition("## per_model")[2].splitlines()}
    assert "never null" in lines["devices"]
    assert "open bin" in lines["storage"]
    assert "on one of its sides" in lines["north"]
    assert "a null count" in lines["tenants"]
    assert "open bin" in next(line for line in page.splitlines() if line.startswith("| storage"))
