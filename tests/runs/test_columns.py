"""What stands beside the columns of an output: policy, technique, key and category, in records and in aggregates."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import OutputError
from minimize.keys import add_key
from tests.project import AGGREGATES, AT, BEFORE, DAY, Project, event, events

BY_DEVICE = {
    "group_by": {"tenant": "tenant_id"},
    "measures": {"events": "count", "devices": {"histogram": "device_id"}},
    "suppress": {"below": 1},
}
EXACT = {"exact": {"because": "the test is about columns"}}


def schema(project: Project, name: str) -> pa.Schema:
    return pq.read_schema(minimize.files(project.out, name)[0])


def told(field: pa.Field) -> dict[str, str]:
    return {key.decode().removeprefix("minimize:"): value.decode() for key, value in (field.metadata or {}).items()}


def test_a_column_of_records_states_its_treatment(project: Project) -> None:
    project.records(events(30))
    project.run()
    assert told(schema(project, "records").field("device_id")) == {
        "policy": "checkins/3",
        "field": "device_id",
        "technique": "pseudonymize",
        "residual": "linkable",
        "leaves": "linkable",
        "category": "pseudonymized",
        "key": "device/1",
    }
    assert all(told(field)["policy"] == "checkins/3" for field in schema(project, "records"))


def test_a_column_of_an_aggregate_states_its_measure(project: Project) -> None:
    project.records(events(30))
    project.run()
    found = schema(project, "per_model")
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
    [
        BY_DEVICE | EXACT,
        {"group_by": {"tenant": "tenant_id"}, "measures": {"events": "count"}, "suppress": {"below": 1}} | EXACT,
    ],
    ids=["histogram", "group"],
)
def test_an_aggregate_over_pseudonyms_of_two_key_versions_is_not_mixed(project: Project, aggregate: object) -> None:
    tenant = {"type": "string", "do": {"pseudonymize": {"key": "device"}}}
    project.policy({"tenant_id": tenant} if aggregate != BY_DEVICE | EXACT else {})
    project.pipeline(aggregates={"pseudonyms": aggregate})
    project.records(events(30))
    project.records(events(30, 100), day=BEFORE)
    project.run(date=DAY)
    assert told(schema(project, "pseudonyms").field("tenant" if aggregate != BY_DEVICE | EXACT else "devices"))[
        "key"
    ] == ("device/1")
    add_key(project.keys, "device", now=AT)
    project.run(date=BEFORE)
    with pytest.raises(OutputError, match="key"):
        minimize.read(project.out, "pseudonyms")
    assert minimize.read(project.out, "pseudonyms", dates=DAY).num_rows == 2
    minimize.verify(project.out, keys=project.keys)


def test_a_measure_that_shows_no_value_joins_across_key_versions(project: Project) -> None:
    project.pipeline(aggregates=AGGREGATES)
    project.records(events(30))
    project.records(events(30, 100), day=BEFORE)
    project.run(date=DAY)
    add_key(project.keys, "device", now=AT)
    project.run(date=BEFORE)
    assert minimize.read(project.out, "per_model").num_rows > 0


def test_nested_pseudonyms_of_two_key_versions_are_not_mixed(project: Project) -> None:
    nested = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}
    device = {"type": "string", "role": "identifier", "do": "drop"}
    project.policy({"/apps/*/user": nested, "device_id": device})
    for day in (DAY, BEFORE):
        project.records([event(n, apps=[{"user": "a"}, {"user": "b"}]) for n in range(4)], day=day)
    project.run(date=DAY)
    assert minimize.read(project.out).num_rows == 4
    add_key(project.keys, "device", now=AT)
    project.run(date=BEFORE)
    with pytest.raises(OutputError, match=r"/apps/[*]/user"):
        minimize.read(project.out)
    assert minimize.read(project.out, mixed_keys=True).num_rows == 8


def test_the_date_is_the_last_column_even_if_dates_differ_in_columns(project: Project) -> None:
    project.records(events(4))
    project.records(events(4, 100), day=BEFORE)
    project.run(date=BEFORE)
    project.policy({"later": {"type": "string", "do": "keep"}})
    project.run(date=DAY)
    assert minimize.read(project.out).column_names[-2:] == ["later", "date"]


def test_the_meaning_of_nulls_names_open_bins_and_small_sides(project: Project) -> None:
    aggregate = AGGREGATES["per_model"] | {
        "measures": {
            "devices": {"count_distinct": "device_id"},
            "storage": {"quantile": {"of": "storage", "q": 0.5}},
            "north": {"share": {"of": "tenant_id", "is": "north"}},
            "tenants": {"histogram": "tenant_id"},
        }
    }
    project.pipeline(aggregates={"per_model": aggregate})
    project.records(events(30))
    page = (project.out / "runs" / project.run().run_id / "columns.md").read_text()
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in page.partition("## per_model")[2].splitlines()}
    assert "never null" in lines["devices"]
    assert "open-ended bin" in lines["storage"]
    assert "on one of its sides" in lines["north"]
    assert "a null count" in lines["tenants"]
    assert "open-ended bin" in next(line for line in page.splitlines() if line.startswith("| storage"))
