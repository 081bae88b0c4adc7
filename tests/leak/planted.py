"""A pipeline with a canary in every field that is dropped, gated, generalized or malformed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.leak.canary import Canary
from tests.project import DAY, FIELDS, Project
from tests.project import PIPELINE as PROJECT_PIPELINE
from tests.project import POLICY as PROJECT_POLICY

__all__ = ["AT", "CANARIES", "DAY", "PIPELINE", "POLICY", "SETTINGS", "VALUE", "build", "configured", "records"]

AT = "2026-11-25T00:00:00Z"
_TIME = datetime(2026, 11, 24, 13, 37, 42, 123457, UTC)

CANARIES = (
    Canary("dropped text", "CANARY-dropped-5e1f77"),
    Canary("dropped number", 7_405_112_633_911_021),
    Canary("undeclared value", "CANARY-undeclared-9a2b"),
    Canary("undeclared name", "canary@undeclared.example"),
    Canary("undeclared name of one subject", "CANARY_name_44bd"),
    Canary("undeclared name in an element", "CANARY_inner_91ce"),
    Canary("forbidden", "CANARY-forbidden-77aa12"),
    Canary("mistyped", "CANARY-mistyped-31c0de"),
    Canary("bad time", "CANARY-badtime-0b5e55"),
    Canary("malformed line", "CANARY-malformed-f00d4e"),
    Canary("gated by feature", 48.856613371337),
    Canary("gated by level", "CANARY-level-66b1f0"),
    Canary("gated by condition", "CANARY-condition-8d8d11"),
    Canary("gated element", "CANARY-element-4c4c22"),
    Canary("gated record", "CANARY-record-2222ab"),
    Canary("case dropped", "+12025550147777"),
    Canary("masked", "+12025550149999123"),
    Canary("pseudonymized", "CANARY-device-d3v1c3"),
    Canary("tokenized", "CANARY-token-70k3n5"),
    Canary("truncated address", "203.0.113.177"),
    Canary("truncated time", int(_TIME.timestamp()) * 1_000_000 + 123457),
    Canary("binned", 87.123456789012),
    Canary("rounded", 2.352213371337),
    Canary("other than top", "CANARY-rare-model-1a1a"),
    Canary("redacted", "canary.person@leak.example"),
    Canary("other purpose", "CANARY-purpose-5d5d5d"),
    Canary("past retention", "CANARY-retention-abcdef"),
    Canary("unparsable", "CANARY-unparsable-not-an-ip"),
)
NAMES = (
    Canary("key of a map of which the policy says nothing", "canary.seen@keys.example"),
    Canary("key of a map in an element", "canary.inner@keys.example"),
    Canary("pseudonymized key", "canary.shared@keys.example"),
    Canary("coarser key", "canary.domain"),
    Canary("undeclared name among many", "CANARY_many_7d1e"),
    Canary("file name", "canary.file@names.example"),
)
"""Names that are values; columnar sources have none of them."""
ALL = CANARIES + NAMES
VALUE = {canary.place: canary.value for canary in ALL}
FILE = f"{VALUE['file name']}.ndjson.gz"

POLICY: dict[str, Any] = {
    **PROJECT_POLICY,
    "policy": "leak",
    "version": 1,
    "levels": ["required", "full"],
    "features": {**PROJECT_POLICY["features"], "inventory": {"about": "applications"}},
    "records": {"collect_if": {"kind": "wanted"}},
    "fields": {
        **{name: FIELDS[name] for name in ("event_id", "tenant_id", "event_time", "device_id", "latitude")},
        "kind": {"type": "string", "do": "keep"},
        "owner_type": {"type": "string", "do": "keep"},
        "note": {"type": "string", "role": "free_text", "do": "drop"},
        "serial": {"type": "integer", "role": "identifier", "do": "drop"},
        "longitude": {"type": "double", "role": "quasi", "do": {"round": {"to": 0.1}}},
        "user_name": {"type": "string", "role": "identifier", "level": "full", "do": "keep"},
        "department": {"type": "string", "do": "keep", "collect_if": {"owner_type": "corporate"}},
        "phone": {
            "type": "string",
            "role": "identifier",
            "cases": [{"if": {"owner_type": "personal"}, "do": {"mask": {"keep_last": 2}}}],
            "otherwise": "drop",
        },
        "ticket": {"type": "string", "role": "identifier", "do": {"tokenize": {"key": "ticket", "per": "tenant_id"}}},
        "ip": {"type": "string", "role": "quasi", "do": {"truncate_ip": {"v4": 24, "v6": 48}}},
        "battery": {
            "type": "double",
            "do": {"bin": {"width": 10}},
            "in_aggregates": [{"clip": {"min": 0, "max": 100}}, {"round": {"to": 5}}],
        },
        "model": {"type": "string", "role": "quasi", "do": {"top": {"keep": 2, "other": "other"}}},
        "comment": {"type": "string", "role": "free_text", "do": {"redact": {"patterns": ["email"]}}},
        "support_id": {"type": "string", "do": "keep", "purposes": ["customer_support"]},
        "/apps/*/name": {
            "type": "string",
            "do": "keep",
            "collect_if": {"any": [{"owner_type": "corporate"}, {"/apps/*/managed": True}]},
        },
        "/apps/*/managed": {"type": "boolean", "do": "drop"},
        "/apps/*/seen_by/*/n": {"type": "integer", "optional": True, "do": "keep"},
        "/seen_by/*/n": {"type": "integer", "optional": True, "do": "presence"},
        "/shared_with": {
            "type": "map",
            "role": "identifier",
            "optional": True,
            "keys": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
        },
        "/shared_with/*/n": {"type": "integer", "optional": True, "do": "keep"},
        "/domains": {"type": "map", "role": "identifier", "optional": True, "keys": "email_domain"},
        "/domains/*/n": {"type": "integer", "optional": True, "do": "keep"},
    },
}

PIPELINE: dict[str, Any] = {
    **PROJECT_PIPELINE,
    "pipeline": "leak",
    "source": {"path": "in/{date}/*.ndjson.gz", "format": "ndjson"},
    "records": {"deduplicate": {"by": ["device_id", "model", "kind"]}},
    "aggregates": {
        "by_model": {
            "group_by": {"day": {"event_time": "day"}, "model": "model"},
            "measures": {"events": "count", "devices": {"count_distinct": "device_id"}, "battery": {"mean": "battery"}},
        }
    },
}

SETTINGS = """tenant_id,subject,setting,value,holder,valid_from,recorded_at
acme,,location,off,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
acme,,inventory,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z
"""


def configured(folder: Path) -> Project:
    """A project with the settings, which leaves identified columns unencrypted, so that a value is found if it is there."""
    folder.mkdir(exist_ok=True)
    (folder / "minimize.yaml").write_text('{"access": "off", "encrypt": "off"}')
    (folder / "settings.csv").write_text(SETTINGS)
    return Project(folder, base_policy=POLICY, base_pipeline=PIPELINE)


def build(folder: Path) -> Path:
    """Writes pipeline, policy, settings and a day of records; gives the pipeline's folder."""
    project = configured(folder)
    project.policy()
    project.pipeline()
    malformed = f'{{"note": "{VALUE["malformed line"]}"'
    name = str(VALUE["file name"])
    project.records([*records(), *with_names(), malformed], name=name, root="in")
    return folder


