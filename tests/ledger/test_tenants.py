"""The tenants that the ledger names, on each database."""

from __future__ import annotations

from datetime import UTC, datetime

from minimize.keys import Keyring
from minimize.ledger import consents, settings
from minimize.ledger.ledger import Ledger, tenants_named
from tests.ledger.ledgers import event

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def test_tenants_with_settings_or_consents_are_named_once_each(ledger: Ledger, keys: Keyring) -> None:
    row = settings.RecordedSetting("north", None, "location", "on", "admin", NOW, NOW)
    settings.record_settings(ledger, [row], event(), keys)
    acts = [
        consents.ConsentAct(tenant, "apple", "push", "given", "{}", "ann", NOW, None, NOW)
        for tenant in ("north", "south")
    ]
    consents.record_consent_acts(ledger, acts, [event(1)], keys)
    assert tenants_named(ledger) == {"north", "south"}


def test_without_a_ledger_none_is() -> None:
    assert tenants_named(None) == frozenset()
