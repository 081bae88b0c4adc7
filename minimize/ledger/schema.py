"""Schema of the ledger: tables, triggers that keep them append-only, the schema version, and migration steps.

A new ledger is created at the newest version, from the tables and the triggers. An older one is upgraded by the steps after its
version. To change the schema, change the tables and append a step to `STEPS` that makes the same change.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
)
from sqlalchemy.dialects import registry
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import TypeDecorator

from minimize.errors import LedgerError
from minimize.ledger.audit_event import utc_text

DIGEST: Final = String(71)
"""`sha256:` and 64 hexadecimal digits."""

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


ORDERED_TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared by its code points on every database."""


ROW_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""A number by which SQLite stores the rows of a table. Another type would need an index of its own."""


_UTC_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z", re.ASCII)


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC as text of fixed width, which sorts and compares in time order on every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        """The text of a time."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """The time of a text. Raises LedgerError for another text, which only a damaged or changed ledger contains.

        Another text of the same time is refused, too: it would sort differently, and a text without a zone has no fixed time.
        """
        if value is None:
            return None
        try:
            if _UTC_TIME.fullmatch(value):
                return datetime.fromisoformat(value)
        except (ValueError, TypeError):
            pass
        raise LedgerError("the ledger contains a time that cannot be read", hint="Restore a backup.")


ACTS: Final = Table(
    "acts",
    METADATA,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("kind", String(24), nullable=False),
    Column("key", ORDERED_TEXT, nullable=False),
    Column("tenant_id", Text),
    Column("subject", Text),
    Column("valid_from", UtcTime),
    Column("recorded_at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("body", Text),
    Column("body_digest", DIGEST, nullable=False),
    Column("previous", DIGEST),
    Column("signing_key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Index("ix_acts_kind", "kind", "id"),
    Index("ix_acts_key", "kind", "key"),
    Index("ix_acts_tenant_id", "tenant_id", "kind", "key"),
)
"""See `acts.Act`. A body can be removed, and is then null."""


AUDIT_LOG: Final = Table(
    "audit",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("previous", DIGEST),
    Column("digest", DIGEST, nullable=False, unique=True),
    Column("event", Text, nullable=False),
    Column("acts", BigInteger, nullable=False),
    Column("acts_digest", DIGEST),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("time", UtcTime, nullable=False, index=True),
    Column("activity", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("result", String(16), nullable=False),
    Column("actor", Text),
    Column("resource", Text),
    Column("correlation", Text, index=True),
    Column("tenant", Text),
    Index("ix_audit_tenant", "tenant", "sequence"),
    Index("ix_audit_resource", "resource", "activity", "sequence"),
)
"""`acts` and `acts_digest` are the head of the log of acts when the entry was written.

The columns after `signature` repeat parts of the event, for searching. The event is authoritative."""


CHECKPOINTS: Final = Table(
    "checkpoints",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", DIGEST, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("before", UtcTime, nullable=False),
    Column("latest", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""`sequence` and `digest` belong to the last removed entry. `latest` is the latest time of the removed entries; all of them are
older than `before`."""


IDENTITY: Final = Table("identity", METADATA, Column("ledger", String(32), primary_key=True))
"""One row."""


LEASES: Final = Table(
    "leases",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("run_id", String(64)),
    Column("host", Text),
    Column("machine", Text),
    Column("pid", BigInteger),
    Column("born", BigInteger),
    Column("since", UtcTime),
    Column("beat", BigInteger, nullable=False),
    Column("beat_at", UtcTime),
)
"""`token` grows each time the lease is taken, and is never used again: a run with an older token no longer holds the lease.

run_id   None if no run holds it
machine  the boot and the process namespace of the holder: pids mean something only within them
born     start time of the process in ticks: a pid is used again, pid and start time together are not
beat     grows while the holder is alive
"""


OUTPUTS: Final = Table(
    "outputs",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("host", Text, nullable=False),
)
"""The last known location of each output."""


