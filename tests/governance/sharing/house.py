"""A house that shares: a policy, two recipients, a ledger with consents, and some records; every part may be changed."""

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
from minimize.keys import Keyring, new_keyring
from minimize.ledger import Actor, Event, find_ledger
from minimize.ledger.consents import Act as Consent
from minimize.ledger.consents import record
from minimize.ledger.ledger import open_ledger
from minimize.policy.load import policy_from
from minimize.policy.model import Policy

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
        "tenant_id": {"type": "string", "do": "keep"},
        "device_id": {
            "type": "string",
            "role": "identifier",
            "do": {"pseudonymize": {"key": "device", "per": "tenant_id"}},
        },
        "event_time": {"type": "timestamp", "role": "quasi", "do": {"truncate_time": {"to": "hour"}}},
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
class House:
    """Where a test shares from."""

    folder: Path
    vendor: Mapping[str, Any] = field(default_factory=lambda: VENDOR)
    policy_: Mapping[str, Any] = field(default_factory=lambda: POLICY)
    listed: tuple[Subprocessor, ...] = ()
    settings: Any = None

    @cached_property
    def keys(self) -> Keyring:
        path = self.folder / "test.keys"
        return Keyring.load(path) if path.exists() else new_keyring(path, ["device", "other", "user"], now=NOW)

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

    def with_(self, **changes: Any) -> House:
        return replace(self, **changes)

    def vendor_with(self, path: str, value: Any) -> House:
        return replace(self, vendor=changed(self.vendor, path, value))

    def says(
        self,
        tenant: str,
        state: str = "given",
        *,
        function: str = "sync",
        at: datetime = NOW - timedelta(days=1),
        expires_at: datetime | None = None,
        terms: Recipient | None = None,
    ) -> None:
        """Takes down an act about a consent."""
        about = terms or self.recipient
        text = terms_of(about, function).text
        acted = Consent(tenant, about.recipient, function, state, text, "admin", at, expires_at, at)
        told = Event(component="t", actor=ANN, activity="consent", time=at, operation=state, category="sharing")
        with open_ledger(find_ledger(self.ledger), create=True) as ledger:
            record(ledger, [acted], [told], self.keys)

    def write(self) -> Path:
        """The recipient as a file of its folder."""
        path = self.folder / "vendor.yaml"
        path.write_text(json.dumps(self.vendor))
        return path

    def agree(self, *tenants: str) -> House:
        for tenant in tenants:
            self.says(tenant)
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
