"""The audit log grows, and does nothing else."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import check_log
from minimize.ledger.audit_log import (
    EMPTY_LOG,
    EntryFilter,
    append_event,
    entry_digest,
    entry_event,
    find_entry,
    latest_entries,
    log_head,
    read_entries,
)
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import NOW, by_hand, event, opened, tells

ROOT = Path(__file__).parents[2]
REFUSALS = (sqlite3.IntegrityError, psycopg.errors.RaiseException)
WRITER = """
import sys
from minimize.keys import Keyring
from minimize.ledger import find_ledger
from minimize.ledger.audit_log import append_event
from tests.ledger.ledgers import event, opened
with opened(find_ledger(sys.argv[1]), patience=60.0) as ledger:
    keys = Keyring.load(sys.argv[2])
    for number in range(int(sys.argv[3])):
        ledger.write(lambda connection: append_event(connection, event(number), keys))
"""


def test_a_new_log_is_empty(ledger: Ledger) -> None:
    assert ledger.read(log_head) == EMPTY_LOG
    assert ledger.read(lambda connection: list(read_entries(connection))) == []


def test_an_entry_is_numbered_and_chained_to_the_one_before(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1), event(2), event(3))
    found = ledger.read(lambda connection: list(read_entries(connection)))
    assert [entry.sequence for entry in found] == [1, 2, 3]
    assert [entry.previous for entry in found] == [None, found[0].digest, found[1].digest]
    assert all(entry_digest(entry.sequence, entry.previous, entry_event(entry)) == entry.digest for entry in found)
    assert ledger.read(log_head) == found[-1].head


def test_an_event_has_the_shape_that_readers_of_audit_logs_know(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(7))
    found = ledger.read(lambda connection: find_entry(connection, 1))
    assert found is not None
    said = entry_event(found)
    assert said.pop("id")
    assert said == {
        "component": "tests",
        "actor": {
            "type": "user",
            "permissions": [],
            "application": "a test",
            "user": "ann",
            "ip": None,
            "id": None,
        },
        "activity": "settings",
        "time": "2026-11-25T00:00:07.000000Z",
        "operation": "set",
        "result": "success",
        "correlation_id": "c7",
        "resources": [
            {
                "name": "location",
                "type": "feature",
                "id": "feature/7",
                "changed_properties": [{"name": "value", "old": "off", "new": "on"}],
            }
        ],
        "category": "configuration",
    }


def test_what_is_undone_leaves_no_gap(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1))

    def stopped(connection: Connection) -> None:
        append_event(connection, event(2), keys)
        raise KeyError("a fault of the caller")

    with pytest.raises(KeyError):
        ledger.write(stopped)
    assert tells(ledger, keys, event(3)).sequence == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'bob' WHERE sequence = 1",
        "DELETE FROM audit WHERE sequence = 2",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 9, previous, 'other', event, key, signature, time, activity, operation, result, actor, "
        "resource, correlation FROM audit WHERE sequence = 2",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(
    address: Address, ledger: Ledger, keys: Keyring, statement: str
) -> None:
    tells(ledger, keys, event(1), event(2))
    with pytest.raises(REFUSALS):
        by_hand(address, statement)
    assert ledger.read(log_head).sequence == 2
    assert ledger.read(lambda connection: list(check_log(connection, keys))) == []


def test_sqlite_replaces_no_entry_either(address: Address, ledger: Ledger, keys: Keyring) -> None:
    if address.path is None:
        with pytest.raises(psycopg.errors.RaiseException):
            by_hand(address, "TRUNCATE audit")
        return
    tells(ledger, keys, event(1), event(2))
    with pytest.raises(REFUSALS):
        by_hand(address, "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE sequence = 1")


def test_a_refused_change_is_told_without_the_row(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(1))
    with pytest.raises(LedgerError, match="cannot be changed or removed") as raised:
        ledger.write(lambda connection: connection.execute(text("UPDATE audit SET actor = 'canary'")))
    assert "canary" not in str(raised.value)
    assert raised.value.__context__ is None


def test_many_threads_leave_one_gapless_chain(ledger: Ledger, keys: Keyring) -> None:
    with ThreadPoolExecutor(8) as pool:
        heads = list(pool.map(lambda number: tells(ledger, keys, event(number)), range(40)))
    assert sorted(head.sequence for head in heads) == list(range(1, 41))
    assert ledger.read(lambda connection: list(check_log(connection, keys))) == []


@pytest.mark.slow
def test_many_processes_leave_one_gapless_chain(address: Address, keys: Keyring) -> None:
    """They make the ledger at the same time, too."""
    where = str(address.path or address.url)
    command = [sys.executable, "-c", WRITER, where, str(keys.path), "15"]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, env=environ) for _ in range(4)]
    assert [writer.communicate()[1] for writer in writers] == [b""] * 4
    with opened(address) as ledger:
        assert ledger.read(log_head).sequence == 60
        assert ledger.read(lambda connection: list(check_log(connection, keys))) == []


def test_entries_are_found_by_what_they_tell(ledger: Ledger, keys: Keyring) -> None:
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


def test_a_clock_that_goes_back_does_not_touch_the_order(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(9), event(1))
    found = ledger.read(lambda connection: [json.loads(entry.event)["time"] for entry in read_entries(connection)])
    assert found == ["2026-11-25T00:00:09.000000Z", "2026-11-25T00:00:01.000000Z"]
    assert ledger.read(lambda connection: list(check_log(connection, keys))) == []
