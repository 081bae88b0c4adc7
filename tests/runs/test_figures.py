"""Aggregates of whole runs against the same figures worked out by DuckDB from the raw records."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import isclose
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import minimize
from minimize.aggregates.noise import RowNoise
from tests.project import AT, Project, event

BELOW = 4
LARGEST = 8
"""The size of the largest app."""
SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("device_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("bought", pa.date32()),
        ("version", pa.string()),
        ("battery", pa.float64()),
        ("storage", pa.int64()),
        ("price", pa.decimal128(12, 2)),
        ("ok", pa.bool_()),
        ("apps", pa.list_(pa.struct([("name", pa.string()), ("size", pa.int64())]))),
    ]
)
FIELDS: dict[str, Any] = {
    "tenant_id": {"type": "string", "do": "keep"},
    "device_id": {"type": "string", "role": "identifier", "do": "drop"},
    "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
    "bought": {"type": "date", "do": "keep"},
    "version": {"type": "string", "do": {"truncate_version": {"parts": 1}}},
    "battery": {"type": "double", "do": "drop", "in_aggregates": {"clip": {"min": 10, "max": 90}}},
    "storage": {"type": "integer", "do": {"bin": {"edges": [100, 400, 700]}}},
    "price": {"type": "decimal(12,2)", "do": {"clip": {"min": 0, "max": 500}}},
    "ok": {"type": "boolean", "do": "keep"},
    "/apps/*/name": {"type": "string", "do": "keep"},
    "/apps/*/size": {"type": "integer", "do": "keep", "in_aggregates": {"clip": {"min": 0, "max": LARGEST}}},
}
POLICY: dict[str, Any] = {
    "policy": "figures",
    "version": 1,
    "purposes": ["operations"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "retention": "30d",
    "fields": FIELDS,
}
FLEET: dict[str, Any] = {
    "group_by": {"week": {"event_time": "week"}, "month": {"bought": "month"}, "version": "version"},
    "measures": {
        "events": "count",
        "devices": {"count_distinct": "device_id"},
        "tenants": {"count_distinct": "tenant_id"},
        "battery": {"mean": "battery"},
        "drained": {"sum": "battery"},
        "median": {"quantile": {"of": "storage", "q": 0.5}},
        "price": {"sum": "price"},
        "p90": {"quantile": {"of": "price", "q": 0.9}},
        "cheapest": {"min": "price"},
        "dearest": {"max": "price"},
        "fine": {"share": {"of": "ok", "is": True}},
    },
    "suppress": {"below": BELOW},
    "exact": {"because": "the figures are compared"},
}
ROWS = 14
"""More records than any device has with an app."""
APPS: dict[str, Any] = {
    "group_by": {"tenant": "tenant_id", "app": "/apps/*/name"},
    "measures": {
        "records": "count",
        "devices": {"count_distinct": "device_id"},
        "size": {"sum": "/apps/*/size"},
    },
    "suppress": {"below": BELOW},
    "per_subject": {"rows": ROWS},
}
FLEET_SQL = """
    with clean as (
        select date_trunc('week', event_time) as week, date_trunc('month', bought)::date as month,
               split_part(version, '.', 1) as version, device_id, tenant_id, ok,
               case when battery < 10 then 10 when battery > 90 then 90 else battery end as battery,
               case when price < 0 then 0 when price > 500 then 500 else price end as price,
               case when storage < 100 then -1 when storage < 400 then 100 when storage < 700 then 400
                    when storage >= 700 then 999 end as storage
        from raw)
    select week, month, version, $measures from clean group by all having devices >= $below
"""
APPS_SQL = """
    with elements as (
        select n, tenant_id as tenant, device_id, unnest(apps, recursive := true)
        from (select *, row_number() over () as n from raw)),
    once as (
        select tenant, name, n, any_value(device_id) as device_id
        from elements group by all),
    records as (
        select tenant, name as app, count(*) as records, count(distinct device_id) as devices
        from once group by all having devices >= $below + $margin),
    sizes as (select tenant, name as app, $size as size from elements group by all)
    select r.tenant, r.app, records, devices, size
    from records r join sizes s on r.tenant = s.tenant and r.app is not distinct from s.app
"""
SD, MARGIN = 2 * 2**0.5, 3
"""Of the noise of a count, and what a noisy number of devices exceeds the threshold by."""
DOUBLES = ("battery", "drained", "fine")
"""What another engine adds up in another order, or divides."""


def few(value: str, measure: str) -> str:
    """A measure that is null where fewer subjects than allowed have a value."""
    return f"case when count(distinct device_id) filter ({value} is not null) >= {BELOW} then {measure} end"


def quantile(value: str, q: float) -> str:
    """A quantile, with the value of each row and whose it is: `supported` makes the measure of it."""
    pairs = f"list({{'device': device_id, 'value': {value}}}) filter ({value} is not null)"
    return f"{{'result': quantile_disc({value}, {q}), 'pairs': {pairs}}}"


def supported(quantile: dict[str, Any]) -> Any:
    """A quantile's result if enough devices are on either side of it, and it is in no open bin."""
    result, pairs = quantile["result"], quantile["pairs"] or []
    sides = [
        {each["device"] for each in pairs if each["value"] <= result},
        {each["device"] for each in pairs if each["value"] >= result},
    ]
    return None if result in (-1, 999) or min(map(len, sides)) < BELOW else result


