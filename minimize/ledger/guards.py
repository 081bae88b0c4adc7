"""Triggers that make the database refuse changes to what is append-only, generated for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

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
class Guard:
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


def _append_only() -> Iterator[Guard]:
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            yield Guard(f"{table}_no_{change.lower()}", table, change, f"{table} are append-only")


AUDIT_GUARDS: Final = (
    Guard("audit_no_update", "audit", "UPDATE", "the audit log is append-only"),
    Guard(
        "audit_no_delete",
        "audit",
        "DELETE",
        "the audit log is append-only",
        "OLD.sequence > (SELECT coalesce(max(sequence), 0) FROM checkpoints) OR {old_time} >= {year_ago}",
    ),
    Guard(
        "audit_no_gap",
        "audit",
        "INSERT",
        "the audit log has no gaps",
        "NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit)",
    ),
    Guard(
        "checkpoints_name_entries",
        "checkpoints",
        "INSERT",
        "a checkpoint names an entry that is there",
        "NOT EXISTS (SELECT 1 FROM audit WHERE sequence = NEW.sequence AND digest = NEW.digest)",
    ),
)
GUARDS: Final = (*AUDIT_GUARDS, *_append_only())
_SQLITE_TIMES: Final = {"old_time": "OLD.time", "year_ago": "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-365 days')"}
_POSTGRES_TIMES: Final = {
    "old_time": 'OLD.time COLLATE "C"',
    "year_ago": (
        "to_char((now() AT TIME ZONE 'UTC') - interval '365 days', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') COLLATE \"C\""
    ),
}


def guard_statements(dialect: str, tables: Collection[str] = ("audit", *APPEND_ONLY)) -> Iterator[str]:
    """The statements that create the triggers of some tables, by default of all. Takes `sqlite` or `postgresql`."""
    guards = [guard for guard in GUARDS if guard.table in tables]
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


def _sqlite_trigger(guard: Guard) -> str:
    when = f" WHEN {guard.condition.format(**_SQLITE_TIMES)}" if guard.condition else ""
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.change} ON {guard.table}{when}"
        f" BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"
    )


def _postgres_trigger(guard: Guard) -> Iterator[str]:
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
