"""The pipelines that receive from third parties, on samples with planted values: a tenant agrees, then withdraws."""

from __future__ import annotations

from typing import Any, Final

from minimize_samples.world import TENANTS

from tests.golden.runner import ROOT, Session
from tests.golden.samples import write_access_file
from tests.golden.third_parties import SIGNED, agree
from tests.leak.canary import Canary
from tests.pipelines.shipped import RECEIVED

DAY: Final = "2026-11-24"
SINCE: Final = "--since 2026-11-01T00:00:00Z"
RECORDS: Final = 60
AGREED, OTHER = TENANTS[:2]
PLANTED: Final = {
    "apple_push_authenticate": ("UDID", "SerialNumber", "IMEI", "MEID", "BuildVersion"),
    "apple_push_token_update": ("UDID", "Token", "PushMagic", "UnlockToken"),
    "apple_push_checkout": ("UDID",),
    "apple_push_commands": ("UDID",),
    "apple_device_enrollment_sync": ("serial_number", "color", "device_assigned_by"),
    "apple_volume_purchase_sync": ("user_guid", "appleUserId", "managed_apple_id_upn", "facilitatorMemberId"),
    "google_android_management_sync": ("adminName", "serviceAccountKeys"),
    "jamf_compliance": ("device_aad_id", "user_aad_id", "user_email", "device_name", "mac_address", "serial_number"),
    "threat_defense_threat_state": ("device_id",),
}
"""By pipeline the fields whose values are not released as they are."""


def steps(session: Session) -> None:
    """Receives, puts every pipeline to the verbs, and takes out what was received when the tenant withdraws."""
    session.copy(ROOT / "pipelines", "pipelines")
    write_access_file(session)
    for name, fields in PLANTED.items():
        _write(session, name, fields)
    for name, fields in PLANTED.items():
        pipeline, output, ledger = f"pipelines/{name}", f"out/{name}", f"--ledger ledger.db --pipeline pipelines/{name}"
        function = " ".join(RECEIVED[name])
        session.run(f"lint {pipeline} --json")
        session.run(f"plan {pipeline} --json")
        session.run(f"explain {pipeline} {fields[0]} --json")
        agree(session, AGREED, *RECEIVED[name], ledger, since=SINCE)
        session.run(f"run {pipeline} --json --ledger ledger.db")
        session.run(f"verify {output} --json --ledger ledger.db")
        session.run(f"replay {output} --json --ledger ledger.db")
        session.run(f"consent withdraw {AGREED} {function} --evidence FORM-2 --json {ledger}")
        session.run(f"retract {output} --yes --json --ledger ledger.db")
        session.run(f"expire {output} --at 2026-12-26T02:00:00Z --json --ledger ledger.db")
        session.run(f"report {output} --at 2026-11-25T12:00:00Z --json --ledger ledger.db")
    receive = "receive jamf compliance --pipeline pipelines/jamf_compliance --ledger ledger.db --json"
    session.run(f"{receive} --pending")
    agree(session, OTHER, "jamf", "compliance", "--ledger ledger.db", since=SINCE)
    session.run(f"{receive} --date {DAY}")
    session.run("verify out/jamf_compliance --json --ledger ledger.db")
    session.run("audit log --operation receive --ledger ledger.db --json")
    session.look("out/jamf_compliance")
    _refused(session, receive)


def _refused(session: Session, receive: str) -> None:
    """A prerequisite that is not met, a function that is not the pipeline's, no contract, and a policy that keeps more."""
    policy = "jamf_compliance/policy.yaml"
    confirm = f"functions confirm {OTHER} jamf admin_consent --ledger ledger.db"
    session.run(f"{confirm} --evidence TICKET-2 --revoke")
    session.run(f"{receive} --date {DAY}")
    session.run(f"{confirm} --evidence TICKET-3")
    session.run(f"{confirm} {SIGNED}")
    session.run(f"{confirm} {SIGNED} --permission update_device_attributes --permission read_devices")
    session.run(f"{confirm} {SIGNED} --permission update_device_attributes")
    session.run("receive jamf other --pipeline pipelines/jamf_compliance --ledger ledger.db")
    session.run(f"contract end {OTHER} jamf --ledger ledger.db --json")
    session.run(f"{receive} --date {DAY}")
    session.replace(f"pipelines/{policy}", "do: {pseudonymize: {key: device, per: tenant_id}}", "do: keep")
    session.run("lint pipelines/jamf_compliance --json")
    session.run(receive)


def _write(session: Session, name: str, planted: tuple[str, ...]) -> None:
    """Writes messages of the sample, two of which have planted values: of a tenant that agrees and of one that does not."""
    file = f"sample_data/{name}/{DAY}/part-00000.ndjson.gz"
    session.copy(ROOT / file, file)
    records = session.records(file)[:RECORDS]
    session.write(file, records)
    for tenant in (AGREED, OTHER):
        values = {field: Canary(f"{name} {field} {tenant}", f"CANARY-{name}-{field}-{tenant[:4]}") for field in planted}
        message: dict[str, Any] = {**records[0], "tenant_id": tenant, "received_at": f"{DAY}T12:00:00Z"}
        session.plant(
            file, message, {**values, "message_id": Canary(f"{name} id {tenant}", f"CANARY-{name}-{tenant[:4]}")}
        )
