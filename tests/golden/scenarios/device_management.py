"""The pipelines over the other datasets of the device-management service, on records made by hand, with planted values."""

from __future__ import annotations

from typing import Final

from tests.golden.runner import ROOT, Session
from tests.golden.samples import write_access_file
from tests.golden.third_parties import agree
from tests.leak.canary import Canary
from tests.pipelines import handmade

RECORDS: Final = 240
SINCE: Final = "--since 2026-11-01T00:00:00Z"
EXPLAINED: Final = {
    "device_inventory": "user_display_name",
    "device_lookup": "phone_number",
    "hardware_inventory": "os_version",
    "app_inventory": "install_location",
    "enrollments": "failure_reason",
    "managed_apps": "encryption_key",
    "audit_events": "actor_id",
    "administrators": "first_name",
    "administrator_contacts": "first_name",
    "console_usage": "search_text",
    "support_cases": "message",
    "site_summary": "contact_email",
}
"""By pipeline a field that its scenario asks about."""
PLANTED: Final = {
    "device_inventory": ("user_principal_name", "management_name", "iccid", "udid", "certificate_private_key"),
    "hardware_inventory": ("device_id", "event_id"),
    "app_inventory": ("device_id", "install_location"),
    "enrollments": ("device_id", "user_id", "user_principal_name", "serial_number"),
    "managed_apps": ("user_id", "user_principal_name", "app_instance_id", "device_tag", "encryption_key"),
    "audit_events": ("actor_id", "actor_principal_name", "correlation_id"),
    "administrators": ("admin_id", "user_name", "directory_id", "payment_card_token", "subscription_key"),
    "console_usage": ("admin_id", "session_guid", "correlation_id", "search_text"),
    "support_cases": ("contact_id", "agent_name"),
    "site_summary": ("site_id", "site_name", "server_name", "contact_name", "contact_email", "postal_address"),
}
"""By dataset the fields whose values no pipeline releases as they are."""

TELEMETRY = ("console_usage",)
"""Pipelines with telemetry, whose outputs have a root of their own."""


def steps(session: Session) -> None:
    """Puts every pipeline to the verbs."""
    session.copy(ROOT / "pipelines", "pipelines")
    write_access_file(session)
    for dataset, fields in PLANTED.items():
        _write(session, dataset, fields)
    session.write("settings.csv", handmade.SETTINGS)
    session.run("settings import settings.csv --json")
    for name, field in EXPLAINED.items():
        pipeline, output = f"pipelines/{name}", f"{'out-telemetry' if name in TELEMETRY else 'out'}/{name}"
        session.run(f"lint {pipeline} --json")
        session.run(f"plan {pipeline} --json")
        session.run(f"explain {pipeline} {field} --json")
        if name == "site_summary":
            _agree_to_summaries(session)
        session.run(f"run {pipeline} --json")
        session.run(f"verify {output} --json")
        session.run(f"quarantine {output} --check --json")
        session.run(f"replay {output} --json")
        session.run(f"retract {output} --json")
        session.run(f"expire {output} --at 2026-12-26T02:00:00Z --json")
        session.run(f"report {output} --at 2026-11-25T12:00:00Z --json")
    session.look("out-telemetry/console_usage")


def _agree_to_summaries(session: Session) -> None:
    """Half of the tenants agree that their sites send summaries."""
    session.run("run pipelines/site_summary --json --output out/refused")
    agree(session, handmade.TENANTS[0], "configmgr", "site_summary", "--ledger out/ledger.db", since=SINCE)


def _write(session: Session, dataset: str, planted: tuple[str, ...]) -> None:
    """Writes a dataset's records, one of which has planted values and one a key that must not arrive."""
    file = f"sample_data/{dataset}/{handmade.DAY}/part-00000.ndjson.gz"
    records = handmade.records(dataset, RECORDS)
    session.write(file, records)
    canaries = {field: Canary(f"{dataset} {field}", f"CANARY-{dataset}-{field}") for field in planted}
    session.plant(file, records[0], canaries)
    refused = {**records[1], "details": [{"account": {"password": f"CANARY-{dataset}-password"}}]}
    session.plant(file, refused, {"event_id": Canary(f"{dataset} refused", f"CANARY-{dataset}-refused")})
