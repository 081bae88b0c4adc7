"""Settings that came past the log, or went, are found, on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import check_whole_log
from minimize.ledger.ledger import Ledger
from minimize.ledger.settings import RecordedSetting, record_settings
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
ON = RecordedSetting("north", None, "location", "on", "admin", NOW, NOW)
COLUMNS = "subject, setting, value, holder, valid_from, recorded_at"
PAST_THE_LOG = f"INSERT INTO settings (tenant_id, {COLUMNS}, digest) SELECT 'south', {COLUMNS}, 'x' FROM settings"


def found(ledger: Ledger, keys: Keyring) -> list[str]:
    return [each.message for each in check_whole_log(ledger, keys).findings if each.code == "H017"]


@pytest.fixture(name="told")
def _told(ledger: Ledger, keys: Keyring) -> Ledger:
    """Three rows, in two changes."""
    record_settings(ledger, [ON, replace(ON, tenant_id="east")], event(), keys)
    record_settings(ledger, [ON, replace(ON, value="off")], event(1), keys)
    return ledger


def unguarded(address: Address, statement: str) -> None:
    if address.path is None:
        by_hand(address, "ALTER TABLE settings DISABLE TRIGGER ALL", statement)
    else:
        by_hand(address, "DROP TRIGGER settings_no_update", "DROP TRIGGER settings_no_delete", statement)


def test_what_changes_recorded_is_what_the_log_tells_of(told: Ledger, keys: Keyring) -> None:
    assert found(told, keys) == []


def test_a_row_that_came_past_the_log_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    by_hand(address, PAST_THE_LOG + " WHERE value = 'off'")
    assert found(told, keys) == ["1 rows are not recorded in the log"]


def test_a_change_afterwards_hides_nothing(told: Ledger, keys: Keyring, address: Address) -> None:
    by_hand(address, PAST_THE_LOG + " WHERE value = 'off'")
    record_settings(told, [replace(ON, tenant_id="west")], event(2), keys)
    assert found(told, keys) == ["the rows differ from those that the log records"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE settings SET value = 'off' WHERE tenant_id = 'east'", "DELETE FROM settings WHERE value = 'off'"],
)
def test_a_row_that_was_changed_or_removed_is_found(
    told: Ledger, keys: Keyring, address: Address, statement: str
) -> None:
    unguarded(address, statement)
    assert found(told, keys) == ["the rows differ from those that the log records"]


def test_rows_without_any_entry_are_found(ledger: Ledger, keys: Keyring, address: Address) -> None:
    by_hand(address, f"INSERT INTO settings VALUES (1, 'a', '', 'b', 'on', 'admin', '{NOW}', '{NOW}', 'x')")
    assert found(ledger, keys) == ["1 rows, but the log records none"]
