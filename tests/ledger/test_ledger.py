"""A ledger opens, or says clearly why not.
The tenants that the ledger names, on each database.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address, find_ledger, settings, sharing
from minimize.ledger.audit_log import append_event, log_head
from minimize.ledger.ledger import Ledger, open_ledger, tenants_named
from tests.ledger.ledgers import by_hand, event, opened, tells
from tests.postgres import Server


def pragma(connection: Connection, name: str) -> object:
    return connection.execute(text(f"PRAGMA {name}")).scalar()


def said(address: Address, **options: object) -> str:
    """What is said of a ledger that cannot be opened; the error hides nothing behind it."""
    with pytest.raises(LedgerError) as raised:
        opened(address, **options)
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_what_was_written_stands_when_it_is_opened_again(address: Address, keys: Keyring) -> None:
    with opened(address) as ledger:
        before = tells(ledger, keys, event(1))
    with opened(address, create=False) as ledger:
        assert ledger.read(log_head) == before


def test_a_file_is_its_owners_alone_from_the_start(tmp_path: Path, keys: Keyring) -> None:
    os.umask(before := os.umask(0))
    with opened(find_ledger(tmp_path / "a" / "ledger.db")) as ledger:
        tells(ledger, keys, event(1))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()}
    assert os.umask(before) == before
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 0o600)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_closed_lies_alone(tmp_path: Path) -> None:
    opened(find_ledger(tmp_path / "a" / "ledger.db")).close()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["ledger.db"]


def test_a_file_has_a_write_ahead_log_and_keeps_foreign_keys(tmp_path: Path) -> None:
    with opened(find_ledger(tmp_path / "ledger.db")) as ledger:
        found = {
            name: ledger.read(partial(pragma, name=name))
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 2000}


def test_a_ledger_that_is_missing_is_not_made_by_reading_it(tmp_path: Path) -> None:
    address = find_ledger(output=tmp_path, start=tmp_path)
    assert f"no ledger found at {tmp_path}/ledger.db (the default" in said(address, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database at all, but long enough" * 100, b"SQLite format 3\0" + b"x" * 4000])
def test_a_damaged_file_is_said_to_be(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.touch(0o600)
    path.write_bytes(content)
    assert "damaged" in said(find_ledger(path))
    assert path.read_bytes() == content


def test_damage_inside_is_said_when_it_is_read(tmp_path: Path, keys: Keyring) -> None:
    path = tmp_path / "ledger.db"
    with opened(find_ledger(path)) as ledger:
        tells(ledger, keys, *map(event, range(30)))
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    assert "damaged" in said(find_ledger(path))


def test_another_database_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert "is a database, but not a ledger" in said(find_ledger(path))


def test_an_empty_file_becomes_a_ledger(tmp_path: Path, keys: Keyring) -> None:
    (tmp_path / "ledger.db").touch(0o600)
    with opened(find_ledger(tmp_path / "ledger.db")) as ledger:
        assert tells(ledger, keys, event(1)).sequence == 1


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    opened(find_ledger(tmp_path / "real.db")).close()
    (tmp_path / "ledger.db").symlink_to(tmp_path / "real.db")
    assert "is a link" in said(find_ledger(tmp_path / "ledger.db"))


def test_a_link_to_nowhere_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").symlink_to(tmp_path / "elsewhere.db")
    assert "is a link" in said(find_ledger(tmp_path / "ledger.db"))
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    assert "is not a regular file" in said(find_ledger(tmp_path / "ledger.db"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    opened(find_ledger(tmp_path / "ledger.db")).close()
    (tmp_path / "ledger.db").chmod(mode)
    assert f"chmod 600 {tmp_path}/ledger.db" in said(find_ledger(tmp_path / "ledger.db"))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be created (ENOTDIR)" in said(find_ledger(tmp_path / "file" / "ledger.db"))


def test_a_locked_file_is_said_to_be_locked(tmp_path: Path, keys: Keyring) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    with opened(address, patience=0.1) as ledger, closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="is locked by another process") as raised:
            tells(ledger, keys, event(1))
        assert raised.value.__context__ is None
        other.rollback()
        assert tells(ledger, keys, event(1)).sequence == 1


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    with opened(address, patience=0.1) as ledger, closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert ledger.read(log_head).sequence == 0


def test_a_read_only_database_is_said_to_be(tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    opened(address).close()
    monkeypatch.setattr("minimize.ledger.database._PRAGMAS", ("query_only = ON",))
    with opened(address) as ledger, pytest.raises(LedgerError, match="cannot be written"):
        tells(ledger, keys, event(1))


def test_a_full_disk_is_said_to_be_full(tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    address = find_ledger(tmp_path / "ledger.db")
    opened(address).close()
    monkeypatch.setattr("minimize.ledger.database._PRAGMAS", ("max_page_count = 1",))
    with opened(address) as ledger:
        with pytest.raises(LedgerError, match="the disk is full"):
            tells(ledger, keys, *map(event, range(50)))
        kept = ledger.read(log_head).sequence
    monkeypatch.undo()
    with opened(address) as ledger:
        assert tells(ledger, keys, event(99)).sequence == kept + 1


def test_a_ledger_of_a_newer_version_is_left_alone(address: Address) -> None:
    opened(address).close()
    by_hand(address, "UPDATE ledger_version SET version = 9999")
    assert "written by a newer version of minimize" in said(address)


def test_an_error_carries_no_value_and_no_statement(address: Address) -> None:
    with opened(address) as ledger, pytest.raises(LedgerError) as raised:
        ledger.read(
            lambda connection: connection.execute(text("SELECT canary FROM nowhere WHERE x = :x"), {"x": "hunter2"})
        )
    assert "canary" not in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__context__ is None


def test_what_the_work_raises_comes_through_and_undoes_it(address: Address, keys: Keyring) -> None:
    def work(connection: Connection) -> None:
        append_event(connection, event(1), keys)
        raise LookupError

    with opened(address) as ledger:
        with pytest.raises(LookupError):
            ledger.write(work)
        assert ledger.read(log_head).sequence == 0


def test_opened_by_many_at_once_it_is_made_once(address: Address, keys: Keyring) -> None:
    barrier = threading.Barrier(8)

    def opens(number: int) -> int:
        barrier.wait()
        with opened(address, patience=30.0) as ledger:
            return tells(ledger, keys, event(number)).sequence

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(opens, range(8))) == list(range(1, 9))


def test_printing_it_shows_no_password() -> None:
    with pytest.raises(LedgerError) as raised:
        open_ledger(find_ledger("postgresql://ann:hunter2@127.0.0.1:1/house"), patience=0.1)
    assert "postgresql://ann@127.0.0.1:1/house cannot be reached" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_url_that_cannot_be_read_is_said_without_being_shown() -> None:
    with pytest.raises(LedgerError, match="is invalid") as raised:
        open_ledger(find_ledger("postgresql://ann:hunter2@h:port/d"))
    assert "hunter2" not in str(raised.value)


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_said(postgres: Server) -> None:
    missing = find_ledger(f"postgresql+psycopg://minimize@/nowhere?host={postgres.folder}")
    assert "refuses the login" in said(missing, patience=0.1)


@pytest.mark.postgres
def test_a_server_that_restarts_is_waited_for(postgres: Server, keys: Keyring) -> None:
    with opened(find_ledger(postgres.database()), patience=20.0) as ledger:
        tells(ledger, keys, event(1))
        postgres.restart()
        assert tells(ledger, keys, event(2)).sequence == 2
        postgres.stop()
        back = threading.Timer(1.0, postgres.start)
        back.start()
        assert tells(ledger, keys, event(3)).sequence == 3
        back.join()


@pytest.mark.postgres
def test_a_server_that_goes_away_in_mid_work_undoes_it_and_it_is_done_again(postgres: Server, keys: Keyring) -> None:
    turns: list[int] = []

    def work(connection: Connection) -> int:
        turns.append(append_event(connection, event(1), keys).sequence)
        if len(turns) == 1:
            postgres.restart()
            connection.execute(text("SELECT 1"))
        return len(turns)

    with opened(find_ledger(postgres.database()), patience=20.0) as ledger:
        assert ledger.write(work) == 2
        assert turns == [1, 1]
        assert ledger.read(log_head).sequence == 1


@pytest.mark.postgres
def test_a_server_that_stays_away_is_a_clear_error(postgres: Server, keys: Keyring) -> None:
    with opened(find_ledger(postgres.database()), patience=0.5) as ledger:
        postgres.stop()
        try:
            with pytest.raises(LedgerError, match="cannot be reached") as raised:
                tells(ledger, keys, event(1))
        finally:
            postgres.start()
        assert raised.value.__context__ is None
        assert tells(ledger, keys, event(1)).sequence == 1


@pytest.mark.postgres
def test_a_lock_that_is_held_is_said(postgres: Server, keys: Keyring) -> None:
    import psycopg

    address = find_ledger(postgres.database())
    with opened(address, patience=0.5) as ledger, psycopg.connect((address.url or "").replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE audit")
        with pytest.raises(LedgerError, match="is locked by another process"):
            tells(ledger, keys, event(1))


def test_importing_the_package_and_the_address_needs_no_database() -> None:
    code = "import sys, minimize, minimize.ledger, minimize.runs; print({'sqlalchemy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def test_tenants_with_settings_or_consents_are_named_once_each(ledger: Ledger, keys: Keyring) -> None:
    row = settings.RecordedSetting("north", None, "location", "on", "admin", NOW, NOW)
    settings.record_settings(ledger, [row], event(), keys)
    acts = [
        sharing.ConsentAct(tenant, "apple", "push", "given", "{}", "ann", NOW, None, NOW)
        for tenant in ("north", "south")
    ]
    sharing.record_consent_acts(ledger, acts, [event(1)], keys)
    assert tenants_named(ledger) == {"north", "south"}


def test_without_a_ledger_none_is() -> None:
    assert tenants_named(None) == frozenset()
