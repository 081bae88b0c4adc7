"""Connections to SQLite and PostgreSQL; errors of the database as LedgerError, never in the words of the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Dialect, Engine, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.util import LRUCache

from minimize.errors import LedgerError
from minimize.ledger.address import Address

WRITES: Final = "minimize_writes"
"""The execution option of a connection that will write: SQLite then takes its lock at once, not at the first change."""
ADVISORY_LOCK: Final = 0x6D696E696D697A65
"""The number of PostgreSQL's advisory lock for what one process may do at a time ("minimize")."""
_PRAGMAS: Final = ("foreign_keys = ON", "synchronous = FULL", "recursive_triggers = ON", "trusted_schema = OFF")


def ledger_engine(address: Address, patience: float) -> Engine:
    """The engine of a ledger; nothing is connected yet. Takes how many seconds a lock or a server is waited for."""
    return _sqlite_engine(address.path, patience) if address.path is not None else _postgres_engine(address, patience)


def lock_ledger(connection: Connection) -> None:
    """Keeps others who ask for the same out until the transaction ends. On SQLite whoever writes is alone already."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})


def server_time(connection: Connection) -> datetime | None:
    """The time of the server's clock; None for a file, which has none."""
    if connection.dialect.name == "sqlite":
        return None
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


def enable_wal(path: Path) -> None:
    """Makes a new SQLite file one that readers and a writer can use at the same time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _sqlite_engine(path: Path, patience: float) -> Engine:
    """`mode=rw`: a file that is not there is never made by opening it."""
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
        pass  # the first connection fills in what the dialect knows of SQLite
    engine.dispose()
    return engine.dialect, LRUCache(500)


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
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
        raise LedgerError(f"the ledger's URL of {address.named_by} cannot be read", hint="postgresql+psycopg://…")
    options = f"-c lock_timeout={int(patience * 1000)} -c timezone=UTC"
    arguments = {"connect_timeout": max(2, int(patience)), "options": options, "application_name": "minimize"}
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=arguments)
    except ImportError:
        pass
    raise LedgerError("a ledger on PostgreSQL wants its driver", hint="pip install 'minimize[postgres]'")


_SQLITE_ERRORS: Final = {
    "SQLITE_BUSY": ("is locked by another process", "wait until it is done; `fuser FILE` says who it is"),
    "SQLITE_LOCKED": ("is locked by another process", "wait until it is done; `fuser FILE` says who it is"),
    "SQLITE_CORRUPT": ("is damaged", "restore it from a backup; `minimize runs --rebuild` brings what receipts know"),
    "SQLITE_NOTADB": ("is no SQLite database, or damaged", "restore it from a backup, or name another file"),
    "SQLITE_READONLY": ("cannot be written", "see who owns it and its folder"),
    "SQLITE_PERM": ("cannot be written", "see who owns it and its folder"),
    "SQLITE_CANTOPEN": ("cannot be opened", "see whether it is there, and who owns it and its folder"),
    "SQLITE_FULL": ("cannot be written: the disk is full", "make room and run again"),
    "SQLITE_IOERR": ("cannot be read or written: the disk fails, or is full", "see the system's log"),
}
_POSTGRES_ERRORS: Final = {
    "42501": ("does not let this user do that", "grant it to the ledger's user"),
    "53": ("has no room left, or too many connections", "see the server's log"),
    "25006": ("cannot be written: the server is read-only", "name the primary server"),
    "55P03": ("is locked by another process", "wait until it is done"),
    "40": ("was changed by others at the same time", "run again"),
}
_UNREACHABLE: Final = ("cannot be reached", "is the server up, and the ledger's URL right?")
_LOGIN_REFUSED: Final = (
    "turns us away",
    "see user, password and database of the ledger's URL, and the server's pg_hba.conf",
)
_STARTING_OR_STOPPING: Final = ("starting up", "shutting down", "in recovery", "not yet accepting")
_CHANGE_REFUSED: Final = ("does not take this change: it keeps what stands in it", "nothing was changed")
_UNKNOWN_ERROR: Final = (
    "gave an error that has no name here",
    "see the server's log, or `sqlite3 FILE 'pragma integrity_check'`",
)


def database_error(error: DBAPIError, address: Address) -> LedgerError:
    """The error to raise in the place of a database's."""
    what, hint = _describe_error(error)
    return LedgerError(f"the ledger {address} {what}", hint=hint)


def sqlite_error(error: sqlite3.Error, path: Path) -> LedgerError:
    """The error to raise in the place of SQLite's own, where a file is made a ledger's."""
    what, hint = _describe_sqlite_error(str(getattr(error, "sqlite_errorname", "")))
    return LedgerError(f"the ledger {path} {what}", hint=hint)


def is_connection_lost(error: DBAPIError) -> bool:
    """Whether the server went away, or is not up (yet): another try may work."""
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
    for state, said in _POSTGRES_ERRORS.items():
        if not name and _sqlstate(error).startswith(state):
            return said
    return _describe_sqlite_error(name)


def _describe_sqlite_error(name: str) -> tuple[str, str]:
    return next((said for known, said in _SQLITE_ERRORS.items() if name.startswith(known)), _UNKNOWN_ERROR)


def _sqlite_error_name(error: DBAPIError) -> str:
    """SQLite's name of the error; empty where it is another database's."""
    return str(getattr(error.orig, "sqlite_errorname", ""))


def _sqlstate(error: DBAPIError) -> str:
    """The SQLSTATE, where the server gave one."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def _is_login_refused(error: DBAPIError) -> bool:
    """Whether the server is up and does not let us in: for that the driver has no code, only the server's words."""
    said = "" if _sqlstate(error) or _sqlite_error_name(error) else str(error.orig)
    return "FATAL" in said and not any(words in said for words in _STARTING_OR_STOPPING)