def records() -> list[dict[str, Any]]:
    """Thirty plain records, and one for each canary that needs a record of its own."""
    plain = [record(number) for number in range(30)]
    special: list[dict[str, Any]] = [
        {"note": VALUE["dropped text"], "serial": VALUE["dropped number"]},
        {"new_thing": VALUE["undeclared value"], str(VALUE["undeclared name"]): 1},
        {str(VALUE["undeclared name of one subject"]): "x"},
        {"apps": [{"name": "Mail", "managed": True, str(VALUE["undeclared name in an element"]): 1}]},
        {"contacts": [VALUE["forbidden"]]},
        {"serial": VALUE["mistyped"]},
        {"event_time": VALUE["bad time"]},
        {"latitude": VALUE["gated by feature"], "longitude": VALUE["rounded"]},
        {"user_name": VALUE["gated by level"]},
        {"owner_type": "personal", "department": VALUE["gated by condition"], "phone": VALUE["masked"]},
        {"owner_type": "personal", "apps": [{"name": VALUE["gated element"], "managed": False}]},
        {"kind": "unwanted", "owner_type": VALUE["gated record"], "model": VALUE["gated record"]},
        {"owner_type": "corporate", "phone": VALUE["case dropped"]},
        {"device_id": VALUE["pseudonymized"], "ticket": VALUE["tokenized"], "ip": VALUE["truncated address"]},
        {"event_time": _TIME.isoformat(), "battery": VALUE["binned"], "model": VALUE["other than top"]},
        {"comment": f"write to {VALUE['redacted']} please", "support_id": VALUE["other purpose"]},
        {"event_time": "2026-09-01T00:00:00Z", "owner_type": VALUE["past retention"]},
        {"ip": VALUE["unparsable"]},
    ]
    return plain + [record(100 + number) | changes for number, changes in enumerate(special)]


def with_names() -> list[dict[str, Any]]:
    """Records with names that are values."""
    seen, inner, shared, domain, many, _ = (str(canary.value) for canary in NAMES)
    changes: list[dict[str, Any]] = [
        {"seen_by": {seen: {"n": 1}, "fine@keys.example": {"n": 2}}},
        {"apps": [{"name": "Mail", "managed": True, "seen_by": {inner: {"n": 1}}}]},
        {"shared_with": {shared: {"n": 1}}},
        {"domains": {f"{domain}@keys.example": {"n": 1}}},
        *({"extra": {f"{many}{n}": n}, **{f"{many}{n}x{k}": k for k in range(150)}} for n in range(10)),
    ]
    return [record(200 + number) | each for number, each in enumerate(changes)]


def record(number: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "tenant_id": "acme",
        "event_time": f"2026-11-24T{number % 24:02}:10:00Z",
        "device_id": f"device-{number}",
        "kind": "wanted",
        "owner_type": "corporate",
        "model": f"model {number % 2}",
        "apps": [{"name": "Mail", "managed": True}],
    }
