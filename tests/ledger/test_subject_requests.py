"""What people put right, on each database.
What people asked, on each database.
"""

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
from minimize.ledger.subjects import (
    RecordedCorrection,
    SubjectRequestStep,
    read_corrections,
    read_request_steps,
    record_corrections,
    record_request_steps,
)
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


ASKED = SubjectRequestStep("delete", "north", None, NOW, NOW + timedelta(days=180), "open", "{}", NOW, "ann")
DONE = replace(ASKED, state="done", body='{"rows": 3}', recorded_at=NOW + timedelta(hours=1))


def test_steps_come_back_as_they_were_recorded(ledger: Ledger, keys: Keyring) -> None:
    other = replace(ASKED, subject=f"subject/1:{64 * '0'}")
    record_request_steps(ledger, [ASKED, other], event(), keys)
    record_request_steps(ledger, [DONE], event(1), keys)
    assert read_request_steps(ledger) == [ASKED, other, DONE]


def test_what_was_asked_of_whom_and_when_names_a_request() -> None:
    others = [
        replace(ASKED, kind="export"),
        replace(ASKED, tenant_id="south"),
        replace(ASKED, asked_at=NOW + timedelta(1)),
    ]
    assert len({ASKED.id, *(each.id for each in others)}) == 4
    assert ASKED.id == DONE.id


def test_steps_and_their_entry_in_the_log_are_kept_together(ledger: Ledger, keys: Keyring) -> None:
    record_request_steps(ledger, [ASKED], event(activity="subject"), keys)
    assert len(find_entries(ledger, EntryFilter(activity="subject"))) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM requests", "UPDATE requests SET state = 'done'"])
def test_the_database_refuses_to_change_or_remove_a_step(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    record_request_steps(ledger, [ASKED], event(), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert read_request_steps(ledger) == [ASKED]


def test_without_a_signing_key_nothing_is_recorded(ledger: Ledger) -> None:
    class Nobody:
        def sign(self, content: bytes) -> tuple[str, bytes]:
            raise LedgerError("nobody signs")

    with pytest.raises(LedgerError):
        record_request_steps(ledger, [ASKED], event(), Nobody())
    assert read_request_steps(ledger) == []
