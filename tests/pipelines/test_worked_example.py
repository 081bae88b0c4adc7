"""A policy and a pipeline with everything that the files can say, on data made for them: load, lint, plan, run, verify."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import minimize as library
from tests.commands import Result

from .shipped import minimize, new_keys

AT = "2026-11-25T00:00:00Z"
POLICY = """\
# pipelines/device_telemetry/policy.yaml
policy: device_telemetry
version: 1
owner: device-insights@example.com
purposes: [service_maintenance, customer_support]   # closed list; profiling, advertising, marketing, sale are refused
tenant: tenant_id
subject: device_id            # what is counted, found and erased
time: event_time
record: event_id
retention: 30d
levels: [required, basic, enhanced, full]
features:
  app_inventory: {about: applications installed on the device}
  location:      {about: position of a lost device, retention: 24h}
  usage:         {about: how often features are used, holders: [admin, user, developer]}
fields:
  event_id:     {type: string,    role: identifier, do: drop}
  tenant_id:    {type: string,    role: plain,      do: keep}
  event_time:   {type: timestamp, role: quasi,      do: {truncate_time: {to: hour}}}
  device_id:    {type: string,    role: identifier, do: {pseudonymize: {key: device, per: tenant_id}}}
  ip_address:   {type: string,    role: quasi,      do: {truncate_ip: {v4: 24, v6: 48}}}
  latitude:     {type: double,    role: quasi, feature: location, do: {round: {to: 0.1}}}
  os_version:   {type: string,    role: quasi,      do: {truncate_version: {parts: 2}}}
  battery_pct:  {type: double,    level: basic,     do: {bin: {width: 10}}, in_aggregates: {clip: {min: 0, max: 100}}}
  free_storage_bytes: {type: integer, do: {bin: {edges: [1e9, 4e9, 16e9, 64e9]}}}
  model:        {type: string,    role: quasi,      do: {top: {keep: 50, other: other}}}
  owner_type:   {type: string,    role: plain,      do: keep}
  phone_number:
    {type: string, role: identifier, purposes: [customer_support],    # dropped in a run for any other purpose
     cases: [{if: {owner_type: corporate}, do: keep},
             {if: {owner_type: personal}, do: {mask: {keep_last: 4}}}], otherwise: drop}
  /apps/*/name: {type: string, do: keep,
                 collect_if: {any: [{owner_type: corporate}, {all: [{feature: app_inventory}, {/apps/*/managed: true}]}]}}
  /apps/*/managed: {type: boolean, do: drop}                        # read for the condition, never written
  user_principal_name: {type: string, role: identifier, do: drop}
"""
PIPELINE = """\
# pipelines/device_telemetry/pipeline.yaml
pipeline: device_telemetry
policy: policy.yaml
purpose: service_maintenance
source:   {path: "../../sample_data/device_telemetry/{date}/*.ndjson.gz", format: ndjson}
settings: ../../sample_data/device_telemetry/settings.csv
output: ../../out/device_telemetry
records:  {must_be: pseudonymized}                   # partition_by: [tenant_id] would add a level below date=
aggregates:
  fleet_by_version:
    group_by: {day: {event_time: day}, tenant_id: tenant_id, os_version: os_version}
    measures: {events: count, devices: {count_distinct: device_id}, battery_mean: {mean: battery_pct},
               storage_median: {quantile: {of: free_storage_bytes, q: 0.5}}}
    suppress: {below: 10, counting: device_id}
    per_subject: {rows: 5}
    late: 2d                                       # an event day is published once, when its late rows are in
quarantine: {warn_above: 0.01}
"""
SETTINGS = """\
tenant_id,subject,setting,value,holder,valid_from,recorded_at
t0,,level,basic,admin,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z
t0,,location,on,admin,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z
t0,,app_inventory,on,admin,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z
"""
APPS = [{"name": "mail", "managed": True}, {"name": "game", "managed": False}]
OWNERS = ("corporate", "personal", "unknown")


def record(number: int) -> dict[str, Any]:
    """Of 80 devices of two tenants; a device has one owner, one address and one position."""
    device = number % 80
    return {
        "event_id": f"event-{number}",
        "tenant_id": f"t{device % 2}",
        "event_time": f"2026-11-24T{number % 24:02d}:17:12Z",
        "device_id": f"device-{device}",
        "ip_address": f"10.1.{device}.{number % 250}" if device % 3 else f"2001:db8:{device:x}:77::1",
        "latitude": 48.8566,
        "os_version": ("10.0.19045.3", "11.0.22000.1")[device % 4 // 2],
        "battery_pct": float(number % 100),
        "free_storage_bytes": number * 10**8,
        "model": f"model-{device % 2}",
        "owner_type": OWNERS[device % 3],
        "phone_number": f"+3361234{device:04d}",
        "apps": APPS,
        "user_principal_name": f"user{device}@mail.example",
        "surprise": "nobody declared this",
    }


@pytest.fixture(scope="module", name="organization")
def _organization(tmp_path_factory: pytest.TempPathFactory) -> Path:
    organization = tmp_path_factory.mktemp("worked")
    pipeline, data = organization / "pipelines" / "device_telemetry", organization / "sample_data" / "device_telemetry"
    pipeline.mkdir(parents=True)
    (data / "2026-11-24").mkdir(parents=True)
    (pipeline / "policy.yaml").write_text(POLICY)
    (pipeline / "pipeline.yaml").write_text(PIPELINE)
    (data / "settings.csv").write_text(SETTINGS)
    lines = [json.dumps(record(number)) for number in range(400)]
    text = "\n".join([*lines[:200], '{"torn', *lines[200:]])
    (data / "2026-11-24" / "part.ndjson.gz").write_bytes(gzip.compress(text.encode()))
    new_keys(organization / "my.keys")
    return organization


def said(organization: Path, *arguments: str) -> Result:
    return minimize(*arguments, keys=organization / "my.keys", cwd=organization)


@pytest.fixture(scope="module", name="ran")
def _ran(organization: Path) -> Result:
    return said(organization, "run", "pipelines/device_telemetry", "--at", AT, "--output", "out", "--json")


@pytest.fixture(scope="module", name="closed")
def _closed(organization: Path, ran: Result) -> Result:
    """The batch two days later, in which nothing late came any more."""
    batch = organization / "sample_data" / "device_telemetry" / "2026-11-26"
    batch.mkdir()
    (batch / "part.ndjson.gz").write_bytes(gzip.compress(b""))
    run = ("run", "pipelines/device_telemetry", "--date", batch.name, "--at", "2026-11-27T00:00:00Z")
    return said(organization, *run, "--output", "out", "--json") if ran.code == 0 else ran


def rows(organization: Path, ran: Result, name: str = "records") -> list[dict[str, Any]]:
    assert ran.code == 0
    return [
        row
        for file in ran.json["outputs"][name]["files"]
        for row in pq.ParquetFile(organization / "out" / file["path"]).read().to_pylist()
    ]


def test_it_loads(organization: Path) -> None:
    loaded = library.load_pipeline(organization / "pipelines" / "device_telemetry")
    assert (loaded.pipeline, loaded.policy.policy, len(loaded.policy.fields)) == (
        "device_telemetry",
        "device_telemetry",
        15,
    )


def test_lint_has_warnings_and_no_errors(organization: Path) -> None:
    done = said(organization, "lint", "pipelines/device_telemetry", "--json")
    found = {finding["code"]: finding["severity"] for finding in done.json["findings"]}
    assert (done.code, set(found.values())) == (0, {"warning"})
    assert set(found) == {"L004", "L005", "L030", "L051", "L096"}


def test_the_plan_states_the_treatment_of_each_field(organization: Path) -> None:
    done = said(organization, "plan", "pipelines/device_telemetry", "--json")
    fields = done.json["fields"]
    assert {name: (field["action"], field["technique"], field["residual"]) for name, field in fields.items()} == {
        "event_id": ("drop", "drop", None),
        "tenant_id": ("keep", "keep", "original"),
        "event_time": ("transform", "truncate_time", "coarse"),
        "device_id": ("transform", "pseudonymize", "linkable"),
        "ip_address": ("transform", "truncate_ip", "coarse"),
        "latitude": ("gate", "round", "coarse"),
        "os_version": ("transform", "truncate_version", "coarse"),
        "battery_pct": ("gate", "bin", "coarse"),
        "free_storage_bytes": ("transform", "bin", "coarse"),
        "model": ("transform", "top", "coarse"),
        "owner_type": ("keep", "keep", "original"),
        "phone_number": ("drop", "drop", None),
        "/apps/*/name": ("gate", "keep", "original"),
        "/apps/*/managed": ("drop", "drop", None),
        "user_principal_name": ("drop", "drop", None),
    }
    assert {name: output["category"] for name, output in done.json["outputs"].items()} == {
        "records": "pseudonymized",
        "fleet_by_version": "aggregated",
    }


