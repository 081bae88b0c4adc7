"""Data in memory with planted values wherever an Arrow array, a schema or a data frame can carry one unseen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from tests.leak.canary import Canary

AT = datetime(2026, 11, 25, tzinfo=UTC)
PURPOSE = "operations"
PLANTED: dict[str, Canary] = {}
"""All that was planted so far, by place; other modules plant more."""


def plant(place: str, value: str | int | float | None = None) -> Any:
    """A value for a place, the same each time; remembered as planted."""
    if place not in PLANTED:
        PLANTED[place] = Canary(
            place, f"CANARY-{place.replace(' ', '-')}-{len(PLANTED):02}x" if value is None else value
        )
    return PLANTED[place].value


APPS = pa.list_(pa.struct([("name", pa.string()), ("managed", pa.bool_()), ("path", pa.string())]))
CORPORATE = {"owner": "corporate"}
FIELDS: dict[str, Any] = {
    "tenant_id": {"type": "string", "do": "keep"},
    "device_id": {"type": "string", "role": "identifier", "do": "drop"},
    "event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "hour"}}},
    "owner": {"type": "string", "do": "keep"},
    "note": {"type": "string", "role": "free_text", "do": "drop"},
    "kept": {"type": "string", "do": "keep"},
    "charge": {"type": "double", "do": "keep"},
    "by_feature": {"type": "string", "do": "keep", "feature": "location"},
    "by_level": {"type": "string", "do": "keep", "level": "full"},
    "by_condition": {"type": "string", "do": "keep", "collect_if": CORPORATE},
    "by_case": {"type": "string", "cases": [{"if": CORPORATE, "do": "keep"}], "otherwise": "drop"},
    "for_others": {"type": "string", "do": "keep", "purposes": ["customer_support"], "optional": True},
    "phone": {"type": "string", "do": {"mask": {"keep_last": 2}}},
    "ip": {"type": "string", "role": "quasi", "do": {"truncate_ip": {}}},
    "latitude": {"type": "double", "role": "quasi", "do": {"round": {"to": 0.1}}},
    "model": {"type": "string", "do": {"top": {"keep": 1, "other": "other", "at_least": 2}}},
    "cell": {"type": "struct", "from": ["latitude", "longitude"], "do": "presence", "feature": "location"},
    "longitude": {"type": "double", "role": "quasi", "do": "drop"},
    "/device/os": {"type": "string", "do": "keep"},
    "/device/serial": {"type": "string", "role": "identifier", "do": "drop"},
    "/apps/*/name": {
        "type": "string",
        "do": "keep",
        "collect_if": {"any": [CORPORATE, {"/apps/*/managed": True}]},
    },
    "/apps/*/managed": {"type": "boolean", "do": "drop"},
    "/tags/*": {"type": "string", "do": "keep", "collect_if": CORPORATE},
    "/labels/*": {"type": "string", "do": "keep", "feature": "location"},
    "contacts": {"type": "list", "do": "size", "collect_if": CORPORATE},
}


def policy(fields: dict[str, Any] | None = None) -> Policy:
    """The policy over these fields."""
    return policy_from_mapping(
        {
            "policy": "held",
            "version": 1,
            "purposes": [PURPOSE, "customer_support"],
            "tenant": "tenant_id",
            "subject": "device_id",
            "time": "event_time",
            "retention": "30d",
            "levels": ["required", "full"],
            "features": {"location": {"about": "position", "retention": "24h"}},
            "fields": FIELDS if fields is None else fields,
        }
    )


def under_nulls(*values: tuple[bool, str]) -> pa.Array:
    """Strings of which those that are not shown stand under a null."""
    full = pa.array([value for _, value in values])
    shown = pa.array([shown for shown, _ in values]).buffers()[1]
    return pa.Array.from_buffers(pa.string(), len(full), [shown, *full.buffers()[1:]])


def numbers_under_nulls(*values: tuple[bool, float]) -> pa.Array:
    """Doubles of which those that are not shown stand under a null."""
    full = pa.array([value for _, value in values])
    shown = pa.array([shown for shown, _ in values]).buffers()[1]
    return pa.Array.from_buffers(full.type, len(full), [shown, full.buffers()[1]])


def with_spare(values: list[str | None], spare: str) -> pa.DictionaryArray:
    """A dictionary-encoded column with an entry that no row uses."""
    entries = [*dict.fromkeys(value for value in values if value is not None), spare]
    places = [None if value is None else entries.index(value) for value in values]
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int8()), pa.array(entries))


def columns() -> dict[str, pa.Array]:
    """Four rows: three of a personal device, the third corporate."""
    hour_ago = AT - timedelta(hours=1)
    apps = [
        [
            {"name": "Mail", "managed": True, "path": plant("undeclared in a list")},
            {"name": plant("gated element"), "managed": False, "path": None},
        ],
        [{"name": plant("only gated elements"), "managed": None, "path": None}],
        [],
        None,
    ]
    return {
        "tenant_id": pa.array(["acme"] * 4),
        "device_id": pa.array([f"{plant('dropped identifier')}{row}" for row in range(4)]),
        "event_time": pa.array([hour_ago] * 4, pa.timestamp("us", "UTC")),
        "owner": with_spare(["personal", None, "corporate", "personal"], plant("spare entry of a kept column")),
        "note": pa.array([plant("dropped text")] * 4),
        "kept": under_nulls((True, "a"), (False, plant("under a null")), (False, plant("under another")), (True, "d")),
        "charge": numbers_under_nulls(
            (True, 1.5), (False, plant("number under a null", 7.618033988749)), (True, 2.5), (True, 3.5)
        ),
        "by_feature": with_spare([plant("gated by feature")] * 4, plant("spare entry of a gated column")),
        "by_level": pa.array([plant("gated by level")] * 4, pa.large_string()),
        "by_condition": pa.array([plant("gated by condition"), plant("gated by a null"), "fine", None]),
        "by_case": pa.array([plant("dropped by case"), plant("dropped by no case"), "fine", None]),
        "for_others": pa.array([plant("for another purpose")] * 4, pa.string_view()),
        "phone": pa.array([plant("masked", "+12025550149999123"), None, "+447", plant("masked too", "+3361234567890")]),
        "ip": pa.array([plant("truncated", "203.0.113.177"), plant("unparsable"), None, "2001:db8::1"]),
        "latitude": pa.array([plant("rounded", 48.856613371337), 1.5, None, 2.5]),
        "longitude": pa.array([plant("dropped double", 2.352213371337), None, None, None]),
        "model": pa.array(["m", "m", plant("other than top"), "m"]),
        "device": pa.StructArray.from_arrays(
            [
                under_nulls((True, "Windows"), (False, plant("under a null in a struct")), (True, "iOS"), (True, "x")),
                pa.array([plant("dropped in a struct")] * 4),
            ],
            names=["os", "serial"],
        ),
        "apps": pa.array(apps, APPS),
        "tags": pa.ListArray.from_arrays(
            pa.array([0, 1, 2, 3, 4], pa.int32()),
            with_spare([plant("gated tag"), plant("tag under a null list"), "fine", None], plant("spare tag")),
            mask=pa.array([False, True, False, False]),
        ),
        "labels": pa.MapArray.from_arrays(
            pa.array([0, 1, 2, 2, 2], pa.int32()),
            pa.array([plant("key of a gated map"), "k"]),
            pa.array([plant("gated value of a map"), "v"]),
        ),
        "contacts": pa.array([[plant("element of what is counted")], [], ["a", "b"], None]),
        "new_thing": pa.array([plant("undeclared")] * 4),
        plant("undeclared name"): pa.array([1] * 4),
    }


def table() -> pa.Table:
    """All of it, with metadata on the schema and on every field."""
    made = columns()
    fields = [
        pa.field(name, array.type, metadata={"was": plant("metadata of a field")}) for name, array in made.items()
    ]
    pandas = {"index_columns": [], "columns": [], "creator": plant("metadata for pandas")}
    metadata = {"from": plant("metadata of the schema"), "pandas": json.dumps(pandas)}
    return pa.table(list(made.values()), pa.schema(fields, metadata))


TABLE = table()
IN_TABLE = dict(PLANTED)
"""What was planted in the table alone."""
