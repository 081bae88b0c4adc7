"""The audit log grows, and does nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger.audit_check import check_log
from minimize.ledger.audit_event import EMPTY_LOG, EntryFilter, entry_digest, entry_event
from minimize.ledger.audit_log import append_event, latest_entries, log_head, read_entries
from minimize.ledger.database import Connection
from minimize.ledger.kinds import SETTING, RecordedSetting
from minimize.ledger.ledger import Ledger
from tests.acts import record_acts
from tests.ledger.ledgers import NOW, event, tells


def test_a_new_log_is_empty(ledger: Ledger) -> None:
    assert ledger.read(log_head) == EMPTY_LOG
    assert ledger.read(lambda connection: list(read_entries(connection))) == []


def test_an_entry_is_numbered_and_chained_to_the_one_before(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1), event(2), event(3))
    found = ledger.read(lambda connection: list(read_entries(connection)))
    assert [entry.sequence for entry in found] == [1, 2, 3]
    assert [entry.previous for entry in found] == [None, found[0].digest, found[1].digest]
    for before, entry in zip([EMPTY_LOG, *(each.head for each in found)], found, strict=False):
        assert entry_digest(before, entry_event(entry), entry.acts) == entry.digest
    assert ledger.read(log_head) == found[-1].head


def test_an_undone_entry_leaves_no_gap(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1))

    def stopped(connection: Connection) -> None:
        append_event(connection, event(2), keys)
        raise KeyError("a fault of the caller")

    with pytest.raises(KeyError):
        ledger.write(stopped)
    assert tells(ledger, keys, event(3)).sequence == 2


def test_a_refused_change_is_reported_without_the_row(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1))
    with pytest.raises(LedgerError, match="cannot be changed or removed") as raised:
        ledger.write(lambda connection: connection.execute("UPDATE audit SET actor = 'canary'"))
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None


def test_entries_are_filtered_by_each_of_their_properties(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1), event(2, activity="run", result="failure"), event(3))

    def numbers(**wanted: Any) -> list[int]:
        asked = EntryFilter(**wanted)
        return ledger.read(lambda connection: [entry.sequence for entry in read_entries(connection, asked)])

    assert numbers() == [1, 2, 3]
    assert numbers(activity="run") == [2]
    assert numbers(result="success") == [1, 3]
    assert numbers(actor="ann", correlation="c3") == [3]
    assert numbers(resource="feature/1") == [1]
    assert numbers(since=NOW + timedelta(seconds=2)) == [2, 3]
    assert numbers(until=NOW + timedelta(seconds=2)) == [1]


def test_the_last_entries_come_in_order(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, *map(event, range(5)))
    found = ledger.read(lambda connection: latest_entries(connection, EntryFilter(), 2))
    assert [entry.sequence for entry in found] == [4, 5]


def test_a_long_log_is_read_whole(ledger: Ledger, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.ledger.audit_log.PAGE_SIZE", 3)
    tells(ledger, keys, *map(event, range(8)))
    assert [entry.sequence for entry in ledger.read(lambda connection: list(read_entries(connection)))] == list(
        range(1, 9)
    )


def test_a_clock_set_back_does_not_change_the_order(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(9), event(1))
    found = ledger.read(lambda connection: [json.loads(entry.event)["time"] for entry in read_entries(connection)])
    assert found == ["2026-11-25T00:00:09.000000Z", "2026-11-25T00:00:01.000000Z"]
    assert ledger.read(lambda connection: list(check_log(connection, keys))) == []


def test_an_event_reads_the_last_act_once(ledger: Ledger, keys: Keyring) -> None:
    record_acts(ledger, keys, SETTING, RecordedSetting("north", None, "location", "on", "admin", NOW, NOW))
    statements: list[str] = []
    with at_checkpoint("ledger.statement", lambda _, statement: statements.append(statement)):
        tells(ledger, keys, event(1))
    assert len([each for each in statements if "FROM acts" in each]) == 1
