"""The output of a pipeline, a vendor that may get it, and the consent of north."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

import minimize
from minimize.governance.consent import terms_of
from minimize.governance.recipients import Recipients, Subprocessors, recipient_from
from minimize.governance.sharing.act import Act, act
from minimize.governance.sharing.asked import Places, resolve
from minimize.keys import Keyring
from minimize.ledger import Event, find_ledger
from minimize.ledger.consents import Act as Consent
from minimize.ledger.consents import record
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.house import ANN, VENDOR
from tests.job.house import AT, House

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


def ready(home: House) -> House:
    """The same house, with a run of its day, and the consent of north."""
    minimize.run(home.folder, date="2026-11-24", at=AT, output=home.out, keys=home.keys)
    agree(home, vendor(), "sync", "north")
    return home


def agree(home: House, recipient: Any, function: str, *tenants: str) -> None:
    """Takes down that tenants agree."""
    text = terms_of(recipient, function).text
    since = datetime(2026, 1, 1, tzinfo=UTC)
    acts = [Consent(name, "vendor", function, "given", text, "admin", since, None, AT) for name in tenants]
    told = Event(component="t", actor=ANN, activity="consent", time=AT, operation="given", category="sharing")
    with open_ledger(find_ledger(home.out / "ledger.db"), create=True) as ledger:
        record(ledger, acts, [told] * len(acts), Keyring.load(home.keys))


def acting(home: House, data: Any, recipient: Any = None, function: str = "sync", **asked: Any) -> Act:
    nobody = Recipients(home.folder, Subprocessors())
    places = Places(pipeline=home.folder, keys=home.keys, ledger=home.out / "ledger.db", recipients=nobody)
    return act(resolve(recipient or vendor(), function, places, whens=(AT,), **asked), data, lambda: AT)


def shared(home: House, data: Any, **asked: Any) -> pa.Table:
    return acting(home, data, **asked).wet(data, None).given
