"""The pipelines whose records are sent to third parties, on samples with planted values: a tenant agrees, then withdraws."""

from __future__ import annotations

from typing import Final

from minimize_samples.world import TENANTS

from tests.golden.runner import ROOT, Session
from tests.golden.samples import write_access_file
from tests.golden.third_parties import agree
from tests.leak.canary import Canary
from tests.pipelines.shipped import SENT

DAY: Final = "2026-11-24"
SINCE: Final = "--since 2026-11-01T00:00:00Z"
RECORDS: Final = 60
AGREED: Final = TENANTS[0]
PLANTED: Final = {
    "apple_push": ("device_id", "Token", "PushMagic"),
    "apple_device_enrollment": ("device_id", "server_token"),
    "apple_volume_purchase": ("user_guid",),
    "google_android_management": ("device_id", "user_id", "newPassword", "service_account_key"),
    "threat_defense_app_sync": ("device_id",),
    "support_desk_cases": ("contact_id",),
}
"""By pipeline the fields whose values no output has as they are."""


def steps(session: Session) -> None:
    """Puts every pipeline to the verbs. A tenant agrees, and withdraws."""
    session.copy(ROOT / "pipelines", "pipelines")
    write_access_file(session)
    for name, fields in PLANTED.items():
        _write(session, name, fields)
    session.run("settings import sample_data/threat_defense_app_sync/settings.csv --json --ledger ledger.db")
    for name, fields in PLANTED.items():
        pipeline, output, ledger = f"pipelines/{name}", f"out/{name}", f"--ledger ledger.db --pipeline pipelines/{name}"
        function = " ".join(SENT[name])
        session.run(f"lint {pipeline} --json")
        session.run(f"plan {pipeline} --json")
        session.run(f"explain {pipeline} {fields[0]} --json")
        agree(session, AGREED, *SENT[name], ledger, since=SINCE)
        session.run(f"run {pipeline} --json --ledger ledger.db")
        session.run(f"verify {output} --json --ledger ledger.db")
        session.run(f"replay {output} --json --ledger ledger.db")
        session.run(f"share send {function} --dry-run --json {ledger}")
        session.run(f"share explain {function} --tenant {AGREED} --json {ledger}")
        session.run(f"consent withdraw {AGREED} {function} --evidence FORM-2 --json {ledger}")
        session.run(f"retract {output} --json --ledger ledger.db")
        session.run(f"expire {output} --at 2026-12-26T02:00:00Z --json --ledger ledger.db")
        session.run(f"report {output} --at 2026-11-25T12:00:00Z --json --ledger ledger.db")
    session.look("out/apple_push")


def _write(session: Session, name: str, planted: tuple[str, ...]) -> None:
    """Writes records of the sample, one of which has planted values, and the sample's settings."""
    file = f"sample_data/{name}/{DAY}/part-00000.ndjson.gz"
    session.copy(ROOT / file, file)
    session.copy(ROOT / "sample_data" / name / "settings.csv", f"sample_data/{name}/settings.csv")
    records = session.records(file)[:RECORDS]
    session.write(file, records)
    values = {field: Canary(f"{name} {field}", f"CANARY-{name}-{field}") for field in planted}
    session.plant(file, {**records[0], "tenant_id": AGREED}, values)
