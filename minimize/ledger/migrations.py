"""Schema of the ledger: its version, how a new one is created, and the steps that upgrade an older one.

A new ledger is created at the newest version, from the table definitions and the guards. An older one is upgraded by the
steps after its version. To change the schema, change the tables and append a step to `STEPS` that makes the same change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

from sqlalchemy import Column, Connection, Dialect, Integer, MetaData, Table, inspect, select
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable

from minimize.errors import LedgerError
from minimize.ledger.guards import guard_statements
from minimize.ledger.identity import make_identity

Step = Callable[[Connection], None]


def _add_identity(connection: Connection) -> None:
    from minimize.ledger.tables.identity import IDENTITY

    connection.execute(CreateTable(IDENTITY))
    for statement in guard_statements(connection.dialect.name, [IDENTITY.name]):
        connection.exec_driver_sql(statement)
    make_identity(connection)


STEPS: Final[tuple[Step, ...]] = (_add_identity,)
"""Step number n upgrades a ledger of version n to version n + 1, in the caller's transaction."""
NEWEST: Final = 1 + len(STEPS)
NONE: Final = 0
"""The version of an empty database."""
VERSION: Final = Table("ledger_version", MetaData(), Column("version", Integer, primary_key=True, autoincrement=False))


def version_of(connection: Connection) -> int | None:
    """The version of a ledger. `NONE` if the database is empty, None if it holds something else."""
    tables = inspect(connection).get_table_names()
    if VERSION.name not in tables:
        return None if tables and connection.dialect.name == "sqlite" else NONE
    return connection.execute(select(VERSION.c.version)).scalar() or NONE


def is_current(version: int | None, place: str) -> bool:
    """Whether a ledger of this version needs no upgrade. Raises LedgerError if it is too new, or not a ledger."""
    if version is None:
        raise LedgerError(f"{place} is a database, but no ledger", hint="name another file")
    if version > NEWEST:
        hint = "update minimize; a ledger is not taken back to an older version"
        raise LedgerError(f"the ledger {place} was written by a newer version of minimize", hint=hint)
    return version == NEWEST


def upgrade(connection: Connection, steps: tuple[Step, ...] = STEPS) -> None:
    """Creates the ledger in an empty database, or upgrades an older one, in the connection's transaction."""
    version = version_of(connection)
    if version == NONE:
        for statement in _create_statements(connection.dialect.name):
            connection.exec_driver_sql(statement)
        make_identity(connection)
        connection.execute(VERSION.insert().values(version=1 + len(steps)))
    elif version is not None:
        for step in steps[version - 1 :]:
            step(connection)
        connection.execute(VERSION.update().values(version=1 + len(steps)))


@cache  # the same for every ledger of a process; compiling takes longer than executing
def _create_statements(dialect: str) -> tuple[str, ...]:
    return tuple(_compiled(registry.load(dialect)()))


def _compiled(dialect: Dialect) -> Iterator[str]:
    from minimize.ledger.tables.whole import METADATA  # a run on a ledger that exists needs few of the tables

    for table in (*METADATA.sorted_tables, VERSION):
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    yield from guard_statements(dialect.name)
