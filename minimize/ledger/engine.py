"""Engines: how a connection to SQLite or PostgreSQL is made, and what holds on each."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Dialect, Engine, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.util import LRUCache

from minimize.errors import LedgerError
from minimize.ledger.address import Address

WRITES: Final = "minimize_writes"
"""The execution option of a connection that will write: SQLite then takes its lock at once, not at the first change."""
LOCK: Final = 0x6D696E696D697A65
"""The number of PostgreSQL's advisory lock for what one process may do at a time ("minimize")."""
_PRAGMAS: Final = ("foreign_keys = ON", "synchronous = FULL", "recursive_triggers = ON", "trusted_schema = OFF")


def engine_of(address: Address, patience: float) -> Engine:
    """The engine of a ledger; nothing is connected yet. Takes how many seconds a lock or a server is waited for."""
    return _sqlite(address.path, patience) if address.path is not None else _postgres(address, patience)


def exclusive(connection: Connection) -> None:
    """Keeps others who ask for the same out until the transaction ends. On SQLite whoever writes is alone already."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK})


def server_time(connection: Connection) -> datetime | None:
    """The time of the server's clock; None for a file, which has none."""
    if connection.dialect.name == "sqlite":
        return None
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found


def prepare_file(path: Path) -> None:
    """Makes a new SQLite file one that readers and a writer can use at the same time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _sqlite(path: Path, patience: float) -> Engine:
    """`mode=rw`: a file that is not there is never made by opening it."""
    uri, dialect, compiled = f"file:{quote(str(path))}?mode=rw", *_shared_sqlite()

    def connect() -> Any:
        return sqlite3.connect(uri, uri=True, timeout=patience, check_same_thread=False)

    pool, options = QueuePool(connect, dialect=dialect), {"compiled_cache": compiled}
    engine = Engine(pool, dialect, URL.create("sqlite"), hide_parameters=True, execution_options=options)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


@cache
def _shared_sqlite() -> tuple[Dialect, LRUCache[Any, Any]]:
    """The dialect of all SQLite ledgers of a process, and their compiled statements.

    `create_engine` makes a dialect for each engine, and each dialect compiles every statement again: 20 % of the CPU time of a
    small run, which opens its ledger twice. The size is that of an engine's own cache.
    """
    engine = create_engine("sqlite+pysqlite://")
    with engine.connect():
        pass  # the first connection fills in what the dialect knows of SQLite
    engine.dispose()
    return engine.dialect, LRUCache(500)


def _set_up(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(address: Address, patience: float) -> Engine:
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
