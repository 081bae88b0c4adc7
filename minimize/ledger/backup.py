"""The copy of a ledger's file that is kept while the ledger is migrated: in the same folder, its owner's alone.

    FILE.migration-part      a copy that is being made
    FILE.migration-backup    the ledger before a migration that is not verified yet
    FILE.migration-restore   the same, once it is decided that it takes the ledger's place

A migration is one transaction. The copy is made and the result is checked within it, so that a faulty migration is undone, and no
other process writes meanwhile. The copy is for a file that is damaged after the commit. A process may end at any moment: the
next one that opens the ledger removes the copy if the ledger is sound, and puts it back if not.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection

from minimize import file_operations
from minimize.errors import LedgerError
from minimize.failpoints import fail_point
from minimize.file_operations import sync, sync_folder
from minimize.keys.store import locked
from minimize.ledger.failures import unprepared
from minimize.system import name_of, said

PART: Final = ".migration-part"
BACKUP: Final = ".migration-backup"
RESTORE: Final = ".migration-restore"
log = logging.getLogger("minimize")
JOURNALS: Final = ("-wal", "-shm", "-journal")
DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
T = TypeVar("T")
Rows = dict[str, int]
"""How many rows each table has."""


def recover(path: Path) -> None:
    """Settles what a process that ended in mid-migration left next to a ledger. Raises LedgerError."""
    if any(os.path.lexists(_beside(path, ending)) for ending in (PART, BACKUP, RESTORE)):
        with locked(path.parent):
            _guarded(path, lambda: _settle(path))


@contextmanager
def migrating(path: Path) -> Iterator[Callable[[Connection, Callable[[], None]], None]]:
    """For one migration of a ledger. Gives what migrates: it takes the connection of the transaction, and the work.

    The block leaves no connection open. Raises LedgerError where no copy can be made, or the result does not verify.
    """

    def migrate(connection: Connection, work: Callable[[], None]) -> None:
        _guarded(path, lambda: _copy(path))
        fail_point("migration.copied")
        before = _rows(connection)
        work()
        _check(connection, before, path)

    with locked(path.parent):
        try:
            yield migrate
            fail_point("migration.done")
        finally:
            _guarded(path, lambda: _settle(path))


def _copy(path: Path) -> None:
    _settle(path)
    part = _beside(path, PART)
    file_operations.create(part, private=True).close()
    with closing(_connected(path)) as ledger, closing(_connected(part)) as copy:
        ledger.backup(copy)
    with part.open("rb") as file:
        sync(file.fileno(), "ledger")
    file_operations.rename(part, _beside(path, BACKUP))
    sync_folder(path.parent)


def _settle(path: Path) -> None:
    """Finishes what was decided, and removes copies that are no longer needed."""
    if os.path.lexists(_beside(path, RESTORE)) or (os.path.lexists(_beside(path, BACKUP)) and not _is_sound(path)):
        _restore(path)
    for ending in (PART, BACKUP):
        copy = _beside(path, ending)
        for each in (copy, *(copy.with_name(copy.name + journal) for journal in JOURNALS)):
            file_operations.remove(each, missing=True)


def _restore(path: Path) -> None:
    """Puts the copy in the ledger's place. SQLite would play the ledger's journal into it, so that this goes first."""
    decided = _beside(path, RESTORE)
    if not os.path.lexists(decided):
        file_operations.rename(_beside(path, BACKUP), decided)
        sync_folder(path.parent)
    for ending in JOURNALS:
        file_operations.remove(path.with_name(path.name + ending), missing=True)
    file_operations.rename(decided, path)
    sync_folder(path.parent)
    message = "the ledger %s was damaged by a migration that ended early: the copy from before is back in its place"
    log.warning(message, path, extra={"code": "W033"})


def _check(connection: Connection, before: Rows, path: Path) -> None:
    """Raises LedgerError where a migration lost rows, or left the database damaged; then it is undone."""
    now = _rows(connection)
    faults = [f"rows are gone from {table}" for table, count in before.items() if now.get(table, count) < count]
    if connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar() != "ok":
        faults.append("the database is damaged")
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        faults.append("rows refer to rows that are not there")
    if faults:
        message = f"the ledger {path} did not verify after it was brought to a newer version: {', '.join(faults)}"
        raise LedgerError(message, hint="it is as it was before; use the version of minimize that wrote it")


def _rows(connection: Connection) -> Rows:
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    quoted = {name: '"{}"'.format(name.replace('"', '""')) for name in names}
    counts = {name: connection.exec_driver_sql(f"SELECT count(*) FROM {each}") for name, each in quoted.items()}  # noqa: S608
    return {name: int(found.scalar() or 0) for name, found in counts.items()}


def _is_sound(path: Path) -> bool:
    """Whether SQLite finds no fault. Raises sqlite3.Error where it cannot tell: what cannot be read is not damaged."""
    if not os.path.lexists(path):
        return False
    try:
        with closing(_connected(path)) as ledger:
            return bool(ledger.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        if not str(getattr(error, "sqlite_errorname", "")).startswith(DAMAGED):
            raise
    return False


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)


def _guarded(path: Path, work: Callable[[], T]) -> T:
    """What the work gives. Raises LedgerError in place of the errors of the system and of SQLite."""
    try:
        return work()
    except OSError as error:
        message = f"the ledger {path} cannot be copied for its migration ({name_of(error)})"
        trouble = LedgerError(message, hint=said(error)[1])
    except sqlite3.Error as error:
        trouble = unprepared(error, path)
    raise trouble
