"""Schema of the ledger: tables, triggers that keep them append-only, the schema version, migration steps, and changes by others.

A new ledger is created at the newest version, from the tables and the triggers. An older one is upgraded by the steps after its
version. To change the schema, change the tables and append a step to `STEPS` that makes the same change.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Final, NamedTuple

from minimize.errors import LedgerError
from minimize.ledger.acts import Act
from minimize.ledger.database import Address, Connection, Dialect

TABLES: Final = """
CREATE TABLE acts (
    id {row_number} NOT NULL,
    kind VARCHAR(24) NOT NULL,
    key {ordered_text} NOT NULL,
    tenant_id TEXT,
    subject TEXT,
    valid_from VARCHAR(27),
    recorded_at VARCHAR(27) NOT NULL,
    actor TEXT NOT NULL,
    body TEXT,
    body_digest VARCHAR(71) NOT NULL,
    previous VARCHAR(71),
    signing_key TEXT NOT NULL,
    signature TEXT NOT NULL,
    CONSTRAINT pk_acts PRIMARY KEY (id)
);
CREATE INDEX ix_acts_key ON acts (kind, key);
CREATE INDEX ix_acts_kind ON acts (kind, id);
CREATE INDEX ix_acts_tenant_id ON acts (tenant_id, kind, key);
CREATE TABLE audit (
    sequence BIGINT NOT NULL,
    previous VARCHAR(71),
    digest VARCHAR(71) NOT NULL,
    event TEXT NOT NULL,
    acts BIGINT NOT NULL,
    acts_digest VARCHAR(71),
    key TEXT NOT NULL,
    signature TEXT NOT NULL,
    time VARCHAR(27) NOT NULL,
    activity TEXT NOT NULL,
    operation TEXT NOT NULL,
    result VARCHAR(16) NOT NULL,
    actor TEXT,
    resource TEXT,
    correlation TEXT,
    tenant TEXT,
    CONSTRAINT pk_audit PRIMARY KEY (sequence),
    CONSTRAINT uq_audit_digest UNIQUE (digest)
);
CREATE INDEX ix_audit_correlation ON audit (correlation);
CREATE INDEX ix_audit_resource ON audit (resource, activity, sequence);
CREATE INDEX ix_audit_tenant ON audit (tenant, sequence);
CREATE INDEX ix_audit_time ON audit (time);
CREATE TABLE checkpoints (
    sequence BIGINT NOT NULL,
    digest VARCHAR(71) NOT NULL,
    entries BIGINT NOT NULL,
    before VARCHAR(27) NOT NULL,
    latest VARCHAR(27) NOT NULL,
    recorded_at VARCHAR(27) NOT NULL,
    key TEXT NOT NULL,
    signature TEXT NOT NULL,
    CONSTRAINT pk_checkpoints PRIMARY KEY (sequence)
);
CREATE TABLE identity (
    ledger VARCHAR(32) NOT NULL,
    CONSTRAINT pk_identity PRIMARY KEY (ledger)
);
CREATE TABLE leases (
    output VARCHAR(32) NOT NULL,
    token BIGINT NOT NULL,
    run_id VARCHAR(64),
    host TEXT,
    machine TEXT,
    pid BIGINT,
    born BIGINT,
    since VARCHAR(27),
    beat BIGINT NOT NULL,
    beat_at VARCHAR(27),
    CONSTRAINT pk_leases PRIMARY KEY (output)
);
CREATE TABLE outputs (
    output VARCHAR(32) NOT NULL,
    pipeline TEXT NOT NULL,
    folder TEXT NOT NULL,
    host TEXT NOT NULL,
    CONSTRAINT pk_outputs PRIMARY KEY (output)
);
CREATE TABLE reads (
    id {serial_number} NOT NULL,
    read VARCHAR(36) NOT NULL,
    state VARCHAR(8) NOT NULL,
    event TEXT NOT NULL,
    process TEXT NOT NULL,
    recorded_at VARCHAR(27) NOT NULL,
    CONSTRAINT pk_reads PRIMARY KEY (id),
    CONSTRAINT uq_reads_read UNIQUE (read, state)
);
CREATE TABLE runs (
    output VARCHAR(32) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    sequence BIGINT NOT NULL,
    kind VARCHAR(16) NOT NULL,
    pipeline TEXT NOT NULL,
    purpose TEXT NOT NULL,
    engine TEXT NOT NULL,
    dates TEXT NOT NULL,
    at VARCHAR(27) NOT NULL,
    started VARCHAR(27) NOT NULL,
    finished VARCHAR(27) NOT NULL,
    read BIGINT NOT NULL,
    written BIGINT NOT NULL,
    gated BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    suppressed BIGINT NOT NULL,
    deduplicated BIGINT NOT NULL,
    digest VARCHAR(71) NOT NULL,
    CONSTRAINT pk_runs PRIMARY KEY (output, run_id)
);
CREATE TABLE releases (
    output VARCHAR(32) NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    source TEXT NOT NULL,
    date VARCHAR(10) NOT NULL,
    mark VARCHAR(32) NOT NULL,
    CONSTRAINT pk_releases PRIMARY KEY (output, run_id, source, date, mark)
);
CREATE INDEX ix_releases_source ON releases (source);
CREATE INDEX ix_runs_finished ON runs (finished);
CREATE INDEX ix_runs_run_id ON runs (run_id);
CREATE TABLE ledger_version (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
)
"""
"""The tables. A text of 27 characters is a time (see `TIME_COLUMNS`), one of 71 is `sha256:` and 64 hexadecimal digits.

