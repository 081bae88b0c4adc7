"""A sender of records: a policy, a recipient, a ledger with consents, and some records, all of which a test may change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.governance.consent import terms_of
from minimize.governance.recipients import Recipients, Subprocessors, recipient_from
from minimize.governance.recipients.model import Recipient
from minimize.governance.recipients.subprocessors import Subprocessor
from minimize.governance.sharing.act import Act, act
from minimize.governance.sharing.asked import Places, resolve
from minimize.governance.sharing.handing import moments
from minimize.keys import Keyring
from minimize.ledger import Actor, Event, find_ledger
from minimize.ledger.consents import Act as Consent
from minimize.ledger.consents import record
from minimize.ledger.ledger import open_ledger
from minimize.policy.load import policy_from
from minimize.policy.model import Policy
from tests.project import AT, Project, write_keyring
from tests.project import FIELDS as PROJECT_FIELDS

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
EVENT = NOW - timedelta(hours=2)
ANN = Actor("user", application="a test", user="ann")
TIME = pa.timestamp("us", "UTC")

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
VENDOR: Mapping[str, Any] = {
    "recipient": "vendor",
    "standing": "independent",
    "contract": {
        "reference": "C-1",
        "from": "2026-01-01",
        "until": "9999-01-01",
        "permits_transmission": True,
        "permitted_fields": [*FIELDS, "latitude", "serial", "phone", "note"],
        "retention": "30d",
    },
    "functions": {
        "sync": {"direction": "outbound", "purpose": "operations", "text_version": 2, "text": "…", "fields": FIELDS},
        "other": {"direction": "outbound", "purpose": "operations", "text_version": 1, "text": "…", "fields": FIELDS},
    },
}
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
    """What a test shares from."""

    folder: Path
    vendor: Mapping[str, Any] = field(default_factory=lambda: VENDOR)
    policy_: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    listed: tuple[Subprocessor, ...] = ()
    settings: Any = None

    @cached_property
    def keys(self) -> Keyring:
        path = self.folder / "test.keys"
        if not path.exists():
            write_keyring(path, ("device", "other", "user"))
        return Keyring.load(path)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def recipient(self) -> Recipient:
        return recipient_from(self.vendor)

    @property
    def recipients(self) -> Recipients:
        return Recipients(self.folder, Subprocessors(entries=self.listed))

    @property
    def policy(self) -> Policy:
        return policy_from(self.policy_)

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
    ) -> None:
        """Records an act about a consent."""
        about = terms or self.recipient
        text = terms_of(about, function).text
        acted = Consent(tenant, about.recipient, function, state, text, "admin", at, expires_at, at)
        audited = Event(component="t", actor=ANN, activity="consent", time=at, operation=state, category="sharing")
        with open_ledger(find_ledger(self.ledger), create=True) as ledger:
            record(ledger, [acted], [audited], self.keys)

    def write(self) -> Path:
        """The recipient as a file of its folder."""
        path = self.folder / "vendor.yaml"
        path.write_text(json.dumps(self.vendor))
        return path

    def agree(self, *tenants: str) -> Sender:
        for tenant in tenants:
            self.consent(tenant)
        return self

    def act(
        self,
        data: Any = RECORDS,
        *,
        clock: datetime = NOW,
        at: datetime | None = None,
        dry: bool = False,
        later: timedelta = timedelta(0),
        **asked: Any,
    ) -> Act:
        """An act of sharing, planned."""
        function = asked.pop("function", "sync")
        pipeline = asked.pop("pipeline", None)
        places = Places(
            None if pipeline else self.policy, pipeline, self.settings, self.keys, self.ledger, self.recipients
        )
        found = resolve(self.recipient, function, places, whens=moments(at, clock, dry=dry), **asked)
        return act(found, data, lambda: clock + later)

    def share(self, data: Any = RECORDS, *, to: Path | None = None, **asked: Any) -> Any:
        """What may leave."""
        return self.act(data, **asked).wet(data, to).given

    def dry(self, data: Any = RECORDS, **asked: Any) -> Any:
        return self.act(data, dry=True, **asked).dry()


# From the output of a pipeline

SHARED = {
    "device_id": {"role": "identifier", "do": "keep"},
    "event_time": {"type": "timestamp", "do": "keep"},
    "battery": {"type": "double", "do": "keep"},
    "latitude": {"type": "double", "do": "keep"},
    "model": {"do": "keep"},
}
SYNC = {"direction": "outbound", "purpose": "service_maintenance", "text_version": 1, "text": "…", "fields": SHARED}
CONTRACT = {**VENDOR["contract"], "permitted_fields": list(SHARED)}


def vendor(name: str = "vendor", **changes: Any) -> Any:
    said = {**VENDOR, "recipient": name, "contract": CONTRACT, "functions": {"sync": SYNC}, **changes}
    return recipient_from(said)


def ready(project: Project) -> Project:
    """The same house, with a run of its day, and the consent of north."""
    project.run(date="2026-11-24")
    agree(project, vendor(), "sync", "north")
    return project


def agree(project: Project, recipient: Any, function: str, *tenants: str) -> None:
    """Records that tenants agree."""
    text = terms_of(recipient, function).text
    since = datetime(2026, 1, 1, tzinfo=UTC)
    acts = [Consent(name, "vendor", function, "given", text, "admin", since, None, AT) for name in tenants]
    audited = Event(component="t", actor=ANN, activity="consent", time=AT, operation="given", category="sharing")
    with open_ledger(find_ledger(project.out / "ledger.db"), create=True) as ledger:
        record(ledger, acts, [audited] * len(acts), Keyring.load(project.keys))


def acting(project: Project, data: Any, recipient: Any = None, function: str = "sync", **asked: Any) -> Act:
    nobody = Recipients(project.folder, Subprocessors())
    places = Places(pipeline=project.folder, keys=project.keys, ledger=project.out / "ledger.db", recipients=nobody)
    return act(resolve(recipient or vendor(), function, places, whens=(AT,), **asked), data, lambda: AT)


def shared(project: Project, data: Any, **asked: Any) -> pa.Table:
    return acting(project, data, **asked).wet(data, None).given
