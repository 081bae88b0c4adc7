"""Ledgers for tests: events, keys, and a database on which anything can be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from minimize.keys import Keyring
from minimize.ledger import Actor, Address, AuditEvent, PropertyChange, Resource, find_ledger
from minimize.ledger.audit_check import check_whole_log
from minimize.ledger.audit_event import LogHead
from minimize.ledger.audit_log import append_event
from minimize.ledger.ledger import Ledger, open_ledger

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ANN = Actor("user", application="a test", user="ann")


def event(number: int = 0, **changes: Any) -> AuditEvent:
    """An event; every number gives another."""
    told: dict[str, Any] = {
        "component": "tests",
        "actor": ANN,
        "activity": "settings",
        "operation": "set",
        "time": NOW + timedelta(seconds=number),
        "category": "configuration",
        "correlation_id": f"c{number}",
        "resources": (Resource("location", "feature", f"feature/{number}", (PropertyChange("value", "off", "on"),)),),
    }
    return AuditEvent(**told | changes)


def opened(address: Address, **options: Any) -> Ledger:
    return open_ledger(address, **{"create": True, "patience": 2.0} | options)


class UncheckedKeyring(Keyring):
    """The keyring of an attacker, who does not check what others signed."""

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        return True


def empty(folder: Path) -> None:
    """Makes an empty ledger in a folder."""
    opened(find_ledger(folder / "ledger.db")).close()


def tells(ledger: Ledger, keys: Keyring, *events: AuditEvent) -> LogHead:
    """Appends events, each in a transaction of its own; gives the head."""
    return [ledger.write(partial(append_event, event=each, signer=keys)) for each in events][-1]


def errors(ledger: Ledger, keys: Keyring) -> set[tuple[str, str | None]]:
    """The codes and places of the errors that a check of the whole ledger finds."""
    findings = check_whole_log(ledger, keys).findings
    return {(each.code, each.file) for each in findings if each.severity == "error"}


def by_hand(address: Address, *statements: str) -> list[tuple[Any, ...]]:
    """Runs statements past the ledger, as anyone with access to the database can. Returns the rows of the last one."""
    if address.path is not None:
        with closing(sqlite3.connect(address.path, isolation_level=None)) as connection:
            return [connection.execute(statement).fetchall() for statement in statements][-1]
    with psycopg.connect(address.url or "", autocommit=True) as server:
        results = [server.execute(statement.encode()) for statement in statements]
        return results[-1].fetchall() if results[-1].description else []


def unguarded(address: Address, *statements: str) -> None:
    """The same, without triggers, which are there again afterwards."""
    if address.path is None:
        by_hand(address, "SET session_replication_role = replica", *statements)
        return
    with without_guards(address):
        by_hand(address, *statements)


@contextmanager
def without_guards(address: Address) -> Iterator[None]:
    """Removes the triggers of acts and audit log, also for the ledger's own connections, and then puts them back."""
    if address.path is None:
        tables = ("acts", "audit")
        drop, create = ([f"ALTER TABLE {each} {how} TRIGGER USER" for each in tables] for how in ("DISABLE", "ENABLE"))
    else:
        query = "SELECT 'DROP TRIGGER ' || name, sql FROM sqlite_master WHERE type = 'trigger'"
        drop, create = map(list, zip(*by_hand(address, query), strict=True))
    by_hand(address, *drop)
    yield
    by_hand(address, *create)


def leave_out_of_indexes(address: Address, number: int, table: str = "acts") -> None:
    """Leaves an act, or an entry of the audit log, out of all indexes of its table, and gives these the definitions that
    they had."""
    key = {"acts": "id", "audit": "sequence"}[table]
    if address.path is None:
        by_hand(
            address,
            "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET enable_seqscan = off'; END $$",
        )
        query = f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}' AND indexname LIKE 'ix_%'"
        for name, definition in by_hand(address, query):
            by_hand(
                address,
                f"DROP INDEX {name}",
                f"{definition} WHERE {key} <> {number}",
                f"UPDATE pg_index SET indpred = NULL WHERE indexrelid = '{name}'::regclass",
            )
        return
    indexes = f"type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL"
    suffix = f" WHERE {key} <> {number}"
    statements = (
        f"UPDATE sqlite_master SET sql = sql || '{suffix}' WHERE {indexes}",
        f"UPDATE sqlite_master SET sql = replace(sql, '{suffix}', '') WHERE {indexes}",
    )
    for statement, rebuild in zip(statements, ("REINDEX", "SELECT 1"), strict=True):
        ((version,),) = by_hand(address, "PRAGMA schema_version")
        by_hand(address, "PRAGMA writable_schema = ON", statement, f"PRAGMA schema_version = {version + 1}")
        by_hand(address, rebuild)
