"""Settings in the ledger, on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from minimize.keys import Keyring
from minimize.ledger.kinds import SETTING, RecordedSetting, new_settings
from minimize.ledger.ledger import Ledger
from tests.acts import record_acts
from tests.ledger.ledgers import NOW

ON = RecordedSetting("north", None, "location", "on", "admin", NOW, NOW)


def test_a_setting_that_is_recorded_is_not_new(ledger: Ledger, keys: Keyring) -> None:
    record_acts(ledger, keys, SETTING, ON)
    later, own = replace(ON, valid_from=NOW + timedelta(days=1)), replace(ON, subject="subject/1:ab", holder="user")
    south = replace(ON, tenant_id="south")
    assert new_settings(ledger, [ON, later, later, own, south, ON]) == [later, own, south]


def test_many_settings_are_recorded_in_one_transaction(ledger: Ledger, keys: Keyring) -> None:
    rows = [replace(ON, tenant_id=f"t{number}") for number in range(2_500)]
    record_acts(ledger, keys, SETTING, *rows)
    assert ledger.find(SETTING) == rows
    assert new_settings(ledger, rows[-50:]) == []