def test_every_row_is_accounted_for(ran: Result) -> None:
    assert ran.json["rows"] == {
        "read": 401,
        "written": 400,
        "gated": 0,
        "quarantined": 1,
        "suppressed": 0,
        "deduplicated": 0,
    }
    assert ran.json["quarantine"]["by_code"] == {"malformed": 1}
    assert ran.json["undeclared"] == {"/surprise": 400}


def test_records_hold_what_the_policy_lets_out(organization: Path, ran: Result) -> None:
    for row in rows(organization, ran):
        first, tenant = row["owner_type"] == "corporate", row["tenant_id"]
        assert set(row) == {
            *("tenant_id", "event_time", "device_id", "ip_address", "latitude", "os_version", "battery_pct"),
            *("free_storage_bytes", "model", "owner_type", "apps"),
        }
        assert row["event_time"].minute == row["event_time"].second == 0
        assert len(row["device_id"]) >= 26
        assert row["ip_address"].endswith((".0", "::"))
        assert row["latitude"] == (48.9 if tenant == "t0" else None)
        assert row["os_version"] in ("10.0", "11.0")
        assert (row["battery_pct"] is None) == (tenant == "t1")
        assert row["free_storage_bytes"] in (None, 1_000_000_000, 4_000_000_000, 16_000_000_000)
        assert [app["name"] for app in row["apps"] or []] == (
            ["mail", "game"] if first else ["mail"] if tenant == "t0" else []
        )
    assert Counter(len(row["apps"] or []) for row in rows(organization, ran)) == {2: 135, 1: 130, 0: 135}


