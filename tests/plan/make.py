"""Small policies and pipelines for the tests of plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.plan import Plan, bind
from minimize.policy.load import load_pipeline, policy_from_mapping
from minimize.policy.model import Policy
from tests.project import FIELDS as PROJECT_FIELDS
from tests.project import TIME, Project

FIELDS: dict[str, Any] = {
    **{name: PROJECT_FIELDS[name] for name in ("tenant_id", "event_time", "device_id")},
    "ip_address": {"type": "string", "role": "quasi", "do": {"truncate_ip": {}}},
    "owner_type": {"type": "string", "do": "keep"},
}
PIPELINE: dict[str, Any] = {
    "pipeline": "telemetry",
    "policy": "policy.yaml",
    "purpose": "service_maintenance",
    "source": {"path": "in/*.ndjson", "format": "ndjson"},
    "output": "out",
}
_TYPES = {"string": pa.string(), "timestamp": TIME, "double": pa.float64(), "integer": pa.int64()}


def body(extra: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A policy as its file would say it, with more fields and more keys."""
    return {
        "policy": "telemetry",
        "version": 3,
        "purposes": ["service_maintenance", "customer_support"],
        "tenant": "tenant_id",
        "subject": "device_id",
        "time": "event_time",
        "retention": "30d",
        "fields": FIELDS | (extra or {}),
    } | more


def policy(extra: dict[str, Any] | None = None, **more: Any) -> Policy:
    """The same, loaded."""
    return policy_from_mapping(body(extra, **more))


def schema(of: Policy) -> pa.Schema:
    """The flat fields of a policy as a source would have them."""
    flat = [field for field in of.fields.values() if field.pointer.is_flat and not field.from_]
    return pa.schema([(field.key, _TYPES[field.type]) for field in flat])


def plan(extra: dict[str, Any] | None = None, *, purpose: str | None = "service_maintenance", **more: Any) -> Plan:
    """The plan of such a policy without a pipeline."""
    made = policy(extra, **more)
    return bind(made, schema(made), purpose=purpose)


def pipeline_plan(folder: Path, extra: dict[str, Any] | None = None, **more: Any) -> Plan:
    """The plan of such a policy under a pipeline with these keys, both read from files in the folder."""
    project = Project(folder, base_policy=body(extra), base_pipeline=PIPELINE)
    project.policy()
    project.pipeline(**more)
    loaded = load_pipeline(folder)
    return bind(loaded.policy, schema(loaded.policy), purpose=loaded.purpose, pipeline=loaded)
