"""A sender of records: a policy, a recipient, a ledger with consents, and records, all of which a test may change."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import time_machine

import minimize
from minimize.consent import current_terms
from minimize.governance.sharing.outbound import ShareOperation, prepare_share
from minimize.governance.sharing.plan import ShareRequest
from minimize.keys import Keyring
from minimize.ledger import Actor, AuditEvent, find_ledger
from minimize.ledger.kinds import CONSENT
from minimize.ledger.kinds import ConsentAct as Consent
from minimize.ledger.ledger import open_ledger
from minimize.policy.load import policy_from_mapping
from minimize.policy.model import Policy
from minimize.recipients import Recipients, Subprocessors, recipient_from
from minimize.recipients.load import Subprocessor
from minimize.recipients.model import Recipient
from minimize.workspace import Workspace
from tests.acts import record_acts
from tests.agreements import record_agreements
from tests.project import AT, DAY, TIME, Project, events, write_keyring, write_yaml
from tests.project import FIELDS as PROJECT_FIELDS
from tests.world import CONTRACT, SYNC, vendor_file

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
EVENT = NOW - timedelta(hours=2)
ANN = Actor("user", application="a test", user="ann")

POLICY: Mapping[str, Any] = {
    "policy": "devices",
    "version": 3,
    "purposes": ["operations", "customer_support"],
    "tenant": "tenant_id",
    "subject": "device_id",
    "time": "event_time",
    "retention": "30d",
    "features": {"location": {"about": "position"}},
    "fields": {
        **{name: PROJECT_FIELDS[name] for name in ("tenant_id", "device_id", "event_time")},
        "serial": {"type": "string", "role": "identifier", "do": "keep"},
        "model": {"type": "string", "role": "quasi", "do": "keep"},
        "latitude": {"type": "double", "role": "quasi", "feature": "location", "do": {"round": {"to": 0.1}}},
        "phone": {"type": "string", "role": "quasi", "do": "keep", "purposes": ["customer_support"]},
        "note": {"type": "string", "role": "free_text", "do": "drop"},
    },
}
FIELDS: Mapping[str, Any] = {
    "device_id": {"role": "identifier", "do": "keep", "about": "which device"},
    "event_time": {"type": "timestamp", "do": {"truncate_time": {"to": "day"}}, "about": "when"},
    "model": {"role": "quasi", "do": "keep", "about": "what"},
}


def function(fields: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A function that sends fields to a recipient."""
    return {**SYNC, "purpose": "operations", "fields": fields, **changes}


VENDOR: Mapping[str, Any] = vendor_file(
    contract={**CONTRACT, "until": "9999-01-01", "permitted_fields": [*FIELDS, "latitude", "serial", "phone", "note"]},
    functions={"sync": function(FIELDS, text_version=2), "other": function(FIELDS)},
)
OUTPUT_FIELDS: Mapping[str, Any] = {
    "device_id": {"role": "identifier", "do": "keep"},
    "event_time": {"type": "timestamp", "do": "keep"},
    "battery": {"type": "double", "do": "keep"},
    "latitude": {"type": "double", "do": "keep"},
    "model": {"do": "keep"},
}
OUTPUT_VENDOR: Mapping[str, Any] = vendor_file(
    contract={**CONTRACT, "until": "9999-01-01", "permitted_fields": list(OUTPUT_FIELDS)},
    functions={"sync": function(OUTPUT_FIELDS, purpose="service_maintenance")},
)
RECORDS = pa.table(
    {
        "tenant_id": ["north", "south", "north", "west"],
        "device_id": ["d-1", "d-2", "d-3", "d-4"],
        "event_time": pa.array([EVENT] * 4, TIME),
        "serial": ["s-1", "s-2", "s-3", "s-4"],
        "model": ["A", "B", "A", "C"],
        "latitude": [48.8566, 52.52, 40.4168, 41.9028],
        "phone": ["+33612345678"] * 4,
        "note": ["by Alice"] * 4,
        "extra": ["undeclared"] * 4,
    }
)


def recent_records() -> pa.Table:
    """The records, of today: for a command with the clock of the system."""
    return RECORDS.set_column(2, "event_time", pa.array([datetime.now(UTC)] * RECORDS.num_rows, TIME))


