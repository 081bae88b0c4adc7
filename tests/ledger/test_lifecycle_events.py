"""What happened to tenants and subjects, on each database."""

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
    LifecycleEvent,
    last_lifecycle_events,
    read_lifecycle_events,
    record_lifecycle_events,
)
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
CLOSED = LifecycleEvent("north", None, "tenant_closed", NOW, "recorded", "{}", NOW + timedelta(hours=1), "ann")
LEFT = replace(CLOSED, subject=f"subject/1:{64 * '0'}", kind="subject_left", forms='{"a": ["b"]}')
TAKEN_BACK = replace(LEFT, state="withdrawn", forms="{}")


def test_rows_come_back_as_they_were_recorded(ledger: Ledger, keys: Keyring) -> None:
    assert record_lifecycle_events(ledger, [CLOSED], event(), keys) == [True]
    assert record_lifecycle_events(ledger, [LEFT], event(1), keys) == [True]
    assert read_lifecycle_events(ledger) == [CLOSED, LEFT]


def test_whom_it_is_about_what_and_when_name_an_event() -> None:
    others = [replace(LEFT, tenant_id="south"), replace(LEFT, kind="reset"), replace(LEFT, at=NOW + timedelta(1))]
    assert len({LEFT.id, CLOSED.id, *(each.id for each in others)}) == 5
    assert LEFT.id == TAKEN_BACK.id == replace(LEFT, actor="bob").id


def test_what_is_said_again_is_passed_over(ledger: Ledger, keys: Keyring) -> None:
    assert record_lifecycle_events(ledger, [LEFT], event(), keys) == [True]
    assert record_lifecycle_events(ledger, [replace(LEFT, recorded_at=NOW + timedelta(days=1))], event(1), keys) == [
        False
    ]
    assert read_lifecycle_events(ledger) == [LEFT]


def test_of_one_event_the_last_row_counts(ledger: Ledger, keys: Keyring) -> None:
    for number, row in enumerate([LEFT, CLOSED, TAKEN_BACK]):
        record_lifecycle_events(ledger, [row], event(number), keys)
    assert last_lifecycle_events(read_lifecycle_events(ledger)) == [TAKEN_BACK, CLOSED]
    assert record_lifecycle_events(ledger, [LEFT], event(3), keys) == [True]
    assert last_lifecycle_events(read_lifecycle_events(ledger)) == [LEFT, CLOSED]


def test_a_row_and_its_entry_in_the_log_are_kept_together(ledger: Ledger, keys: Keyring) -> None:
    record_lifecycle_events(ledger, [LEFT], event(activity="events"), keys)
    record_lifecycle_events(ledger, [LEFT], event(1, activity="events"), keys)
    assert len(find_entries(ledger, EntryFilter(activity="events"))) == 1


def test_without_a_signing_key_nothing_is_recorded(ledger: Ledger) -> None:
    class Nobody:
        def sign(self, content: bytes) -> tuple[str, bytes]:
            raise LedgerError("nobody signs")

    with pytest.raises(LedgerError, match="nobody signs"):
        record_lifecycle_events(ledger, [LEFT], event(), Nobody())
    assert read_lifecycle_events(ledger) == []


@pytest.mark.parametrize("statement", ["UPDATE events SET state = 'withdrawn'", "DELETE FROM events"])
def test_the_database_refuses_to_change_or_remove_a_row(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    record_lifecycle_events(ledger, [LEFT], event(), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert read_lifecycle_events(ledger) == [LEFT]
