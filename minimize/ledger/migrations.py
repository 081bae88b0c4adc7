"""Schema of the ledger: triggers that keep tables append-only, the ledger's identity, schema version and migration steps.

A new ledger is created at the newest version, from the table definitions and the triggers. An older one is upgraded by the
steps after its version. To change the schema, change the tables and append a step to `STEPS` that makes the same change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlalchemy import Column, Connection, Dialect, Integer, MetaData, Table, insert, inspect, select
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable

from minimize.errors import LedgerError
from minimize.ledger.tables import IDENTITY, METADATA

APPEND_ONLY: Final = (
    "adoptions",
    "checkpoints",
    "consents",
    "corrections",
    "disclosed",
    "disclosures",
    "events",
    "grants",
    "identity",
    "incidents",
    "passes",
    "readings",
    "recalls",
    "requests",
    "settings",
)
"""Tables whose rows are never changed or removed. The audit log has guards of its own: its oldest entries may be removed."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger.

    name       of the trigger
    change     what is refused: INSERT, UPDATE or DELETE
    condition  when it is refused, over OLD, NEW and `{year_ago}`; always if empty
    """

    name: str
    table: str
    change: str
    message: str
    condition: str = ""


def _append_only_triggers() -> Iterator[Trigger]:
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            yield Trigger(f"{table}_no_{change.lower()}", table, change, f"{table} are append-only")


AUDIT_TRIGGERS: Final = (
    Trigger("audit_no_update", "audit", "UPDATE", "the audit log is append-only"),
    Trigger(
        "audit_no_delete",
        "audit",
        "DELETE",
        "the audit log is append-only",
        "OLD.sequence > (SELECT coalesce(max(sequence), 0) FROM checkpoints) OR {old_time} >= {year_ago}",
    ),
    Trigger(
        "audit_no_gap",
        "audit",
        "INSERT",
        "the audit log has no gaps",
        "NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit)",
    ),
    Trigger(
        "checkpoints_name_entries",
        "checkpoints",
        "INSERT",
        "a checkpoint names an entry that is there",
        "NOT EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence AND digest = NEW.digest)",
    ),
)
TRIGGERS: Final = (*AUDIT_TRIGGERS, *_append_only_triggers())
_SQLITE_TIMES: Final = {"old_time": "OLD.time", "year_ago": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-365 days')"}
_POSTGRES_TIMES: Final = {
    "old_time": 'OLD.time COLLATE "C"',
    "year_ago": (
        "to_char((now() AT TIME ZONE 'UTC') - interval '365 days', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') COLLATE \"C\""
    ),
}


def trigger_statements(dialect: str, tables: Collection[str] = ("audit", *APPEND_ONLY)) -> Iterator[str]:
    """The statements that create the triggers of some tables, by default of all. Takes `sqlite` or `postgresql`."""
    guards = [guard for guard in TRIGGERS if guard.table in tables]
    if dialect == "sqlite":
        yield from map(_sqlite_trigger, guards)
        return
    for guard in guards:
        yield from _postgres_trigger(guard)
    for table in tables:
        yield (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_no_update()"
        )


def _sqlite_trigger(guard: Trigger) -> str:
    when = f" WHEN {guard.condition.format(**_SQLITE_TIMES)}" if guard.condition else ""
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.change} ON {guard.table}{when}"
        f" BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"
    )


def _postgres_trigger(guard: Trigger) -> Iterator[str]:
    condition = guard.condition.format(**_POSTGRES_TIMES) or "true"
    row = "OLD" if guard.change == "DELETE" else "NEW"
    yield (
        f"CREATE FUNCTION {guard.name}() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN IF {condition} THEN RAISE EXCEPTION '{guard.message}'; END IF; RETURN {row}; END $$"
    )
    yield (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.change} ON {guard.table}"
        f" FOR EACH ROW EXECUTE FUNCTION {guard.name}()"
    )


def insert_identity(connection: Connection) -> None:
    """Gives a new ledger its identity."""
    connection.execute(insert(IDENTITY).values(ledger=secrets.token_hex(16)))


def ledger_identity(connection: Connection) -> str:
    """The identity of a ledger."""
    return str(connection.execute(select(IDENTITY.c.ledger)).scalar_one())


MigrationStep = Callable[[Connection], None]


def _add_identity_table(connection: Connection) -> None:
    connection.execute(CreateTable(IDENTITY))
    for statement in trigger_statements(connection.dialect.name, [IDENTITY.name]):
        connection.exec_driver_sql(statement)
    insert_identity(connection)


STEPS: Final[tuple[MigrationStep, ...]] = (_add_identity_table,)
"""Step number n upgrades a ledger of version n to version n + 1, in the caller's transaction."""
NEWEST_VERSION: Final = 1 + len(STEPS)
EMPTY_VERSION: Final = 0
"""The version of an empty database."""
VERSION_TABLE: Final = Table(
    "ledger_version", MetaData(), Column("version", Integer, primary_key=True, autoincrement=False)
)


def schema_version(connection: Connection) -> int | None:
    """The version of a ledger. `EMPTY_VERSION` if the database is empty, None if it contains something else."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE.name not in tables:
        return None if tables and connection.dialect.name == "sqlite" else EMPTY_VERSION
    return connection.execute(select(VERSION_TABLE.c.version)).scalar() or EMPTY_VERSION


def is_current(version: int | None, place: str) -> bool:
    """Whether a ledger of this version needs no upgrade. Raises LedgerError if it is too new, or not a ledger."""
    if version is None:
        raise LedgerError(f"{place} is a database, but not a ledger", hint="Pass another file.")
    if version > NEWEST_VERSION:
        hint = "Update minimize. A ledger cannot be downgraded."
        raise LedgerError(f"the ledger {place} was written by a newer version of minimize", hint=hint)
    return version == NEWEST_VERSION


def upgrade_schema(connection: Connection, steps: tuple[MigrationStep, ...] = STEPS) -> None:
    """Creates the ledger in an empty database, or upgrades an older one, in the connection's transaction."""
    version = schema_version(connection)
    if version == EMPTY_VERSION:
        for statement in _create_statements(connection.dialect.name):
            connection.exec_driver_sql(statement)
        insert_identity(connection)
        connection.execute(VERSION_TABLE.insert().values(version=1 + len(steps)))
    elif version is not None:
        for step in steps[version - 1 :]:
            step(connection)
        connection.execute(VERSION_TABLE.update().values(version=1 + len(steps)))


@cache  # the same for every ledger of a process; compiling takes longer than executing
def _create_statements(dialect: str) -> tuple[str, ...]:
    return tuple(_compile_schema(registry.load(dialect)()))


def _compile_schema(dialect: Dialect) -> Iterator[str]:
    for table in (*METADATA.sorted_tables, VERSION_TABLE):
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    yield from trigger_statements(dialect.name)