def changed(model: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A model with one key, by its dotted path, of another value; None takes it out."""
    copy: dict[str, Any] = deepcopy(dict(model))
    *above, last = path.split(".")
    place = copy
    for part in above:
        place[part] = place = dict(place[part])
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copy


@dataclass(frozen=True)
class Sender:
    """What a test shares from: records in memory by default, or what a pipeline has published."""

    folder: Path
    vendor: Mapping[str, Any] = field(default_factory=lambda: VENDOR)
    policy_: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    listed: tuple[Subprocessor, ...] = ()
    settings: Any = None
    project: Project | None = None

    @cached_property
    def keys(self) -> Keyring:
        path = self.project.keys if self.project else self.folder / "test.keys"
        if not path.exists():
            write_keyring(path, ("device", "other", "user"))
        return Keyring.load(path)

    @property
    def ledger(self) -> Path:
        return (self.project.out if self.project else self.folder) / "ledger.db"

    @property
    def recipient(self) -> Recipient:
        return recipient_from(self.vendor)

    @property
    def recipients(self) -> Recipients:
        return Recipients(self.folder / "recipients", Subprocessors(entries=self.listed))

    @property
    def places(self) -> Workspace:
        return Workspace(ledger=self.ledger, keys=self.keys)

    @property
    def policy(self) -> Policy:
        return policy_from_mapping(self.policy_)

    def with_(self, **changes: Any) -> Sender:
        return replace(self, **changes)

    def vendor_with(self, path: str, value: Any) -> Sender:
        return replace(self, vendor=changed(self.vendor, path, value))

    def consent(
        self,
        tenant: str,
        state: str = "given",
        *,
        function: str = "sync",
        at: datetime = NOW - timedelta(days=1),
        expires_at: datetime | None = None,
        terms: Recipient | None = None,
        contract: bool = True,
    ) -> None:
        """Records an act about a consent. With a consent, also the contract that the file offers, and its prerequisites."""
        about = terms or self.recipient
        text = current_terms(about, function).text
        acted = Consent(tenant, about.recipient, function, state, text, "admin", at, expires_at, at)
        audited = AuditEvent(component="t", actor=ANN, activity="consent", time=at, operation=state, category="sharing")
        with open_ledger(find_ledger(self.ledger), create=True) as ledger:
            record_acts(ledger, self.keys, CONSENT, acted, event=audited)
            if state == "given" and contract:
                record_agreements(ledger, self.keys, about, [tenant], at)

    def contract_with(self, key: str, value: Any) -> Sender:
        """The vendor with another contract, which north and south have now instead of the one before."""
        made = self.vendor_with(f"contract.{key}", value)
        with open_ledger(find_ledger(self.ledger)) as ledger:
            record_agreements(ledger, self.keys, made.recipient, ["north", "south"], NOW - timedelta(hours=1))
        return made

    def write(self) -> None:
        """Writes the policy and the recipient to files."""
        write_yaml(self.folder / "policy.yaml", self.policy_)
        write_yaml(self.folder / "recipients" / "vendor.yaml", self.vendor)

    def agree(self, *tenants: str, function: str = "sync") -> Sender:
        """Records the consents of tenants, valid before the events."""
        for tenant in tenants:
            self.consent(tenant, function=function)
        return self

    def share(
        self, data: Any = RECORDS, *, function: str = "sync", clock: datetime | None = NOW, **options: Any
    ) -> Any:
        """What may leave at a time; None is the time of the clock, for a test that moves it."""
        start = {"pipeline": self.project.folder} if self.project else {"policy": self.policy}
        places = {"settings": self.settings, "keys": self.keys, "ledger": self.ledger, "recipients": self.recipients}
        with time_machine.travel(clock, tick=False) if clock else nullcontext():
            return minimize.share(data, recipient=self.recipient, function=function, **{**start, **places, **options})

    def planned(self, data: Any, **options: Any) -> ShareOperation:
        """The act of sharing before it is done, at the time of the clock."""
        request = ShareRequest(self.recipient, "sync", self.policy, recipients=self.recipients, **options)
        return prepare_share(Workspace(self.ledger, keys=self.keys), request, data)

    def dry(self, data: Any = RECORDS, **options: Any) -> Any:
        """The account of what may leave; nothing is recorded."""
        return self.share(data, dry_run=True, **options)


def _without_rules(folder: Path) -> None:
    (folder / "minimize.yaml").write_text("access: off\n")


def agreed(folder: Path) -> None:
    """Makes a sender to whom north and south have consented for `sync`."""
    _without_rules(folder)
    Sender(folder).agree("north", "south")


def sent(folder: Path) -> None:
    """Makes a sender that has sent the records of north and south, which consented."""
    _without_rules(folder)
    sender = Sender(folder).agree("north", "south")
    sender.write()
    sender.share()


def sender_of(project: Project, vendor: Mapping[str, Any] = OUTPUT_VENDOR) -> Sender:
    """A sender of what a project has published."""
    return Sender(project.folder, vendor, project=project)


def published(project: Project, vendor: Mapping[str, Any] = OUTPUT_VENDOR) -> None:
    """Publishes the records of a day, and records the consent of north."""
    project.pipeline(aggregates=None)
    project.records(events(40))
    project.run(date=DAY)
    sender_of(project, vendor).agree("north")


def shared(project: Project, data: Any, **options: Any) -> pa.Table:
    """What may leave of a project's output."""
    return sender_of(project).share(data, clock=AT, **options)


def agent_of(sender: Sender) -> Sender:
    """The vendor as an agent that is listed, with the consents of north and south."""
    vendor = {**sender.vendor, "standing": "agent", "subprocessor": "Helper"}
    agent = sender.with_(vendor=vendor, listed=(Subprocessor(name="Helper", from_=date(2026, 1, 1)),))
    for tenant in ("north", "south"):
        agent.consent(tenant, at=NOW - timedelta(hours=1))
    return agent
