"""The sample pipeline for the help desk, whose records are identified; and inputs that change after they were read."""

from __future__ import annotations

import minimize
from tests.golden.runner import KEYRING, Session
from tests.golden.samples import DAY, SUPPORT, copy_samples, import_settings, plant_in_telemetry

PIPELINE = "pipelines/device_support"
OUTPUT = "out/device_support"
ORDER = [(name, "ascending") for name in ("event_time", "device_id", "os_version")]
SOURCE = f"sample_data/device_telemetry/{DAY}/part-00000.ndjson.gz"


def steps(session: Session) -> None:
    """Runs, runs again after the input changed, loses the input, and finds that a file was changed."""
    copy_samples(session, "device_telemetry")
    plant_in_telemetry(session)
    import_settings(session)
    session.run(f"lint {PIPELINE} --json")
    session.run(f"plan {PIPELINE} --json")
    session.run(f"explain {PIPELINE} phone_number --json")
    session.run(f"run {PIPELINE} --json")
    session.look(OUTPUT)
    session.call("minimize.read(OUTPUT)", lambda: minimize.read(OUTPUT, keys=KEYRING).sort_by(ORDER))
    session.run(f"report {OUTPUT} --at 2026-11-25T12:00:00Z --json")
    session.write("sample_data/device_telemetry/2026-11-24/part-1.ndjson.gz", session.records(SOURCE)[:150])
    session.run(f"quarantine {OUTPUT} --json")
    session.run(f"run {PIPELINE} --pending --json")
    session.write(SOURCE, session.records(SOURCE)[-100:])
    session.run(f"run {PIPELINE} --date {DAY} --json")
    session.run(f"run {PIPELINE} --date {DAY} --allow-shrink --json")
    session.run(f"replay {OUTPUT} --json")
    (session.folder / SOURCE).unlink()
    session.run(f"run {PIPELINE} --pending --json")
    session.run(f"retract {OUTPUT} --json")
    session.run(f"expire {OUTPUT} --at 2026-12-23T12:00:00Z --yes --allow-shrink --json")
    session.run(f"verify {OUTPUT} --json")
    _locate(session)
    written = min((session.folder / OUTPUT / "records").rglob("*.parquet"))
    written.write_bytes(written.read_bytes()[:-1] + b"?")
    session.run(f"verify {OUTPUT} --json")
    written.unlink()
    session.run(f"verify {OUTPUT} --json")
    session.run(f"verify {OUTPUT} --json", MINIMIZE_KEYS="none.keys")


def _locate(session: Session) -> None:
    """A lost device is located by an action in the ledger, and ended."""
    tenant, located = "contoso", "out/located"
    lost = {"device_type": "iphone", "owner_type": "corporate", "is_supervised": True, "lost_mode": True}
    lost |= {"tenant_id": tenant, "event_time": "2026-11-25T09:30:00Z", "latitude": 48.8566, "longitude": 2.3522}
    records = [{**lost, "event_id": f"e{number}", "device_id": f"phone-{number}"} for number in range(3)]
    session.write("sample_data/device_telemetry/2026-11-25/part-0.ndjson.gz", records)
    session.run(f"locate start phone-1 --tenant {tenant} --pipeline {PIPELINE} --json", actor=SUPPORT)
    session.run(f"settings set {tenant} location on --pipeline {PIPELINE} --json")
    session.run(f"locate start phone-1 --tenant {tenant} --pipeline {PIPELINE} --hours 12 --json", actor=SUPPORT)
    session.run("locate list --json", actor=SUPPORT)
    session.wait(hours=2)
    run = f"run {PIPELINE} --date 2026-11-25 --settings ledger --output {located} --json"
    read = "minimize.read(LOCATED)"
    session.run(run)
    session.call(read, lambda: minimize.read(located, keys=KEYRING).sort_by(ORDER))
    session.run(f"locate end phone-1 --tenant {tenant} --json", actor=SUPPORT)
    session.run(f"locate end phone-1 --tenant {tenant} --json", actor=SUPPORT)
    session.run(run)
    session.call(read, lambda: minimize.read(located, keys=KEYRING).sort_by(ORDER))
    session.run(f"verify {located} --json")
