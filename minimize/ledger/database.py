"""Errors of the database of a ledger as LedgerError, the file of SQLite, and the check of a migration."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from minimize.errors import LedgerError, describe_os_error, errno_name
from minimize.keys.keyring import folder_lock
from minimize.ledger.address import Address
from minimize.ledger.connections import Connection
from minimize.stores import file_operations
from minimize.stores.file_operations import sync, sync_folder


def enable_wal(path: Path) -> None:
    """Switches a new SQLite file to WAL mode: readers and a writer can use it at the same time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def server_time(connection: Connection) -> datetime | None:
    """The time of the server clock; None for a file."""
    found: datetime | None = None if connection.dialect == "sqlite" else connection.value("SELECT clock_timestamp()")
    return found


_CHANGE_REFUSED: Final = ("refuses the change: recorded rows cannot be changed or removed", "Nothing was changed.")
_SQLITE_ERRORS: Final = {
    "SQLITE_CONSTRAINT": _CHANGE_REFUSED,
    "SQLITE_MISMATCH": _CHANGE_REFUSED,
    "SQLITE_BUSY": ("is locked by another process", "Wait until it has finished. `fuser FILE` shows the process."),
    "SQLITE_LOCKED": ("is locked by another process", "Wait until it has finished. `fuser FILE` shows the process."),
    "SQLITE_CORRUPT": ("is damaged", "Restore a backup, then run `minimize runs --rebuild` to add newer receipts."),
    "SQLITE_NOTADB": ("is damaged or not an SQLite database", "Restore a backup, or pass another file."),
    "SQLITE_READONLY": ("cannot be written", "Check the owner and permissions of the file and its folder."),
    "SQLITE_PERM": ("cannot be written", "Check the owner and permissions of the file and its folder."),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        "Check that the file exists, and the owner and permissions of the file and its folder.",
    ),
    "SQLITE_FULL": ("cannot be written: the disk is full", "Free disk space and run again."),
    "SQLITE_IOERR": ("cannot be read or written: the disk is failing or full", "Check the system log."),
}
_POSTGRES_ERRORS: Final = {
    "P0001": _CHANGE_REFUSED,  # raised by a trigger
    "23": _CHANGE_REFUSED,
    "42501": (
        "does not permit this operation for the user",
        "Grant the permission to the database user of the ledger.",
    ),
    "53": ("is out of disk space or has too many connections", "Check the log of the database server."),
    "25006": ("cannot be written: the server is read-only", "Use the primary server."),
    "55P03": ("is locked by another process", "Wait until it has finished."),
    "40": ("was changed by another process at the same time", "Run again."),
}
_UNREACHABLE: Final = ("cannot be reached", "Check that the server is running and the URL of the ledger is correct.")
_LOGIN_REFUSED: Final = (
    "refuses the login",
    "Check user, password and database in the URL of the ledger, and pg_hba.conf of the server.",
)
_STARTING_OR_STOPPING: Final = ("starting up", "shutting down", "in recovery", "not yet accepting")
_UNKNOWN_ERROR: Final = (
    "reported an unknown error",
    "Check the log of the database server, or run `sqlite3 FILE 'pragma integrity_check'`.",
)


def database_error(error: Exception, place: object) -> LedgerError:
    """The LedgerError for an error of the driver. Takes the address of the ledger or the path of its file."""
    what, hint = _describe_error(error)
    return LedgerError(f"the ledger {place} {what}", hint=hint)


def is_connection_lost(error: Exception) -> bool:
    """Whether the server closed the connection or is not running yet: a retry may work."""
    if isinstance(error, sqlite3.Error) or _is_login_refused(error):
        return False
    state = _sqlstate(error)
    return not state or state.startswith(("57P", "080", "25P03"))


def _describe_error(error: Exception) -> tuple[str, str]:
    if is_connection_lost(error):
        return _UNREACHABLE
    if _is_login_refused(error):
        return _LOGIN_REFUSED
    is_sqlite = isinstance(error, sqlite3.Error)
    known, code = (
        (_SQLITE_ERRORS, getattr(error, "sqlite_errorname", "")) if is_sqlite else (_POSTGRES_ERRORS, _sqlstate(error))
    )
    return next((found for start, found in known.items() if code.startswith(start)), _UNKNOWN_ERROR)


