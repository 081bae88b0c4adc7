"""The copy of a ledger that is kept while the ledger is migrated."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from minimize.errors import LedgerError
from minimize.failpoints import KILLED, VARIABLE
from minimize.ledger import Address, find_ledger, schema
from minimize.ledger import ledger as module
from minimize.ledger.ledger import open_ledger
from minimize.ledger.schema import NEWEST_VERSION, STEPS, schema_version, upgrade_schema
from tests.ledger.ledgers import empty, event, opened, tells
from tests.project import write_keyring

Step = Callable[[Connection], None]


def add_color(connection: Connection) -> None:
    """A step as a later version would have one."""
    connection.execute(text("ALTER TABLE runs ADD COLUMN color TEXT"))


@pytest.fixture(name="address")
def _address(tmp_path: Path) -> Address:
    empty(tmp_path)
    address = find_ledger(tmp_path / "ledger.db")
    with opened(address) as ledger:
        tells(ledger, write_keyring(tmp_path / "test.keys"), event(1), event(2))
    return address


def later(patch: pytest.MonkeyPatch, step: Step) -> None:
    """Lets the package be a later version, with one step more."""
    patch.setattr(schema, "NEWEST_VERSION", NEWEST_VERSION + 1)
    patch.setattr(module, "upgrade_schema", partial(upgrade_schema, steps=(*STEPS, step)))


def names(address: Address) -> set[str]:
    """The files next to the ledger but for its journals, which SQLite may keep."""
    assert address.path is not None
    return {name for name in os.listdir(address.path.parent) if not name.endswith(("-wal", "-shm", ".keys"))}


def version(address: Address) -> int | None:
    with open_ledger(address) as ledger:
        return ledger.read(schema_version)


def entries(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])


def test_a_copy_with_all_that_the_ledger_holds_is_there_while_it_is_migrated_and_gone_afterwards(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert address.path is not None
    copy = address.path.with_name("ledger.db.migration-backup")
    seen: list[tuple[int, int]] = []

    def looks(connection: Connection) -> None:
        seen.append((stat.S_IMODE(copy.stat().st_mode), entries(copy)))
        add_color(connection)

    later(monkeypatch, looks)
    assert version(address) == NEWEST_VERSION + 1
    assert seen == [(0o600, 2)]
    assert names(address) == {"ledger.db"}


def test_a_current_ledger_is_not_copied(address: Address) -> None:
    assert version(address) == NEWEST_VERSION
    assert names(address) == {"ledger.db"}


def stops(connection: Connection) -> None:
    add_color(connection)
    raise InterruptedError


def loses(connection: Connection) -> None:
    connection.execute(text("DROP TRIGGER audit_no_delete"))
    connection.execute(text("DELETE FROM audit"))


@pytest.mark.parametrize(("step", "error"), [(stops, InterruptedError), (loses, LedgerError)])
def test_a_migration_that_fails_or_loses_rows_is_undone(
    address: Address, monkeypatch: pytest.MonkeyPatch, step: Step, error: type[Exception]
) -> None:
    with monkeypatch.context() as patch:
        later(patch, step)
        with pytest.raises(error):
            open_ledger(address)
    assert version(address) == NEWEST_VERSION
    assert address.path is not None
    assert entries(address.path) == 2
    assert names(address) == {"ledger.db"}


def migrated(address: Address, point: str) -> None:
    """In a process of its own: migrates, and dies at a point."""
    os.environ[VARIABLE] = point
    with pytest.MonkeyPatch.context() as patch:
        later(patch, add_color)
        open_ledger(address).close()


def killed(address: Address, point: str) -> None:
    process = multiprocessing.get_context("fork").Process(target=migrated, args=(address, point))
    process.start()
    process.join()
    assert process.exitcode == KILLED


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("sync.ledger.before", "ledger.db.migration-part"),
        ("migration.copied", "ledger.db.migration-backup"),
        ("ledger.before", "ledger.db.migration-backup"),
        ("ledger.after", "ledger.db.migration-backup"),
        ("migration.done", "ledger.db.migration-backup"),
    ],
)
def test_killed_in_mid_migration_the_next_command_goes_on_and_leaves_no_copy(
    address: Address, monkeypatch: pytest.MonkeyPatch, point: str, left: str
) -> None:
    killed(address, point)
    assert names(address) == {"ledger.db", left}
    assert address.path is not None
    assert stat.S_IMODE(address.path.with_name(left).stat().st_mode) == 0o600
    later(monkeypatch, add_color)
    assert version(address) == NEWEST_VERSION + 1
    assert entries(address.path) == 2
    assert names(address) == {"ledger.db"}


@pytest.mark.parametrize("decided", [False, True])
def test_a_ledger_that_is_damaged_after_a_kill_is_replaced_by_its_copy(address: Address, decided: bool) -> None:
    assert address.path is not None
    killed(address, "migration.done")
    address.path.write_bytes(b"SQLite format 3\x00" + b"damaged" * 1000)
    if decided:  # killed once more, while the copy was put back
        address.path.with_name("ledger.db.migration-backup").rename(
            address.path.with_name("ledger.db.migration-restore")
        )
        address.path.unlink()
    assert version(address) == NEWEST_VERSION
    assert entries(address.path) == 2
    assert stat.S_IMODE(address.path.stat().st_mode) == 0o600
    assert names(address) == {"ledger.db"}


def test_copies_that_an_operator_made_stay(address: Address, tmp_path: Path) -> None:
    copies = [tmp_path / f"ledger.db.{ending}" for ending in ("backup", "restore", "part", "bak")]
    for copy in copies:
        copy.write_bytes(b"an operator's")
    opened(address).close()
    assert [copy.read_bytes() for copy in copies] == [b"an operator's"] * 4
