"""The schema of the ledger: a new one is created at the newest version, an older one is upgraded step by step.

The database itself refuses to change or remove what was recorded.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.access_log import begin_read
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.database import Connection, ledger_database
from minimize.ledger.kinds import API_TOKEN, ApiToken
from minimize.ledger.ledger import Ledger
from minimize.ledger.schema import (
    APPEND_ONLY,
    BASELINE_VERSION,
    EMPTY_VERSION,
    NEWEST_VERSION,
    STEPS,
    TABLES,
    TRIGGERS,
    schema_version,
    upgrade_schema,
)
from minimize.times import utc_now
from tests.acts import record_acts
from tests.ledger.ledgers import NOW, by_hand, event, opened

GUARDED = ("acts", "audit", *APPEND_ONLY)
COLUMNS = {
    name: re.findall(r"^ {4}([a-z]\w*) ", body, re.MULTILINE)
    for name, body in re.findall(r"CREATE TABLE (\w+) \(\n(.*?)\n\)", TABLES, re.DOTALL)
}


def tables(connection: Connection) -> set[str]:
    return set(connection.table_names())


def add_color(connection: Connection) -> None:
    """A step as a later version would have one."""
    connection.execute("ALTER TABLE runs ADD COLUMN color TEXT")


def columns(connection: Connection) -> set[str]:
    return {each[0] for each in connection.driver.execute("SELECT * FROM runs").description}


def empty(address: Address) -> Ledger:
    """A ledger whose database has no table yet."""
    opened(address).close()
    if address.path is not None:
        found = by_hand(address, "SELECT 'DROP TABLE ' || name FROM sqlite_master WHERE type = 'table'")
        by_hand(address, *(statement for (statement,) in found))
    else:
        by_hand(address, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return Ledger(address, ledger_database(address, 2.0), 2.0)


def test_new_ledger_has_all_tables_at_newest_version(ledger: Ledger) -> None:
    assert ledger.read(tables) == set(COLUMNS)
    assert ledger.read(schema_version) == NEWEST_VERSION == BASELINE_VERSION + len(STEPS)


def test_older_ledger_runs_only_the_steps_after_its_version(ledger: Ledger) -> None:
    def fails(connection: Connection) -> None:
        raise AssertionError("this step was done before")

    older = tuple(fails for _ in STEPS)
    ledger.write(partial(upgrade_schema, steps=(*older, add_color)))
    assert ledger.read(schema_version) == NEWEST_VERSION + 1
    assert "color" in ledger.read(columns)


def test_upgrade_of_current_ledger_changes_nothing(ledger: Ledger) -> None:
    before = ledger.read(columns)
    ledger.write(upgrade_schema)
    assert (ledger.read(columns), ledger.read(schema_version)) == (before, NEWEST_VERSION)


def test_failed_step_leaves_ledger_as_it_was(ledger: Ledger) -> None:
    def stops(connection: Connection) -> None:
        add_color(connection)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ledger.write(partial(upgrade_schema, steps=(*STEPS, stops)))
    assert "color" not in ledger.read(columns)
    assert ledger.read(schema_version) == NEWEST_VERSION


def test_interrupted_creation_leaves_database_empty(address: Address) -> None:
    def stops(connection: Connection) -> None:
        upgrade_schema(connection)
        raise InterruptedError

    with empty(address) as ledger:
        with pytest.raises(InterruptedError):
            ledger.write(stops)
        assert ledger.read(tables) == set()
        assert ledger.read(schema_version) == EMPTY_VERSION
        ledger.write(upgrade_schema)
        assert ledger.read(schema_version) == NEWEST_VERSION


def test_a_ledger_of_an_unreleased_version_is_refused(address: Address) -> None:
    opened(address).close()
    by_hand(address, f"UPDATE ledger_version SET version = {BASELINE_VERSION - 1}")
    with pytest.raises(LedgerError, match="of an older version of minimize"):
        opened(address)


def test_a_ledger_that_does_not_state_its_version_is_named_as_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("alembic_version", "audit", "leases", "events"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER)")
    with pytest.raises(LedgerError, match="of an older version of minimize") as caught:
        opened(Address(path))
    assert "minimize events add" in str(caught.value.hint)


def test_entries_of_an_older_ledger_name_no_tenant_and_later_ones_do(address: Address, keys: Keyring) -> None:
    with opened(address) as ledger:
        ledger.record_event(event(), keys)
    older = ("DROP INDEX ix_audit_tenant", "ALTER TABLE audit DROP COLUMN tenant", "DROP TABLE releases")
    by_hand(address, *older, f"UPDATE ledger_version SET version = {BASELINE_VERSION}")
    with opened(address) as ledger:
        ledger.record_event(replace(event(), tenant="north"), keys)
        assert ledger.read(schema_version) == NEWEST_VERSION
        assert [entry.sequence for entry in find_entries(ledger, EntryFilter(tenant="north"))] == [2]
        assert [entry.sequence for entry in find_entries(ledger, EntryFilter())] == [1, 2]


@pytest.fixture(name="filled")
def _filled(ledger: Ledger, keys: Keyring, address: Address) -> Ledger:
    """A ledger with two rows in each table that is guarded, and one of the identity. Entries of the audit log are new."""
    for number in (1, 2):
        token = ApiToken(f"t{number}", "ann", False, "", NOW, NOW)
        recent = event(number, time=utc_now())
        record_acts(ledger, keys, API_TOKEN, token, event=recent)
        begin_read(ledger, recent, NOW)
    copied = "sequence, digest, 1, time, time, time, key, signature"
    by_hand(address, f"INSERT INTO checkpoints SELECT {copied} FROM audit")
    return ledger


def everything(address: Address) -> list[list[tuple[object, ...]]]:
    return [by_hand(address, f"SELECT * FROM {table}") for table in GUARDED]


def refuses(address: Address, *statements: str) -> None:
    before = everything(address)
    for statement in statements:
        with pytest.raises(Exception, match=r"append-only|no gaps"):
            by_hand(address, statement)
    assert everything(address) == before


def test_the_triggers_are_there(ledger: Ledger, address: Address) -> None:
    names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if address.path is None:
        names = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname NOT LIKE '%_truncate'"
    assert sorted(by_hand(address, names)) == sorted((trigger.name,) for trigger in TRIGGERS)
    assert set(COLUMNS) - set(GUARDED) == {"leases", "ledger_version", "outputs", "releases", "runs"}


@pytest.mark.parametrize("table", GUARDED)
def test_rows_cannot_be_changed_or_removed(filled: Ledger, address: Address, table: str) -> None:
    column = COLUMNS[table][0]
    refuses(address, f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}")
    if address.path is None:
        refuses(address, f"TRUNCATE {table}")


@pytest.mark.parametrize("table", ["acts", "audit"])
@pytest.mark.parametrize("number", [1, 2, 4, 0, -1])
def test_logs_have_no_gaps(filled: Ledger, address: Address, table: str, number: int) -> None:
    _, *others = COLUMNS[table]
    unique = {"previous": "'a'", "digest": "'b'"}
    values = ", ".join(unique.get(each, each) for each in others)
    row = f"INTO {table} SELECT {number}, {values} FROM {table} LIMIT 1"
    refuses(address, f"INSERT {row}", *([] if address.path is None else [f"INSERT OR REPLACE {row}"]))


def test_a_body_is_not_removed_without_a_tombstone(filled: Ledger, address: Address) -> None:
    refuses(address, "UPDATE acts SET body = NULL", "UPDATE acts SET body = NULL WHERE id = 1")


def add_tombstone(address: Address) -> None:
    columns = "NULL, NULL, NULL, recorded_at, actor, '{}', body_digest, 'x', signing_key, signature"
    by_hand(address, f"INSERT INTO acts SELECT 3, 'tombstone', '2', {columns} FROM acts WHERE id = 1")


def test_a_tombstone_permits_the_removal_of_one_body(filled: Ledger, address: Address) -> None:
    add_tombstone(address)
    refuses(address, "UPDATE acts SET body = NULL WHERE id = 1", "UPDATE acts SET body = NULL")
    by_hand(address, "UPDATE acts SET body = NULL WHERE id = 2")
    assert by_hand(address, "SELECT id FROM acts WHERE body IS NULL") == [(2,)]
    refuses(address, "UPDATE acts SET body = '{}' WHERE id = 2", "DELETE FROM acts WHERE id = 2")


@pytest.mark.parametrize("column", [each for each in COLUMNS["acts"] if each != "body"])
def test_a_tombstone_permits_no_other_change(filled: Ledger, address: Address, column: str) -> None:
    add_tombstone(address)
    value = 9 if column == "id" else "'x'"
    refuses(address, f"UPDATE acts SET body = NULL, {column} = {value} WHERE id = 2")