RUNS: Final = Table(
    "runs",
    METADATA,
    Column("output", String(32), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("dates", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("finished", UtcTime, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("gated", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("suppressed", BigInteger, nullable=False),
    Column("deduplicated", BigInteger, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Index("ix_runs_run_id", "run_id"),
    Index("ix_runs_finished", "finished"),
)


READS: Final = Table(
    "reads",
    METADATA,
    Column("id", ROW_NUMBER, primary_key=True),
    Column("read", String(36), nullable=False),
    Column("state", String(8), nullable=False),
    Column("event", Text, nullable=False),
    Column("process", Text, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    UniqueConstraint("read", "state"),
)
"""`state` is begun or ended. `event` is the audit event of a read that never ended, as JSON."""


APPEND_ONLY: Final = (CHECKPOINTS, IDENTITY, READS)
"""Tables whose rows are never changed or removed. The acts and the audit log have conditions of their own."""


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
            yield Trigger(f"{table.name}_no_{change.lower()}", table.name, change, f"{table.name} are append-only")


_KEEPS_ITS_CONTENT: Final = " AND ".join(
    f"coalesce(CAST(OLD.{column.name} AS TEXT), '') = coalesce(CAST(NEW.{column.name} AS TEXT), '')"
    for column in ACTS.c
    if column.name != "body"
)
_HAS_TOMBSTONE: Final = "EXISTS (SELECT 1 FROM acts WHERE kind = 'tombstone' AND key = CAST(OLD.id AS TEXT))"
TRIGGERS: Final = (
    Trigger(
        "acts_no_update",
        "acts",
        "UPDATE",
        "acts are append-only",
        f"NOT (NEW.body IS NULL AND {_KEEPS_ITS_CONTENT} AND {_HAS_TOMBSTONE})",
    ),
    Trigger("acts_no_delete", "acts", "DELETE", "acts are append-only"),
    Trigger(
        "acts_no_gap",
        "acts",
        "INSERT",
        "acts have no gaps",
        "NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM acts)",
    ),
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
    *_append_only_triggers(),
)
_SQLITE_TIMES: Final = {"old_time": "OLD.time", "year_ago": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-365 days')"}
_POSTGRES_TIMES: Final = {
    "old_time": 'OLD.time COLLATE "C"',
    "year_ago": (
        "to_char((now() AT TIME ZONE 'UTC') - interval '365 days', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') COLLATE \"C\""
    ),
}


def trigger_statements(dialect: str) -> Iterator[str]:
    """The statements that create the triggers. Takes `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        yield from map(_sqlite_trigger, TRIGGERS)
        return
    refusals = {guard.table: guard.name for guard in TRIGGERS if not guard.condition}
    for guard in TRIGGERS:
        yield from _postgres_trigger(guard)
    for table, refusal in refusals.items():
        yield (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {refusal}()"
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


def _add_tenant_of_entries(connection: Connection) -> None:
    """Adds the tenant of an audit entry. Older entries name none."""
    connection.exec_driver_sql("ALTER TABLE audit ADD COLUMN tenant TEXT")
    connection.exec_driver_sql("CREATE INDEX ix_audit_tenant ON audit (tenant, sequence)")


STEPS: Final[tuple[MigrationStep, ...]] = (_add_tenant_of_entries,)
"""Step number n upgrades a ledger of version `BASELINE_VERSION` + n to the next one, in the caller's transaction."""
BASELINE_VERSION: Final = 3
"""The oldest version that can be upgraded. Versions 1 and 2 were never released."""
NEWEST_VERSION: Final = BASELINE_VERSION + len(STEPS)
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
    if EMPTY_VERSION < version < BASELINE_VERSION:
        hint = "Pass another file. `minimize runs --rebuild` adds the receipts of an output to a new ledger."
        raise LedgerError(f"the ledger {place} was written by an unreleased version of minimize", hint=hint)
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
        connection.execute(VERSION_TABLE.insert().values(version=BASELINE_VERSION + len(steps)))
    elif version is not None:
        for step in steps[version - BASELINE_VERSION :]:
            step(connection)
        connection.execute(VERSION_TABLE.update().values(version=BASELINE_VERSION + len(steps)))


@cache  # the same for every ledger of a process; compiling takes longer than executing
def _create_statements(dialect: str) -> tuple[str, ...]:
    return tuple(_compile_schema(registry.load(dialect)()))


def _compile_schema(dialect: Dialect) -> Iterator[str]:
    for table in (*METADATA.sorted_tables, VERSION_TABLE):
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect))
    yield from trigger_statements(dialect.name)
