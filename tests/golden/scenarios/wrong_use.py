"""What is refused: faulty policies with code and line, bad settings and inputs, limits, and wrong commands."""

from __future__ import annotations

import gzip
import json

from tests.golden.runner import Session
from tests.golden.samples import DAY, copy_samples, plant_in_telemetry

FAULTY_POLICY = """\
policy: faulty
version: one
purposes: [service_maintenance, marketing]
tenant: tenant_id
subject: device_id
time: when
retention: sometimes
levels: [required, full]
features:
  location: {about: position, retention: 40d}
never: [device_id]
feilds: {}
fields:
  tenant_id: {type: string, do: keep}
  device_id: {type: string, role: identifier, do: {pseudonymise: {key: device}}}
  event_time: {type: timestamp, do: {truncate_time: {to: fortnight}}}
  serial: {type: string, role: identifier, do: keep}
  latitude: {type: double, feature: locaton, do: {round: {to: -1}}}
  ip: {type: integer, do: {truncate_ip: {v4: 240}}}
  note: {type: text, role: free_text, do: keep}
  note: {type: string, do: drop}
  size: {type: integer, do: {bin: {edges: [3, 2]}}}
  phone: {type: string, level: higher, cases: [{if: {nothing: 1}, do: drop}]}
"""
WIDE = """\
policy: wide
version: 1
purposes: [service_maintenance]
tenant: tenant_id
subject: device_id
time: event_time
retention: 400d
fields:
  tenant_id: {type: string, do: keep}
  device_id: {type: string, role: identifier, do: keep}
  event_time: {type: timestamp, role: quasi, do: keep}
  device_name: {type: string, role: free_text, do: keep}
  ip_address: {type: string, role: quasi, do: keep}
  battery_pct: {type: double, collect_if: {device_id: x}, do: keep, in_aggregates: {clip: {min: 0, max: 100}}}
"""
PIPELINE = {
    "pipeline": "wide",
    "policy": "policy.yaml",
    "purpose": "service_maintenance",
    "source": {"path": "../sample_data/device_telemetry/{date}/*.ndjson.gz", "format": "ndjson"},
    "output": "../out/wide",
    "records": {"must_be": "pseudonymized"},
    "aggregates": {
        "per_tenant": {"group_by": {"tenant_id": "tenant_id"}, "measures": {"battery": {"sum": "battery_pct"}}}
    },
}
SETTINGS = "sample_data/device_telemetry/settings.csv"
SOURCE = f"sample_data/device_telemetry/{DAY}/part-00000.ndjson.gz"


def steps(session: Session) -> None:
    """Everything here ends with an error or a warning."""
    copy_samples(session, "device_telemetry")
    plant_in_telemetry(session)
    session.write("faulty/policy.yaml", FAULTY_POLICY)
    session.write("faulty/pipeline.yaml", PIPELINE)
    session.write("wide/policy.yaml", WIDE)
    session.write("wide/pipeline.yaml", PIPELINE)
    session.write(
        "unknown/pipeline.yaml", {**PIPELINE, "purpose": "marketing", "sauce": {}, "aggregates": {"records": {}}}
    )
    session.write("broken/policy.yaml", "policy: [unclosed\n  - : {")
    telemetry = "pipelines/device_telemetry"

    session.run("lint faulty/policy.yaml --json")
    session.run("lint faulty --json")
    session.run("run faulty --json")
    session.run("lint unknown --json")
    session.run("lint broken/policy.yaml --json")
    session.run("lint wide --json")
    for verb in ("plan", "run"):
        session.run(f"{verb} wide --json")
    session.write("timeless/policy.yaml", WIDE.replace("time: event_time\n", ""))
    session.write("timeless/pipeline.yaml", PIPELINE)
    for verb in ("plan", "run"):
        session.run(f"{verb} timeless --json")
    session.run("explain wide ip_address --json")
    session.run("test wide --json")

    session.run("frobnicate")
    session.run("rum pipelines/device_telemetry --json")
    session.run(f"run {telemetry} --date yesterday --json")
    session.run(f"run {telemetry} --no-such-option")
    session.run("run pipelines/no_such_pipeline --json")
    session.run("verify out/none --json")
    session.run("runs --output out/none --json")
    session.run("runs show 2026 --output out/none --json")
    session.run(f"run {telemetry} --at 2026-11-24T00:00:00Z --json")
    session.run(f"run {telemetry} --at soon --json")
    session.run(f"run {telemetry} --engine abacus --json")
    session.run(f"run {telemetry} --keys none.keys --json")
    session.run(f"run {telemetry} --json", MINIMIZE_KEYS="")
    session.write("open.keys", "{}").chmod(0o644)
    session.run(f"run {telemetry} --keys open.keys --json")
    session.write("empty.keys", "{}").chmod(0o600)
    session.run(f"run {telemetry} --keys empty.keys --json")

    good = (session.folder / SETTINGS).read_text()
    session.write(
        SETTINGS, good + "x,,location,on,admin,soon,2026-01-01T00:00:00Z,\nx,,location,maybe,nobody,2026-01-01,,\n"
    )
    session.run(f"run {telemetry} --settings {SETTINGS} --date {DAY} --json")
    session.write(SETTINGS, "tenant,setting\nx,y\n")
    session.run(f"run {telemetry} --settings {SETTINGS} --date {DAY} --json")
    session.write(SETTINGS, good)

    whole = (session.folder / SOURCE).read_bytes()
    session.write(SOURCE, whole[: len(whole) // 2])
    session.run(f"run {telemetry} --settings {SETTINGS} --date {DAY} --json")
    session.run(f"run {telemetry} --settings {SETTINGS} --pending --json")
    records = session.records(SOURCE.replace(DAY, "2026-11-23"))
    faulty = [json.dumps({**each, "password": "CANARY-refused-29"}) for each in records[:8]]
    session.write(SOURCE, [*faulty, *records[8:400]])
    session.run(f"run {telemetry} --settings {SETTINGS} --date {DAY} --json")
    session.write(SOURCE, [*faulty, "{broken", *records[8:12]])
    session.run(f"run {telemetry} --settings {SETTINGS} --date {DAY} --json")
    session.write(SOURCE, gzip.compress(b"", mtime=0))
    session.run(f"run {telemetry} --settings {SETTINGS} --date {DAY} --allow-shrink --json")
    session.run("quarantine out/device_telemetry --json")
    session.write("out/device_telemetry/records/date=2026-11-23/stray.parquet", "stray")
    session.run("verify out/device_telemetry --json")
    session.run("audit log --output out/device_telemetry --result failure --json")
    session.run("runs void 2 --reason 'a test' --output out/device_telemetry --json")
    session.run("runs void 2 --output out/device_telemetry")