acts         See `acts.Act`. A body can be removed, and is then null.
audit        `acts` and `acts_digest` are the head of the log of acts when the entry was written. The columns after `signature`
             repeat parts of the event, for searching. The event is authoritative.
checkpoints  `sequence` and `digest` belong to the last removed entry. `latest` is the latest time of the removed entries; all
             of them are older than `before`.
identity     One row.
leases       `token` grows each time the lease is taken, and is never used again: a run with an older token no longer holds the
             lease. `run_id` is null if no run holds it. `machine` is the boot and the process namespace of the holder: pids mean
             something only within them. `born` is the start time of the process in ticks: a pid is used again, pid and start
             time together are not. `beat` grows while the holder is alive.
outputs      The last known location of each output.
releases     The releases of dates, for other outputs of the same source. The date of a source without dates is empty.
reads        `state` is begun or ended. `event` is the audit event of a read that never ended, as JSON.
"""
_TYPES: Final[Mapping[Dialect, Mapping[str, str]]] = {
    "sqlite": {"row_number": "INTEGER", "serial_number": "INTEGER", "ordered_text": "TEXT"},
    "postgresql": {"row_number": "BIGINT", "serial_number": "BIGSERIAL", "ordered_text": 'TEXT COLLATE "C"'},
}
"""The numbers by which SQLite stores the rows of a table: another type would need an index of its own. Text that is compared by
its code points on every database."""


APPEND_ONLY: Final = ("checkpoints", "identity", "reads")
"""Tables whose rows are never changed or removed. The acts and the audit log have conditions of their own."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger."""

    name: str
    table: str
    change: str
    """The refused operation: INSERT, UPDATE or DELETE."""
    message: str
    condition: str = ""
    """The condition of the refusal, over OLD, NEW and `{year_ago}`; empty to refuse always."""


def _append_only_triggers() -> Iterator[Trigger]:
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            yield Trigger(f"{table}_no_{change.lower()}", table, change, f"{table} are append-only")


