"""The sample pipeline of a client application, whose settings move into the ledger."""

from __future__ import annotations

import shutil

from tests.golden.runner import Session
from tests.golden.samples import TENANT, copy_samples, plant_in_usage

PIPELINE = "pipelines/usage_events"
OUTPUT = "out-telemetry/usage_events"
SETTINGS = "sample_data/usage_events/settings.csv"


def steps(session: Session) -> None:
    """Runs by the settings of a file, then by those of the ledger, then after one was turned off."""
    copy_samples(session, "usage_events")
    plant_in_usage(session)
    for command in ("lint", "plan", "test"):
        session.run(f"{command} {PIPELINE} --json")
    session.run(f"explain {PIPELINE} feature_name --tenant {TENANT} --json")
    session.run(f"run {PIPELINE} --settings {SETTINGS} --json")
    session.look(OUTPUT)
    session.run(f"verify {OUTPUT} --json")
    session.run(f"report {OUTPUT} --html report.html --at 2026-11-25T12:00:00Z --json")
    session.run(f"quarantine {OUTPUT} --json")

    options = f"--pipeline {PIPELINE} --json"
    session.run(f"settings import {SETTINGS} {options}")
    session.run(f"settings import {SETTINGS} --evidence client-7 {options}")
    session.run(f"settings import {SETTINGS} --evidence client-7 {options}")
    session.run(f"settings show --tenant {TENANT} {options}")
    session.run(f"settings explain {TENANT} usage 2026-11-24T10:00:00Z {options}")
    session.run(f"run {PIPELINE} --date 2026-11-24 --settings ledger --json")
    session.run(f"settings set {TENANT} level required --holder admin --since 2026-11-24T00:00:00Z {options}")
    session.run(f"settings set {TENANT} sdk off --holder developer --subject CANARY-user-22 {options}")
    session.run(f"settings set {TENANT} usage perhaps {options}")
    session.run(f"settings set {TENANT} no_such_feature on {options}")
    session.run(f"settings show --tenant {TENANT} --setting level --history {options}")
    session.run(f"settings explain {TENANT} enhanced 2026-11-24T10:00:00Z --run-at 2026-11-24T12:00:00Z {options}")
    session.run(f"settings export exported.csv {options}")
    session.run(f"run {PIPELINE} --pending --settings ledger --json")
    session.run(f"retract {OUTPUT} --json")
    session.run(f"retract {OUTPUT} --settings ledger --json")
    shutil.rmtree(session.folder / "sample_data" / "usage_events" / "2026-11-23")
    session.run(f"retract {OUTPUT} --settings ledger --yes --json")
    session.run(f"verify {OUTPUT} --json")
    session.run(f"replay {OUTPUT} --settings ledger --json")
    session.run(f"expire {OUTPUT} --due --json")
    session.run(f"runs --output {OUTPUT} --json")
    session.run(f"audit log --output {OUTPUT} --activity settings --json")
