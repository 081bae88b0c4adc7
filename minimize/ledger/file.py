"""File of a SQLite ledger: atomic creation with owner-only permissions, checks, and the backup during a migration.

Files next to the ledger during a migration:

    FILE.migration-part      a copy that is being made
    FILE.migration-backup    the ledger before a migration that is not verified yet
    FILE.migration-restore   the same, once it is decided that it replaces the ledger

A migration is one transaction. The copy is made and the result is checked inside it, so that a faulty migration is rolled
back and no other process writes meanwhile. The copy serves if the file is damaged after the commit. If a process ends during
a migration, the next one that opens the ledger removes the copy if the ledger is intact, and restores it otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection

from minimize.errors import LedgerError
from minimize.failpoints import fail_point
from minimize.keys.keyring import folder_lock
from minimize.ledger.address import Address
from minimize.ledger.database import enable_wal, sqlite_error
from minimize.os_errors import describe_os_error, errno_name
from minimize.stores import file_operations
from minimize.stores.file_operations import sync, sync_folder

_WAL_SUFFIXES: Final = ("-wal", "-shm")
FileIdentity = tuple[int, int]
"""Device and inode of a file."""


def create_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Makes a ledger's file beside its place, filled, and gives it its name; does nothing where another process was faster.

    Raises LedgerError where it cannot be made there.
    """
    half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    trouble: LedgerError | None = None
    try:
        _create_folder(path.parent)
        file_operations.create(half, private=True).close()
        enable_wal(half)
        fill(half)
        _link_into_place(half, path)
    except OSError as error:
        trouble = LedgerError(
            f"the ledger {path} cannot be made ({errno_name(error)})", hint=describe_os_error(error)[1]
        )
    except sqlite3.Error as error:
        trouble = sqlite_error(error, path)
    finally:
        for each in (half, *(half.with_name(half.name + end) for end in _WAL_SUFFIXES)):
            with contextlib.suppress(OSError):
                file_operations.remove(each)
    if trouble is not None:
        raise trouble


def check_file(address: Address) -> None:
    """Raises LedgerError where the ledger's file is missing, a link, no file, or open to group or others."""
    assert address.path is not None
    path = address.path
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = None
    if mode is None:
        hint = "a run makes one, or `minimize settings set`; or name another with --ledger or MINIMIZE_LEDGER"
        raise LedgerError(f"there is no ledger: looked for {path} ({address.named_by})", hint=hint)
    if stat.S_ISLNK(mode) or not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "no file"
        raise LedgerError(f"the ledger {path} is {what}", hint="name the file itself")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LedgerError(f"the ledger {path} is open to group or others", hint=f"chmod 600 {path}")


def file_identity(address: Address) -> FileIdentity | None:
    """Which file stands at a ledger's place; None where none does, or where the ledger is a server."""
    try:
        found = None if address.path is None else os.lstat(address.path)
    except OSError:
        found = None
    return None if found is None else (found.st_dev, found.st_ino)


def check_same_file(address: Address, before: FileIdentity | None) -> None:
    """Raises LedgerError where another file stands at a ledger's place than when it was opened, or none: what is written to the
    one that is open would be lost."""
    if file_identity(address) != before:
        hint = "put it back; `minimize runs --rebuild` brings what receipts know"
        raise LedgerError(f"the ledger {address} is gone, or another file stands in its place", hint=hint)


def _create_folder(folder: Path) -> None:
    """A folder that is made here is its owner's alone."""
    if not folder.exists():
        file_operations.make_folders(folder.parent)
        file_operations.make_folder(folder, private=True)


def _link_into_place(half: Path, path: Path) -> None:
    """Gives the file its name where no other has it: both are a ledger, and the first counts.

    What a ledger that was deleted left beside it goes first: SQLite would play its journal into the new one.
    """
    with half.open("rb") as file:
        sync(file.fileno(), "ledger")
    with folder_lock(path.parent):
        if os.path.lexists(path):
            return
        for end in _WAL_SUFFIXES:
            file_operations.remove(path.with_name(path.name + end), missing=True)
        try:
            file_operations.link(half, path)
        except OSError:  # a file system without links
            file_operations.rename(half, path)
        sync_folder(path.parent)


PART: Final = ".migration-part"
BACKUP: Final = ".migration-backup"
RESTORE: Final = ".migration-restore"
log = logging.getLogger("minimize")
JOURNAL_SUFFIXES: Final = ("-wal", "-shm", "-journal")
DAMAGE_ERRORS: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
T = TypeVar("T")
RowCounts = dict[str, int]
"""How many rows each table has."""


