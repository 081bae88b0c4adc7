"""Disclosures and recalls on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from minimize.errors import NotPermitted
from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from minimize.ledger.ledger import Ledger
from minimize.ledger.sharing import (
    Disclosure,
    RecallStep,
    TenantShare,
    read_disclosures,
    read_recalls,
    read_tenant_shares,
    record_disclosure,
    record_recalls,
)
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
BODY: dict[str, Any] = {"recipient": "vendor", "rows": 3}
ACT = Disclosure("d-1", NOW, "vendor", "sync", 3, "sha256:" + "0" * 64, None, BODY)
SHARES = [TenantShare("north", 2, "c-1", 1, bytes(32)), TenantShare("south", 1, "c-2")]
STEP = RecallStep("d-1", "north", "vendor", "withdrawn", "requested", NOW, "ann")


def fine(_: Connection) -> None:
    """Nothing has changed meanwhile."""


def test_an_act_comes_back_as_it_was_recorded_and_signed(ledger: Ledger, keys: Keyring) -> None:
    record_disclosure(ledger, ACT, SHARES, event(), keys, fine)
    (found,) = read_disclosures(ledger)
    assert replace(found, key="", signature="") == ACT
    assert found.is_signed(keys)
    assert read_tenant_shares(ledger, "d-1") == SHARES
    assert SHARES[0].subjects == len(SHARES[0].token_texts()) == 2


def test_an_act_that_says_something_else_is_not_signed(ledger: Ledger, keys: Keyring) -> None:
    record_disclosure(ledger, ACT, SHARES, event(), keys, fine)
    (found,) = read_disclosures(ledger, recipient="vendor")
    assert not replace(found, body={**BODY, "rows": 2}).is_signed(keys)
    assert not replace(found, signature="?").is_signed(keys)


def test_act_tenants_and_log_are_kept_together_or_not_at_all(ledger: Ledger, keys: Keyring) -> None:
    def ended(_: Connection) -> None:
        raise NotPermitted("no")

    with pytest.raises(NotPermitted):
        record_disclosure(ledger, ACT, SHARES, event(), keys, ended)
    assert (read_disclosures(ledger), read_tenant_shares(ledger, "d-1"), find_entries(ledger, EntryFilter())) == (
        [],
        [],
        [],
    )
    record_disclosure(ledger, ACT, SHARES, event(), keys, fine)
    assert len(find_entries(ledger, EntryFilter())) == 1


def test_a_step_of_a_recall_is_taken_down_once(ledger: Ledger, keys: Keyring) -> None:
    assert record_recalls(ledger, [STEP], event(), keys) == 1
    assert record_recalls(ledger, [STEP, replace(STEP, state="confirmed")], event(1), keys) == 1
    assert [step.state for step in read_recalls(ledger, "vendor")] == ["requested", "confirmed"]
    assert read_recalls(ledger, "nobody") == []
    assert record_recalls(ledger, [STEP], event(2), keys) == 0
    assert len(find_entries(ledger, EntryFilter())) == 2


@pytest.mark.parametrize("table", ["disclosures", "disclosed", "recalls"])
@pytest.mark.parametrize("act", ["UPDATE {} SET disclosure = 'x'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_or_remove_a_row(
    ledger: Ledger, address: Address, keys: Keyring, table: str, act: str
) -> None:
    record_disclosure(ledger, ACT, SHARES, event(), keys, fine)
    record_recalls(ledger, [STEP], event(1), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, act.format(table))