def _sqlstate(error: Exception) -> str:
    """The SQLSTATE, or an empty text if the server sent none."""
    return str(getattr(error, "sqlstate", None) or "")


def _is_login_refused(error: Exception) -> bool:
    """Whether the server refused the login. The driver has no code for this, only the message of the server."""
    message = "" if _sqlstate(error) else str(error)
    return "FATAL" in message and not any(words in message for words in _STARTING_OR_STOPPING)


_WAL_SUFFIXES: Final = ("-wal", "-shm")
FileIdentity = tuple[int, int]
"""Device and inode of a file."""


def create_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Creates the file of a ledger under a temporary name, fills it and renames it. Does nothing if it exists by then.

    Raises LedgerError if it cannot be created.
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
            f"the ledger {path} cannot be created ({errno_name(error)})", hint=describe_os_error(error)[1]
        )
    except sqlite3.Error as error:
        trouble = database_error(error, path)
    finally:
        for each in (half, *(half.with_name(half.name + end) for end in _WAL_SUFFIXES)):
            with contextlib.suppress(OSError):
                file_operations.remove(each)
    if trouble is not None:
        raise trouble


def check_file(address: Address) -> None:
    """Raises LedgerError if the file is missing, a link, not a regular file, or accessible to group or others."""
    assert address.path is not None
    path = address.path
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = None
    if mode is None:
        hint = "Start a run or use `minimize settings set` to create it, or pass --ledger or set MINIMIZE_LEDGER."
        raise LedgerError(f"no ledger found at {path} ({address.named_by})", hint=hint)
    if stat.S_ISLNK(mode) or not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "not a regular file"
        raise LedgerError(f"the ledger {path} is {what}", hint="Pass the path of the file itself.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LedgerError(f"the ledger {path} is accessible to group or others", hint=f"Run: chmod 600 {path}")


def file_identity(address: Address) -> FileIdentity | None:
    """Identity of the file at the path of a ledger; None if there is none, or if the ledger is a server."""
    try:
        found = None if address.path is None else os.lstat(address.path)
    except OSError:
        found = None
    return None if found is None else (found.st_dev, found.st_ino)


def check_same_file(address: Address, before: FileIdentity | None) -> None:
    """Raises LedgerError if the file was removed or replaced since it was opened. Writes to the open file would be lost."""
    if file_identity(address) != before:
        hint = "Put the file back, or run `minimize runs --rebuild` to add the receipts to a new ledger."
        raise LedgerError(f"the ledger {address} was removed or replaced while it was open", hint=hint)


def _create_folder(folder: Path) -> None:
    """Creates the folder with access for its owner only."""
    if not folder.exists():
        file_operations.make_folders(folder.parent)
        file_operations.make_folder(folder, private=True)


def _link_into_place(half: Path, path: Path) -> None:
    """Renames the new file, unless a ledger exists by then.

    Journals of a deleted ledger are removed first: SQLite would apply them to the new one.
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


RowCounts = dict[str, int]
"""Number of rows by table."""


def check_migration(connection: Connection, before: RowCounts, address: Address) -> None:
    """Raises LedgerError if a migration lost rows of a file, or damaged it. Its transaction is then undone."""
    now = count_rows(connection)
    faults = [f"rows of {table} were lost" for table, count in before.items() if now.get(table, count) < count]
    if connection.dialect == "sqlite" and connection.value("PRAGMA integrity_check(1)") != "ok":
        faults.append("the database is damaged")
    if faults:
        message = f"the ledger {address} failed verification after its migration: {', '.join(faults)}"
        raise LedgerError(message, hint="The migration was undone. Use the version of minimize that wrote the ledger.")


def count_rows(connection: Connection) -> RowCounts:
    """The number of rows of each table."""
    names = {name: name.replace('"', '""') for name in connection.table_names()}
    return {name: connection.value(f'SELECT count(*) FROM "{quoted}"') for name, quoted in names.items()}  # noqa: S608
