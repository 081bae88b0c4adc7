"""A pipeline that receives what the recipient `vendor` sends by its function `hook`, with the consents of tenants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine

import minimize
from minimize.governance.consent import ConsentVerb, NewConsent, record_consent
from minimize.governance.evidence import TenantEvidence
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, LogEntry
from minimize.ledger.ledger import open_ledger
from minimize.recipients import load_recipient
from minimize.times import parse_time
from minimize.workspace import Workspace
from tests.agreements import record_agreements
from tests.project import AT, Project, write_project
from tests.world import CONTRACT, vendor_file, write_configuration

KEPT: dict[str, Any] = {
    "udid": {"role": "identifier", "do": {"pseudonymize": {"key": "device"}}, "about": "names the device"},
    "os_version": {"role": "quasi", "do": {"truncate_version": 2}, "about": "whether the system is new enough"},
    "owner": {"role": "identifier", "do": "drop", "about": "no purpose needs it"},
    "unlock": {"role": "secret", "do": "pass_through", "about": "unlocks the device"},
}
HOOK: dict[str, Any] = {
    "direction": "inbound",
    "purpose": "operations",
    "text_version": 1,
    "text": "The vendor says how devices are.",
    "requires": ["connection"],
    "fields": KEPT,
}
ENVELOPE: dict[str, Any] = {
    "message_id": {"type": "string", "role": "identifier", "do": "drop"},
    "tenant_id": {"type": "string", "do": "keep"},
    "received_at": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
}
RECEIVED: dict[str, Any] = {
    "policy": "hooks",
    "version": 1,
    "purposes": ["operations"],
    "tenant": "tenant_id",
    "subject": "udid",
    "time": "received_at",
    "record": "message_id",
    "retention": "30d",
    "fields": {
        **ENVELOPE,
        **{key: {"type": "string", "role": each["role"], "do": each["do"]} for key, each in KEPT.items()},
        "unlock": {"type": "string", "role": "secret", "do": "drop"},
    },
}
SOURCE: dict[str, Any] = {
    "recipient": "vendor",
    "function": "hook",
    "path": "data/{date}/*.ndjson.gz",
    "format": "ndjson",
}
HOOKS: dict[str, Any] = {
    "pipeline": "hooks",
    "policy": "policy.yaml",
    "purpose": "operations",
    "source": SOURCE,
    "output": "out",
}
TOKEN = TenantEvidence("token", "0123456789abcdef")
LONG_AGO = AT - timedelta(days=200)


def hook(**changes: Any) -> dict[str, Any]:
    """The function with some keys changed, under its name."""
    return {"hook": {**HOOK, **changes}}


def message(number: int, **changes: Any) -> dict[str, Any]:
    """One message; every number gives another. Messages arrive a minute apart, before `AT`."""
    record = {
        "message_id": f"m{number}",
        "tenant_id": ("north", "south")[number % 2],
        "received_at": f"{AT - timedelta(hours=1, minutes=number):%Y-%m-%dT%H:%M:%SZ}",
        "udid": f"u{number}",
        "os_version": "14.5.1",
        "owner": f"owner-{number}@example.com",
        "unlock": f"secret-{number}",
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not None}


def messages(count: int) -> list[dict[str, Any]]:
    """Messages of both tenants in turn."""
    return [message(number) for number in range(count)]


@dataclass(frozen=True)
class Inbound(Project):
    """The project of a pipeline that receives, below the folder of a configuration with the recipient and the ledger."""

    base_policy: Mapping[str, Any] = field(default_factory=lambda: RECEIVED)
    base_pipeline: Mapping[str, Any] = field(default_factory=lambda: HOOKS)

    @property
    def home(self) -> Workspace:
        return Workspace(pipeline=self.folder, keys=self.keys)

    @property
    def ledger(self) -> Path:
        return self.folder.parent / "ledger.db"

    def vendor(self, **changes: Any) -> None:
        """Writes the recipient's file with some keys changed; None removes one."""
        body = {"contract": {**CONTRACT, "permits_transmission": False, "permitted_fields": []}, "functions": hook()}
        write_configuration(self.folder.parent, vendor=vendor_file(**{**body, **changes}), keys=("device",))

    def consent(self, verb: ConsentVerb, tenant: str, at: datetime = LONG_AGO, **wish: Any) -> None:
        """Records an act about a tenant's consent at a time, which is valid from then on, with contract and prerequisites."""
        if verb == "give":
            self.agree(tenant, at)
        record_consent(verb, NewConsent(tenant, "vendor", "hook", evidence=TOKEN, **wish), self.home, at)

    def agree(self, tenant: str, at: datetime = LONG_AGO) -> None:
        """Records the contract that the file offers for a tenant, and its prerequisites, as known from a time on."""
        recipient = load_recipient(self.folder.parent / "recipients" / "vendor.yaml")
        with open_ledger(self.home.address, create=True) as ledger:
            record_agreements(ledger, self.home.keyring(), recipient, [tenant], at)

    def run(
        self, date: Any = None, at: datetime | str | None = AT, clock: datetime | None = None, **options: Any
    ) -> minimize.Receipt:
        """Runs the pipeline as of a time, which is now unless a `clock` says otherwise."""
        with time_machine.travel(clock or parse_time(at) or AT, tick=False):
            return super().run(date, at, **options)

    def receive(self, records: Iterable[Mapping[str, Any] | str] = ()) -> Any:
        """Writes messages for the day, and runs the pipeline over them. The receipt."""
        self.records(records or messages(10))
        return self.run()

    def tenants(self, output: Path | None = None) -> list[str]:
        """The tenants of the published records."""
        return [row["tenant_id"] for row in self.rows(output=output)]

    def received(self) -> list[LogEntry]:
        """What the audit log has about receiving."""
        with open_ledger(self.home.address) as ledger:
            return find_entries(ledger, EntryFilter(activity="receive"))


def new_inbound(folder: Path) -> Inbound:
    """A new project that receives: the function is in force, `connection` is there, and nobody has consented."""
    made = replace(Inbound(folder / "hooks"), keyring=folder / "test.keys", settings="")
    made.folder.mkdir(parents=True)
    made.vendor()
    write_project(made, ("device",))
    (made.folder / "minimize.yaml").unlink()
    return made