def test_an_event_day_waits_for_its_late_rows(ran: Result) -> None:
    assert ran.json["outputs"]["fleet_by_version"]["files"] == []


def test_the_aggregate_counts_subjects(organization: Path, closed: Result) -> None:
    found = {(row["tenant_id"], row["os_version"]): row for row in rows(organization, closed, "fleet_by_version")}
    groups = {(tenant, version) for tenant in ("t0", "t1") for version in ("10.0", "11.0")}  # of 20 devices each
    assert found
    assert found.keys() <= groups
    assert all(
        13 <= row["devices"] <= 20 + 24 and row["devices"] <= row["events"] <= 100 + 5 * 25 for row in found.values()
    )
    assert {row["battery_mean"] for (tenant, _), row in found.items() if tenant == "t1"} <= {None}


def test_the_published_output_passes_verification(organization: Path, closed: Result) -> None:
    assert closed.code == 0
    done = said(organization, "verify", "out", "--json")
    assert (done.code, done.json["ok"]) == (0, True)


def test_another_purpose_lets_the_phone_number_out_and_is_refused_for_it(organization: Path) -> None:
    folder = organization / "pipelines" / "support"
    folder.mkdir(exist_ok=True)
    text = PIPELINE.replace("purpose: service_maintenance", "purpose: customer_support")
    text = text.replace("policy: policy.yaml", "policy: ../device_telemetry/policy.yaml")
    (folder / "pipeline.yaml").write_text(
        text.replace("{must_be: pseudonymized}", "{must_be: pseudonymized, encrypt: identified}")
    )
    done = {verb: said(organization, verb, "pipelines/support", "--json") for verb in ("lint", "plan", "run")}
    assert {verb: each.code for verb, each in done.items()} == {"lint": 1, "plan": 3, "run": 3}
    assert "R001" in {finding["code"] for finding in done["lint"].json["findings"]}
    for verb in ("plan", "run"):
        assert [fault["code"] for fault in json.loads(done[verb].err)["error"]["faults"]] == ["R001"]


def test_and_may_where_the_output_may_be_identified(organization: Path) -> None:
    folder = organization / "pipelines" / "identified"
    folder.mkdir(exist_ok=True)
    text = PIPELINE.replace("purpose: service_maintenance", "purpose: customer_support")
    text = text.replace("policy: policy.yaml", "policy: ../device_telemetry/policy.yaml")
    (folder / "pipeline.yaml").write_text(
        text.replace("{must_be: pseudonymized}", "{must_be: identified, encrypt: identified}")
    )
    output = organization / "identified"
    done = said(organization, "run", "pipelines/identified", "--at", AT, "--output", str(output), "--json")
    assert done.code == 0
    phones = {
        (row["owner_type"], (row["phone_number"] or "")[:8])
        for row in library.read(output, keys=organization / "my.keys").to_pylist()
    }
    assert {(owner, phone[:4]) for owner, phone in phones} == {
        ("corporate", "+336"),
        ("personal", "****"),
        ("unknown", ""),
    }
