"""What people put right, on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from minimize.ledger.ledger import Ledger
from minimize.ledger.subject_requests import RecordedCorrection, read_corrections, record_corrections
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
TOKEN = f"subject/1:{64 * '0'}"
PHONE = RecordedCorrection("north", TOKEN, "phone", "1:AAAA", NOW, NOW + timedelta(hours=1), "ann")
NAME = RecordedCorrection("north", TOKEN, "name", "1:BBBB", NOW, NOW + timedelta(hours=1), "ann")


def test_rows_come_back_as_they_were_recorded_with_one_entry_in_the_log(ledger: Ledger, keys: Keyring) -> None:
    record_corrections(ledger, [PHONE, NAME], event(activity="subject"), keys)
    assert read_corrections(ledger) == [PHONE, NAME]
    assert len(find_entries(ledger, EntryFilter(activity="subject"))) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM corrections", "UPDATE corrections SET sealed = 'x'"])
def test_the_database_refuses_to_change_or_remove_a_row(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    record_corrections(ledger, [PHONE], event(), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert read_corrections(ledger) == [PHONE]


def test_a_sealed_value_is_not_printed() -> None:
    assert "AAAA" not in repr(PHONE)
