"""Database of the ledger: connections to SQLite and PostgreSQL, their errors as LedgerError, and the file of SQLite."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    QueuePool,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    table,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.util import LRUCache

from minimize.errors import LedgerError, describe_os_error, errno_name
from minimize.keys.keyring import folder_lock
from minimize.ledger.address import Address
from minimize.stores import file_operations
from minimize.stores.file_operations import sync, sync_folder

WRITES: Final = "minimize_writes"
"""Execution option of a connection that will write. SQLite then takes its lock at once, not at the first change."""
ADVISORY_LOCK: Final = 0x6D696E696D697A65
"""Number of the advisory lock in PostgreSQL for work that one process may do at a time ("minimize" in ASCII)."""
_PRAGMAS: Final = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "recursive_triggers = ON",
    "trusted_schema = OFF",
    "secure_delete = ON",  # also when pages are split, or removed content would stay in the file
)


def ledger_engine(address: Address, patience: float) -> Engine:
    """The engine of a ledger, not yet connected. `patience` is the time in seconds to wait for a lock or a server."""
    return _sqlite_engine(address.path, patience) if address.path is not None else _postgres_engine(address, patience)


def lock_ledger(connection: Connection) -> None:
    """Locks out other writers until the transaction ends. SQLite permits only one writer anyway."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})


def server_time(connection: Connection) -> datetime | None:
    """The time of the server clock; None for a file."""
    if connection.dialect.name == "sqlite":
        return None
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


def enable_wal(path: Path) -> None:
    """Switches a new SQLite file to WAL mode: readers and a writer can use it at the same time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def empty_journal(engine: Engine) -> None:
    """Empties the write-ahead log of SQLite, which contains removed rows until then.

    If another connection reads for longer than the patience of this one, the log is emptied when the last connection is closed.
    """
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection, contextlib.suppress(sqlite3.Error):
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sqlite_engine(path: Path, patience: float) -> Engine:
    """`mode=rw`: opening does not create a missing file."""
    uri, dialect, compiled = f"file:{quote(str(path))}?mode=rw", *_shared_sqlite_dialect()

    def connect() -> Any:
        return sqlite3.connect(uri, uri=True, timeout=patience, check_same_thread=False)

    pool, options = QueuePool(connect, dialect=dialect), {"compiled_cache": compiled}
    engine = Engine(pool, dialect, URL.create("sqlite"), hide_parameters=True, execution_options=options)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_transaction)
    return engine


@cache
def _shared_sqlite_dialect() -> tuple[Dialect, LRUCache[Any, Any]]:
    """The dialect of all SQLite ledgers of a process, and their compiled statements.

    `create_engine` makes a dialect for each engine, and each dialect compiles every statement again: 20 % of the CPU time of a
    small run, which opens its ledger twice. The size is that of an engine's own cache.
    """
    engine = create_engine("sqlite+pysqlite://")
    with engine.connect():
        pass  # the first connection detects the features of SQLite
    engine.dispose()
    return engine.dialect, LRUCache(500)


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin explicitly
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres_engine(address: Address, patience: float) -> Engine:
    try:
        url = make_url(address.url or "")
    except (ArgumentError, ValueError):
        url = None
    if url is None:
        raise LedgerError(
            f"the URL of the ledger ({address.named_by}) is invalid",
            hint="Use postgresql+psycopg://USER@HOST/DATABASE.",
        )
    isolation = (
        r"-c default_transaction_isolation=read\ committed"  # a snapshot from before the lock would be out of date
    )
    options = f"-c lock_timeout={int(patience * 1000)} -c timezone=UTC {isolation}"
    arguments = {"connect_timeout": max(2, int(patience)), "options": options, "application_name": "minimize"}
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    except ImportError:
        pass
    raise LedgerError(
        "a ledger on PostgreSQL requires the package psycopg", hint="Install minimize with its extra `postgres`."
    )


_SQLITE_ERRORS: Final = {
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
_CHANGE_REFUSED: Final = ("refuses the change: recorded rows cannot be changed or removed", "Nothing was changed.")
_UNKNOWN_ERROR: Final = (
    "reported an unknown error",
    "Check the log of the database server, or run `sqlite3 FILE 'pragma integrity_check'`.",
)


def database_error(error: DBAPIError, address: Address) -> LedgerError:
    """The LedgerError for an error of the database."""
    what, hint = _describe_error(error)
    return LedgerError(f"the ledger {address} {what}", hint=hint)


def sqlite_error(error: sqlite3.Error, path: Path) -> LedgerError:
    """The LedgerError for an error of SQLite while the file of a ledger is created."""
    what, hint = _describe_sqlite_error(str(getattr(error, "sqlite_errorname", "")))
    return LedgerError(f"the ledger {path} {what}", hint=hint)


def is_connection_lost(error: DBAPIError) -> bool:
    """Whether the server closed the connection or is not running yet: a retry may work."""
    if _sqlite_error_name(error) or _is_login_refused(error):
        return False
    return error.connection_invalidated or _sqlstate(error)[:3] in ("", "57P", "080")


def _describe_error(error: DBAPIError) -> tuple[str, str]:
    if isinstance(error, IntegrityError) or _sqlstate(error) == "P0001":
        return _CHANGE_REFUSED
    if is_connection_lost(error):
        return _UNREACHABLE
    if _is_login_refused(error):
        return _LOGIN_REFUSED
    name = _sqlite_error_name(error)
    for state, description in _POSTGRES_ERRORS.items():
        if not name and _sqlstate(error).startswith(state):
            return description
    return _describe_sqlite_error(name)


def _describe_sqlite_error(name: str) -> tuple[str, str]:
    return next((found for known, found in _SQLITE_ERRORS.items() if name.startswith(known)), _UNKNOWN_ERROR)


def _sqlite_error_name(error: DBAPIError) -> str:
    """The error name of SQLite; empty for errors of other databases."""
    return str(getattr(error.orig, "sqlite_errorname", ""))


def _sqlstate(error: DBAPIError) -> str:
    """The SQLSTATE, or an empty text if the server sent none."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def _is_login_refused(error: DBAPIError) -> bool:
    """Whether the server refused the login. The driver has no code for this, only the message of the server."""
    message = "" if _sqlstate(error) or _sqlite_error_name(error) else str(error.orig)
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
        trouble = sqlite_error(error, path)
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
    is_file = connection.dialect.name == "sqlite"
    if is_file and connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar() != "ok":
        faults.append("the database is damaged")
    if faults:
        message = f"the ledger {address} failed verification after its migration: {', '.join(faults)}"
        raise LedgerError(message, hint="The migration was undone. Use the version of minimize that wrote the ledger.")


def count_rows(connection: Connection) -> RowCounts:
    """The number of rows of each table."""
    names = inspect(connection).get_table_names()
    counts = {name: connection.scalar(select(func.count()).select_from(table(name))) for name in names}
    return {name: int(count or 0) for name, count in counts.items()}
