""""""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from minimize.plan import Plan
from minimize.stages.raw_values import mask_closed_values, masked_schema
from tests.stages.make import APPS, gated, left, plan_of, records, settings

COLUMNS = {
    "owner": pa.string(),
    "user_name": pa.string(),
    "os": pa.struct([("name", pa.string()), ("serial", pa.string())]),
    "apps": APPS,
    "tags": pa.list_(pa.string(), 2),
    "labels": pa.map_(pa.string(), pa.string()),
}
FIELDS: dict[str, Any] = {
    "owner": {"type": "string", "do": "keep"},
    "user_name": {"type": "string", "do": "keep", "feature": "names"},
    "/os/name": {"type": "string", "do": "keep"},
    "/os/serial": {"type": "string", "do": "keep", "collect_if": {"user_name": "open"}},
    "/apps/*/name": {"type": "string", "do": "keep", "collect_if": {"/apps/*/managed": True}},
    "/apps/*/managed": {"type": "boolean", "do": "drop"},
    "/tags/*": {"type": "string", "do": "keep", "collect_if": {"owner": "corporate"}},
    "labels": {"type": "map", "do": "size"},
}
PLAN: Plan = plan_of(FIELDS, columns=COLUMNS, features={"names": {"about": "names"}})
ROWS: list[dict[str, Any]] = [
    {
        "owner": "personal",
        "user_name": "hidden user",
        "os": {"name": "x", "serial": "hidden serial"},
        "apps": [{"name": "mail", "managed": True}, {"name": "hidden app", "managed": False}],
        "tags": ["hidden tag", "hidden tag too"],
        "labels": [("a", "1")],
    },
    {"owner": "corporate", "apps": [], "tags": ["a", "b"], "os": {"name": "y", "serial": None}},
    {"tenant_id": None, "owner": None, "apps": None, "labels": []},
]


def bytes_of(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_what_the_gate_closed_is_not_set_aside() -> None:
    aside = mask_closed_values(gated(PLAN, records(COLUMNS, *ROWS)), PLAN)
    assert b"hidden" not in bytes_of(aside)
    assert b"mail" in bytes_of(aside)


def test_what_is_not_closed_is_set_aside() -> None:
    said = settings({"setting": "names", "value": "on"})
    aside = mask_closed_values(gated(PLAN, records(COLUMNS, *ROWS), said), PLAN)
    assert b"hidden user" in bytes_of(aside)


@pytest.mark.parametrize("value", ["on", "off"])
def test_the_same_leaves_as_if_nothing_had_been_set_aside(value: str) -> None:
    said = settings({"setting": "names", "value": value})
    raw = records(COLUMNS, *ROWS, {"user_name": "open", "os": {"name": None, "serial": "s"}})
    aside = mask_closed_values(gated(PLAN, raw, said), PLAN)
    assert left(PLAN, aside, said) == left(PLAN, raw, said)


def test_its_schema_is_known_before() -> None:
    raw = records(COLUMNS, *ROWS)
    assert mask_closed_values(gated(PLAN, raw), PLAN).schema == masked_schema(raw.schema, PLAN)
    assert masked_schema(raw.schema, PLAN).names == [*("tenant_id", "device_id", "event_time"), *COLUMNS]


def test_whom_a_setting_is_about_is_set_aside_though_a_gate_closes_it() -> None:
    fields = {"device_id": {"type": "string", "do": "keep", "collect_if": {"owner": "x"}}, "owner": FIELDS["owner"]}
    plan = plan_of(fields, columns={"owner": pa.string()})
    aside = mask_closed_values(gated(plan, records({"owner": pa.string()}, {"device_id": "d", "owner": "y"})), plan)
    assert aside["device_id"].to_pylist() == ["d"]