def recover_migration(path: Path) -> None:
    """Settles what a process that ended in mid-migration left next to a ledger. Raises LedgerError."""
    if any(os.path.lexists(_with_suffix(path, ending)) for ending in (PART, BACKUP, RESTORE)):
        with folder_lock(path.parent):
            _translate_errors(path, lambda: _finish_migration(path))


@contextmanager
def migration_backup(path: Path) -> Iterator[Callable[[Connection, Callable[[], None]], None]]:
    """For one migration of a ledger. Gives what migrates: it takes the connection of the transaction, and the work.

    The block leaves no connection open. Raises LedgerError where no copy can be made, or the result does not verify.
    """

    def migrate(connection: Connection, work: Callable[[], None]) -> None:
        _translate_errors(path, lambda: _make_backup(path))
        fail_point("migration.copied")
        before = _count_rows(connection)
        work()
        _verify_migration(connection, before, path)

    with folder_lock(path.parent):
        try:
            yield migrate
            fail_point("migration.done")
        finally:
            _translate_errors(path, lambda: _finish_migration(path))


def _make_backup(path: Path) -> None:
    _finish_migration(path)
    part = _with_suffix(path, PART)
    file_operations.create(part, private=True).close()
    with closing(_connect(path)) as ledger, closing(_connect(part)) as copy:
        ledger.backup(copy)
    with part.open("rb") as file:
        sync(file.fileno(), "ledger")
    file_operations.rename(part, _with_suffix(path, BACKUP))
    sync_folder(path.parent)


def _finish_migration(path: Path) -> None:
    """Finishes what was decided, and removes copies that are no longer needed."""
    if os.path.lexists(_with_suffix(path, RESTORE)) or (
        os.path.lexists(_with_suffix(path, BACKUP)) and not _is_intact(path)
    ):
        _restore_backup(path)
    for ending in (PART, BACKUP):
        copy = _with_suffix(path, ending)
        for each in (copy, *(copy.with_name(copy.name + journal) for journal in JOURNAL_SUFFIXES)):
            file_operations.remove(each, missing=True)


def _restore_backup(path: Path) -> None:
    """Puts the copy in the ledger's place. SQLite would play the ledger's journal into it, so that this goes first."""
    decided = _with_suffix(path, RESTORE)
    if not os.path.lexists(decided):
        file_operations.rename(_with_suffix(path, BACKUP), decided)
        sync_folder(path.parent)
    for ending in JOURNAL_SUFFIXES:
        file_operations.remove(path.with_name(path.name + ending), missing=True)
    file_operations.rename(decided, path)
    sync_folder(path.parent)
    message = "the ledger %s was damaged by a migration that ended early: the copy from before is back in its place"
    log.warning(message, path, extra={"code": "W033"})


def _verify_migration(connection: Connection, before: RowCounts, path: Path) -> None:
    """Raises LedgerError where a migration lost rows, or left the database damaged; then it is undone."""
    now = _count_rows(connection)
    faults = [f"rows are gone from {table}" for table, count in before.items() if now.get(table, count) < count]
    if connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar() != "ok":
        faults.append("the database is damaged")
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        faults.append("rows refer to rows that are not there")
    if faults:
        message = f"the ledger {path} did not verify after it was brought to a newer version: {', '.join(faults)}"
        raise LedgerError(message, hint="it is as it was before; use the version of minimize that wrote it")


def _count_rows(connection: Connection) -> RowCounts:
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    quoted = {name: '"{}"'.format(name.replace('"', '""')) for name in names}
    counts = {name: connection.exec_driver_sql(f"SELECT count(*) FROM {each}") for name, each in quoted.items()}  # noqa: S608
    return {name: int(found.scalar() or 0) for name, found in counts.items()}


def _is_intact(path: Path) -> bool:
    """Whether SQLite finds no fault. Raises sqlite3.Error where it cannot tell: what cannot be read is not damaged."""
    if not os.path.lexists(path):
        return False
    try:
        with closing(_connect(path)) as ledger:
            return bool(ledger.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        if not str(getattr(error, "sqlite_errorname", "")).startswith(DAMAGE_ERRORS):
            raise
    return False


def _with_suffix(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)


def _translate_errors(path: Path, work: Callable[[], T]) -> T:
    """What the work gives. Raises LedgerError in place of the errors of the system and of SQLite."""
    try:
        return work()
    except OSError as error:
        message = f"the ledger {path} cannot be copied for its migration ({errno_name(error)})"
        trouble = LedgerError(message, hint=describe_os_error(error)[1])
    except sqlite3.Error as error:
        trouble = sqlite_error(error, path)
    raise trouble
