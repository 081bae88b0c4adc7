"""Consents in the ledger, on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from minimize.ledger.ledger import Ledger
from minimize.ledger.sharing import ConsentAct, read_consent_acts, record_consent_acts
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
GIVEN = ConsentAct("north", "apple", "push", "given", "{}", "ann", NOW, NOW + timedelta(days=30), NOW)
TICK = timedelta(microseconds=1)


def test_acts_come_back_as_they_were_recorded(ledger: Ledger, keys: Keyring) -> None:
    other = replace(GIVEN, tenant_id="south", state="refused", expires_at=None)
    assert record_consent_acts(ledger, [GIVEN, other], [event()], keys) == [GIVEN, other]
    assert read_consent_acts(ledger) == [GIVEN, other]


def test_acts_of_one_tenant_recipient_or_function_can_be_had(ledger: Ledger, keys: Keyring) -> None:
    others = [replace(GIVEN, tenant_id="south"), replace(GIVEN, recipient="google"), replace(GIVEN, function="sync")]
    record_consent_acts(ledger, [GIVEN, *others], [event()], keys)
    assert read_consent_acts(ledger, tenant="south") == [others[0]]
    assert read_consent_acts(ledger, recipient="google") == [others[1]]
    assert read_consent_acts(ledger, tenant="north", recipient="apple", function="sync") == [others[2]]


def test_what_an_act_says_names_it() -> None:
    changed = [replace(GIVEN, state="renewed"), replace(GIVEN, by="bob"), replace(GIVEN, expires_at=None)]
    assert len({GIVEN.id, *(each.id for each in changed)}) == 4
    assert replace(GIVEN).id == GIVEN.id


def test_acts_stand_in_the_order_of_recording_whatever_their_clocks_said(ledger: Ledger, keys: Keyring) -> None:
    put_back = replace(GIVEN, state="withdrawn", expires_at=None, recorded_at=NOW - timedelta(days=1))
    record_consent_acts(ledger, [GIVEN], [event()], keys)
    record_consent_acts(ledger, [put_back], [event(1)], keys)
    assert read_consent_acts(ledger) == [GIVEN, put_back]


def test_what_is_said_again_in_the_same_microsecond_is_another_act(ledger: Ledger, keys: Keyring) -> None:
    record_consent_acts(ledger, [GIVEN, GIVEN], [event()], keys)
    (last,) = record_consent_acts(ledger, [GIVEN], [event(1)], keys)
    assert last.recorded_at == NOW + 2 * TICK
    assert len({each.id for each in read_consent_acts(ledger)}) == 3


def test_an_act_and_its_entry_in_the_log_are_kept_together(ledger: Ledger, keys: Keyring) -> None:
    record_consent_acts(ledger, [GIVEN], [event(activity="consent")], keys)
    assert len(find_entries(ledger, EntryFilter(activity="consent"))) == 1


def test_without_a_signing_key_nothing_is_recorded(ledger: Ledger) -> None:
    class Nobody:
        def sign(self, content: bytes) -> tuple[str, bytes]:
            raise LedgerError("nobody signs")

    with pytest.raises(LedgerError, match="nobody signs"):
        record_consent_acts(ledger, [GIVEN], [event()], Nobody())
    assert read_consent_acts(ledger) == []


@pytest.mark.parametrize("statement", ["UPDATE consents SET state = 'given'", "DELETE FROM consents"])
def test_the_database_refuses_to_change_or_remove_an_act(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    record_consent_acts(ledger, [GIVEN], [event()], keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert read_consent_acts(ledger) == [GIVEN]