_KEEPS_ITS_CONTENT: Final = " AND ".join(
    f"coalesce(CAST(OLD.{column.name} AS TEXT), '') = coalesce(CAST(NEW.{column.name} AS TEXT), '')"
    for column in fields(Act)
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


def trigger_statements(dialect: Dialect) -> Iterator[str]:
    """The statements that create the triggers."""
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


SCHEMA_HINT: Final = (
    "Find out who changed the database. Undo the change, or restore a backup: `sqlite3 FILE .schema` on a new ledger prints"
    " the tables, indexes and triggers that minimize creates."
)
_SQLITE_OBJECTS: Final = (
    "SELECT type || ' ' || name, sql FROM sqlite_master"
    " WHERE sql IS NOT NULL AND NOT (type = 'table' AND name IN ('sqlite_stat1', 'sqlite_stat4'))"
)
"""Without the indexes that constraints create, which the text of their table defines, and without the results of ANALYZE."""
_POSTGRES_OBJECTS: Final = """
SELECT 'trigger ' || tgname,
    CASE WHEN tgenabled IN ('O', 'A') THEN pg_get_triggerdef(pg_trigger.oid, true) || prosrc ELSE 'disabled' END
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_proc ON pg_proc.oid = tgfoid
WHERE NOT tgisinternal AND relname IN :tables AND pg_table_is_visible(pg_class.oid)
UNION ALL
SELECT 'rule ' || rulename, '' FROM pg_rewrite JOIN pg_class ON pg_class.oid = ev_class
WHERE relname IN :tables AND pg_table_is_visible(pg_class.oid)
"""


class SchemaDifference(NamedTuple):
    """A table, index, trigger, view or rule that differs from what minimize creates."""

    name: str
    change: str

    @property
    def prevents_reading(self) -> bool:
        """Whether a table of the ledger is missing or has other columns."""
        return self.name.startswith("table ") and self.change != "was added"

    def __str__(self) -> str:
        return f"the {self.name} {self.change}"


def schema_differences(connection: Connection) -> list[SchemaDifference]:
    """How the tables, indexes and triggers of the database differ from those that minimize creates.

    On PostgreSQL, the triggers and rules of the ledger's tables are compared, with the functions that they call.
    """
    created = _created_objects(connection.dialect)
    if connection.dialect == "sqlite":
        rows = connection.tuples(_SQLITE_OBJECTS)
    else:
        rows = connection.tuples(_POSTGRES_OBJECTS, tables=re.findall(r"CREATE TABLE (\w+)", TABLES))
    existing = {name: _comparable_statement(statement) for name, statement in rows}
    differences = [
        SchemaDifference(name, "was changed" if name in existing else "is missing")
        for name, statement in created.items()
        if existing.get(name) != statement
    ]
    return differences + [SchemaDifference(name, "was added") for name in existing if name not in created]


def is_damaged(connection: Connection) -> bool:
    """Whether the file of a ledger is damaged. A server checks its files itself."""
    return connection.dialect == "sqlite" and connection.value("PRAGMA integrity_check(1)") != "ok"


@cache
def _created_objects(dialect: Dialect) -> dict[str, list[str]]:
    """The statement that creates each table, index and trigger."""
    statements = [*TABLES.format(**_TYPES[dialect]).split(";"), *trigger_statements(dialect)]
    if dialect == "postgresql":
        bodies = {
            match[1]: match[2] for match in re.finditer(r"FUNCTION (\w+)\(\) .*\$\$(.*)\$\$", "\n".join(statements))
        }
        triggers = [each for each in statements if each.startswith("CREATE TRIGGER")]
        statements = [each + bodies[each.removesuffix("()").rpartition(" ")[2]] for each in triggers]
    words = [(statement, statement.split()) for statement in statements]
    return {f"{kind.lower()} {name}": _comparable_statement(statement) for statement, (_, kind, name, *_) in words}


def _comparable_statement(statement: str) -> list[str]:
    """The parts of a statement. Those of a table are sorted: a migration appends a column after the constraints."""
    text = re.sub(r"(?<=\() | (?=\))", "", " ".join(statement.split()))
    if not text.startswith("CREATE TABLE "):
        return [text]
    head, _, body = text.partition("(")
    definitions, _, options = body.rpartition(")")
    return [head.strip(), options, *sorted(re.split(r", ?(?![^()]*\))", definitions))]


def ledger_identity(connection: Connection) -> str:
    """The identity of a ledger."""
    return str(connection.value("SELECT ledger FROM identity"))


MigrationStep = Callable[[Connection], None]


def _add_tenant_of_entries(connection: Connection) -> None:
    """Adds the tenant of an audit entry. Older entries name none."""
    connection.execute("ALTER TABLE audit ADD COLUMN tenant TEXT")
    connection.execute("CREATE INDEX ix_audit_tenant ON audit (tenant, sequence)")


def _add_releases(connection: Connection) -> None:
    """Adds the index of releases. Earlier runs had none."""
    connection.execute(
        "CREATE TABLE releases (output VARCHAR(32) NOT NULL, run_id VARCHAR(64) NOT NULL, source TEXT NOT NULL,"
        " date VARCHAR(10) NOT NULL, mark VARCHAR(32) NOT NULL,"
        " CONSTRAINT pk_releases PRIMARY KEY (output, run_id, source, date, mark))"
    )
    connection.execute("CREATE INDEX ix_releases_source ON releases (source)")


STEPS: Final[tuple[MigrationStep, ...]] = (_add_tenant_of_entries, _add_releases)
"""Step number n upgrades a ledger of version `BASELINE_VERSION` + n to the next one, in the caller's transaction."""
BASELINE_VERSION: Final = 3
"""The oldest version that can be upgraded. Versions 1 and 2 were never released."""
NEWEST_VERSION: Final = BASELINE_VERSION + len(STEPS)
FIRST_VERSION: Final = 1
EMPTY_VERSION: Final = 0
"""The version of an empty database."""


def schema_version(connection: Connection) -> int | None:
    """The version of a ledger. `EMPTY_VERSION` if the database is empty, None if it contains something else.

    The first ledgers did not state their version; the name of one of their tables shows it.
    """
    tables = connection.table_names()
    if "ledger_version" not in tables and {"alembic_version", "audit", "leases"} <= {*tables}:
        return FIRST_VERSION
    if "ledger_version" not in tables:
        return None if tables and connection.dialect == "sqlite" else EMPTY_VERSION
    return connection.value("SELECT version FROM ledger_version") or EMPTY_VERSION


def is_current(version: int | None, place: str) -> bool:
    """Whether a ledger of this version needs no upgrade. Raises LedgerError if it is too new, or not a ledger."""
    if version is None:
        raise LedgerError(f"{place} is a database, but not a ledger", hint="Pass another file.")
    if EMPTY_VERSION < version < BASELINE_VERSION:
        hint = (
            "Keep it, and pass another file, which is created. Record the erasures and settings of the old ledger again with"
            " `minimize events add` and `settings set`, then run `minimize runs adopt-ledger OUTPUT --reason TEXT`."
        )
        raise LedgerError(
            f"the ledger {place} is of an older version of minimize (ledger version {version}), which cannot be upgraded",
            hint=hint,
        )
    if version > NEWEST_VERSION:
        hint = "Update minimize. A ledger cannot be downgraded."
        raise LedgerError(f"the ledger {place} was written by a newer version of minimize", hint=hint)
    return version == NEWEST_VERSION


def upgrade_schema(connection: Connection, steps: tuple[MigrationStep, ...] | None = None) -> None:
    """Creates the ledger in an empty database, or upgrades an older one, in the connection's transaction."""
    steps = STEPS if steps is None else steps
    version, newest = schema_version(connection), BASELINE_VERSION + len(steps)
    if version == EMPTY_VERSION:
        tables = TABLES.format(**_TYPES[connection.dialect]).split(";")
        for statement in (*tables, *trigger_statements(connection.dialect)):
            connection.execute(statement)
        connection.insert("identity", {"ledger": secrets.token_hex(16)})
        connection.insert("ledger_version", {"version": newest})
    elif version is not None:
        for step in steps[version - BASELINE_VERSION :]:
            step(connection)
        connection.execute("UPDATE ledger_version SET version = :version", version=newest)


ReceiptRowCounts = dict[str, int]
"""Number of rows by table."""


def check_migration(connection: Connection, before: ReceiptRowCounts, address: Address) -> None:
    """Raises LedgerError if a migration lost rows of a file, or damaged it. Its transaction is then undone."""
    now = count_rows(connection)
    faults = [f"rows of {table} were lost" for table, count in before.items() if now.get(table, count) < count]
    if is_damaged(connection):
        faults.append("the database is damaged")
    if faults:
        message = f"the ledger {address} failed verification after its migration: {', '.join(faults)}"
        raise LedgerError(message, hint="The migration was undone. Use the version of minimize that wrote the ledger.")


def count_rows(connection: Connection) -> ReceiptRowCounts:
    """The number of rows of each table."""
    names = {name: name.replace('"', '""') for name in connection.table_names()}
    return {name: connection.value(f'SELECT count(*) FROM "{quoted}"') for name, quoted in names.items()}  # noqa: S608
