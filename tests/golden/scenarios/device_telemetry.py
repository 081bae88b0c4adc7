"""The main sample pipeline, from the first look at its policy to the deletion of what is too old."""

from __future__ import annotations

from tests.golden.runner import ROOT, Session
from tests.golden.samples import TENANT, copy_samples, import_settings, plant_in_telemetry

PIPELINE = "pipelines/device_telemetry"
OUTPUT = "out/device_telemetry"


def steps(session: Session) -> None:
    """Looks, runs, verifies, reports, changes the policy, and carries the change out."""
    copy_samples(session, "device_telemetry")
    plant_in_telemetry(session)
    import_settings(session)
    for command in ("lint", "plan", "drift", "test"):
        session.run(f"{command} {PIPELINE} --json")
    session.run(f"plan {PIPELINE} --preview 2 --json")
    session.run(f"plan {PIPELINE} --tenant {TENANT} --json")
    session.run(f"explain {PIPELINE} latitude --tenant {TENANT} --at 2026-11-24T10:00:00Z --json")
    session.run(f"explain {PIPELINE} phone_number --json")
    session.run(f"explain {PIPELINE} no_such_field --json")
    record = "sample_data/device_telemetry/2026-11-23/part-00000.ndjson.gz:1"
    session.run(f"explain {PIPELINE} /apps/*/name --record {record} --json")

    session.run(f"run {PIPELINE} --date 2026-11-23 --json")
    session.run(f"run {PIPELINE} --pending --json")
    session.run(f"run {PIPELINE} --pending --json")
    session.run(f"run {PIPELINE} --pending --skip-exit-code --json")
    session.run(f"run {PIPELINE} --date 2026-11-22 --json")
    session.run(f"run {PIPELINE} --date 2026-11-23 --at 2027-01-24T02:00:00Z --output {OUTPUT} --json")
    session.look(OUTPUT)
    session.run(f"verify {OUTPUT} --json")
    session.run(f"drift {PIPELINE} --date 2026-11-24 --json")
    session.run(f"quarantine show {OUTPUT} --check --json")
    session.run(f"replay {OUTPUT} --json")
    session.run(f"retract {OUTPUT} --json")
    session.run(f"expire {OUTPUT} --due --json")
    session.run(f"report {OUTPUT} --source --html report.html --at 2026-11-25T12:00:00Z --json")
    session.run(f"risk attack {OUTPUT} --sensitive compliance_state --json")
    session.run(f"risk differences {OUTPUT} --quasi model --quasi carrier --json")
    session.run(f"docs {PIPELINE} --to docs --json")
    session.run(f"export jsonschema {PIPELINE} --of records --json")
    session.run(f"export odcs {PIPELINE} --to contract.yaml")
    session.run(f"export openlineage {OUTPUT} --to lineage.ndjson")

    session.copy(ROOT / PIPELINE / "policy.yaml", "before.yaml")
    session.replace(f"{PIPELINE}/policy.yaml", "bin: {width: 10}", "bin: {width: 20}")
    session.replace(f"{PIPELINE}/policy.yaml", "do: keep, label: Kind of network", "do: drop, label: Kind of network")
    session.replace(f"{PIPELINE}/policy.yaml", "call_history, ", "")
    session.run(f"diff before.yaml {PIPELINE}/policy.yaml --json")
    session.run(f"retract {OUTPUT} --json")
    session.run(f"retract {OUTPUT} --yes --json")
    session.run(f"verify {OUTPUT} --json")
    session.run(f"runs --output {OUTPUT} --json")
    session.run(f"expire {OUTPUT} --at 2026-12-24T02:00:00Z --json")
    session.run(f"expire {OUTPUT} --at 2026-12-24T02:00:00Z --yes --allow-shrink --json")
    session.run(f"verify {OUTPUT} --json")
    session.run(f"audit verify --receipts {OUTPUT} --json")
    session.run(f"audit log --output {OUTPUT} --json")
