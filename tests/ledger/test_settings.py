"""Settings in the ledger, on each database."""

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
from minimize.ledger.settings import RecordedSetting, read_settings, record_settings
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
ON = RecordedSetting("north", None, "location", "on", "admin", NOW, NOW)


def test_rows_come_back_as_they_were_recorded(ledger: Ledger, keys: Keyring) -> None:
    own = replace(ON, subject="subject/1:abc", value="off", holder="user")
    assert record_settings(ledger, [ON, own], event(), keys)[0] == 2
    assert read_settings(ledger) == [ON, own]


def test_a_row_that_is_there_is_passed_over(ledger: Ledger, keys: Keyring) -> None:
    record_settings(ledger, [ON], event(), keys)
    later = replace(ON, valid_from=NOW + timedelta(days=1))
    assert record_settings(ledger, [ON, later, later], event(1), keys)[0] == 1
    assert read_settings(ledger) == [ON, later]


def test_a_change_and_its_entry_in_the_log_are_kept_together(ledger: Ledger, keys: Keyring) -> None:
    _, head = record_settings(ledger, [ON], event(), keys)
    assert head is not None
    assert [entry.sequence for entry in find_entries(ledger, EntryFilter(activity="settings"))] == [head.sequence]


def test_what_changes_nothing_is_not_told(ledger: Ledger, keys: Keyring) -> None:
    record_settings(ledger, [ON], event(), keys)
    assert record_settings(ledger, [ON], event(1), keys) == (0, None)
    assert len(find_entries(ledger, EntryFilter())) == 1


def test_many_rows_are_recorded_at_once(ledger: Ledger, keys: Keyring) -> None:
    rows = [replace(ON, tenant_id=f"t{number}") for number in range(2_500)]
    assert record_settings(ledger, rows, event(), keys)[0] == 2_500
    assert record_settings(ledger, rows, event(1), keys)[0] == 0


@pytest.mark.parametrize("statement", ["UPDATE settings SET value = 'on'", "DELETE FROM settings"])
def test_the_database_refuses_to_change_or_remove_a_row(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    record_settings(ledger, [ON], event(), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert read_settings(ledger) == [ON]


def test_without_a_signing_key_nothing_is_recorded(ledger: Ledger) -> None:
    class Nobody:
        def sign(self, content: bytes) -> tuple[str, bytes]:
            raise LedgerError("nobody signs")

    with pytest.raises(LedgerError, match="nobody signs"):
        record_settings(ledger, [ON], event(), Nobody())
    assert read_settings(ledger) == []