MEASURES = {
    "events": "count(*)",
    "devices": "count(distinct device_id)",
    "tenants": few("tenant_id", "count(distinct tenant_id)"),
    "battery": few("battery", "avg(battery)"),
    "drained": few("battery", "sum(battery)"),
    "median": quantile("storage", 0.5),
    "price": few("price", "sum(price)"),
    "p90": quantile("price", 0.9),
    "cheapest": few("price", "min(price)"),
    "dearest": few("price", "max(price)"),
    "fine": f"""case when count(distinct device_id) filter (ok) >= {BELOW}
                      and count(distinct device_id) filter (not ok) >= {BELOW}
                then (count(*) filter (ok))::double / count(ok) end""",
}


def records(seed: int, count: int) -> pa.Table:
    """Random check-ins, of which every value but the required may be missing."""
    chance = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.15 else value

    rows = [
        {
            "tenant_id": chance.choice(["north", "south"]),
            "device_id": f"d{chance.randrange(25)}",
            "event_time": AT - timedelta(seconds=chance.randrange(20 * 86400)),
            "bought": maybe(date(2026, 1, 1) + timedelta(days=chance.randrange(90))),
            "version": maybe(chance.choice(["10.0.1", "10.1", "11.2", "9.9"])),
            "battery": maybe(chance.uniform(0, 100)),
            "storage": maybe(chance.randrange(1000)),
            "price": maybe(Decimal(chance.randrange(-2000, 70000)) / 100),
            "ok": maybe(chance.random() < 0.6),
            "apps": maybe(
                [
                    {"name": maybe(chance.choice("abcde")), "size": maybe(chance.randrange(9))}
                    for _ in range(chance.randrange(4))
                ]
            ),
        }
        for _ in range(count)
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def worked_out(raw: pa.Table, query: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("raw", raw)
        found: list[dict[str, Any]] = connection.sql(query.replace("$below", str(BELOW))).to_arrow_table().to_pylist()
        return found


def fleet(raw: pa.Table) -> list[dict[str, Any]]:
    measures = ", ".join(f"{sql} as {name}" for name, sql in MEASURES.items())
    rows = worked_out(raw, FLEET_SQL.replace("$measures", measures))
    return [row | {name: supported(row[name]) for name in ("median", "p90")} for row in rows]


def apps(raw: pa.Table) -> list[dict[str, Any]]:
    return worked_out(raw, APPS_SQL.replace("$size", "sum(size)").replace("$margin", str(MARGIN)))


def ordered(rows: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [str(row[key]) for key in keys])


def run(project: Project, seed: int, count: int, **aggregates: Any) -> pa.Table:
    """Runs a project over random check-ins, and gives them."""
    project.write("policy", POLICY)
    project.source("parquet", aggregates=aggregates, settings=None, purpose="operations")
    raw = records(seed, count)
    project.columns(raw)
    project.run()
    minimize.verify(project.out, keys=project.keys)
    return raw


@pytest.mark.parametrize(("seed", "count"), [(1, 60), (2, 300), (3, 900)])
def test_figures_are_those_that_another_engine_works_out(project: Project, seed: int, count: int) -> None:
    raw = run(project, seed, count, fleet=FLEET)
    found = [{name: row[name] for name in [*FLEET["group_by"], *MEASURES]} for row in project.rows("fleet")]
    expected = fleet(raw)
    keys = list(FLEET["group_by"])
    found, expected = ordered(found, keys), ordered(expected, keys)
    assert [without(row, *DOUBLES) for row in found] == [without(row, *DOUBLES) for row in expected]
    for name in DOUBLES:
        assert all(close(one[name], other[name]) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(("seed", "count"), [(4, 100), (5, 600)])
def test_figures_of_a_list_are_those_that_another_engine_works_out(
    project: Project, seed: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without draws, figures with noise are exact, but for the grid of sums."""
    monkeypatch.setattr(RowNoise, "counts", lambda noise, figure, rows=None: np.zeros(len(noise.groups), np.int64))
    monkeypatch.setattr(RowNoise, "scaled", lambda noise, figure, scale: np.zeros(len(noise.groups), np.int64))
    raw = run(project, seed, count, apps=APPS)
    keys = list(APPS["group_by"])
    found, expected = ordered(project.rows("apps"), keys), ordered(apps(raw), keys)
    assert [without(row, "size", "date") for row in found] == [without(row, "size") for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert abs(one["size"] - other["size"]) <= SD * ROWS * LARGEST / 4


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def close(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else isclose(one, other, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("to", "expected"),
    [("day", "2026-11-23T23:00:00Z"), ("week", "2026-11-22T23:00:00Z"), ("month", "2026-10-31T23:00:00Z")],
)
def test_a_time_that_is_released_by_a_zones_clock_is_grouped_by_the_same(
    project: Project, to: str, expected: str
) -> None:
    project.policy(
        {"event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour", "zone": "Europe/Paris"}}}}
    )
    aggregate: dict[str, Any] = {
        "group_by": {"start": {"event_time": to}},
        "measures": {"n": "count"},
        "suppress": {"below": 1},
    }
    aggregate["exact"] = {"because": "the test counts"}
    project.pipeline(aggregates={"days": aggregate})
    project.records([event(n, event_time=f"2026-11-24T{n:02}:30:00Z") for n in range(22)])
    project.run()
    assert [(row["start"], row["n"]) for row in project.rows("days")] == [(datetime.fromisoformat(expected), 22)]
    minimize.verify(project.out, keys=project.keys)
