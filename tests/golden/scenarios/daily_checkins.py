"""The sample pipeline that keeps one check-in a day, and a policy that refuses less than before."""

from __future__ import annotations

from tests.golden.runner import Session
from tests.golden.samples import DAY, copy_samples, import_settings, plant_in_telemetry

PIPELINE = "pipelines/daily_checkins"
OUTPUT = "out/daily_checkins"


def steps(session: Session) -> None:
    """Runs both dates, lets a refused field pass, and replays."""
    copy_samples(session, "device_telemetry")
    plant_in_telemetry(session)
    _second_file(session)
    import_settings(session)
    session.run(f"lint {PIPELINE} --fail-on warning --json")
    session.run(f"plan {PIPELINE} --json")
    session.run(f"explain {PIPELINE} devices_per_type --json")
    session.run(f"explain {PIPELINE} battery_pct --json")
    session.run(f"run {PIPELINE} --since 2026-11-23 --until 2026-11-24 --metrics metrics --lineage off --json")
    session.look(OUTPUT)
    session.run(f"verify {OUTPUT} --json")
    session.run(f"report {OUTPUT} --at 2026-11-25T12:00:00Z --json")
    session.run(f"risk {OUTPUT} --json")
    session.run(f"risk levels pipelines/daily_checkins --output {OUTPUT} --json")
    session.run(f"quarantine {OUTPUT} --date 2026-11-24 --json")
    session.replace("pipelines/device_telemetry/policy.yaml", "sms, contacts, ", "sms, ")
    session.run(f"quarantine {OUTPUT} --check --json")
    session.run(f"replay {OUTPUT} --date 2026-11-23 --json")
    session.run(f"replay {OUTPUT} --json")
    session.run(f"replay {OUTPUT} --json")
    session.run(f"retract {OUTPUT} --json")
    session.run(f"expire {OUTPUT} --json")
    session.run(f"verify {OUTPUT} --json")


def _second_file(session: Session) -> None:
    """Check-ins of the first file once more in a second one: some of them earlier, some with a smaller record id."""
    folder = f"sample_data/device_telemetry/{DAY}"
    records = [each for each in session.records(f"{folder}/part-00000.ndjson.gz")[:80] if each.get("event_time")]
    earlier = [
        {**each, "event_time": f"{DAY}T00:00:00Z", "event_id": f"early-{each['event_id']}"} for each in records[::2]
    ]
    smaller = [{**each, "event_id": f"+{each['event_id']}", "os_language": "tie"} for each in records[1::2]]
    session.write(f"{folder}/part-00001.ndjson.gz", earlier + smaller)
