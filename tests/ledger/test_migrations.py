"""Schema of the ledger: a new one is created at the newest version, an older one is upgraded step by step."""

from __future__ import annotations

from functools import partial

import pytest
from minimize.ledger.migrations import (
    APPEND_ONLY,
    EMPTY_VERSION,
    NEWEST_VERSION,
    STEPS,
    VERSION_TABLE,
    schema_version,
    upgrade_schema,
)
from minimize.ledger.tables import METADATA
from sqlalchemy import Connection, inspect, text

from minimize.ledger import Address
from minimize.ledger.database import ledger_engine
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import by_hand, opened


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def triggers(connection: Connection) -> set[str]:
    names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if connection.dialect.name != "sqlite":
        names = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    return set(connection.execute(text(names)).scalars())


def add_color(connection: Connection) -> None:
    """A step as a later version would have one."""
    connection.execute(text("ALTER TABLE runs ADD COLUMN color TEXT"))


def columns(connection: Connection) -> set[str]:
    return {each["name"] for each in inspect(connection).get_columns("runs")}


def empty(address: Address) -> Ledger:
    """A ledger whose database has no table yet."""
    opened(address).close()
    if address.path is not None:
        names = "SELECT type || ' ' || name FROM sqlite_master WHERE sql IS NOT NULL AND type = 'table'"
        with opened(address) as ledger:
            found = ledger.read(lambda connection: [*connection.execute(text(names)).scalars()])
        by_hand(address, *(f"DROP {each}" for each in found))
    else:
        by_hand(address, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return Ledger(address, ledger_engine(address, 2.0), 2.0)


def test_new_ledger_has_all_tables_at_newest_version(ledger: Ledger) -> None:
    assert ledger.read(tables) == {*METADATA.tables, VERSION_TABLE.name}
    assert ledger.read(schema_version) == NEWEST_VERSION == 1 + len(STEPS)


def test_append_only_tables_are_guarded(ledger: Ledger) -> None:
    wanted = {f"{table}_no_{change}" for table in ("audit", *APPEND_ONLY) for change in ("update", "delete")}
    assert ledger.read(triggers) >= wanted | {"audit_no_gap", "checkpoints_name_entries"}
    assert set(APPEND_ONLY) == set(METADATA.tables) - {"audit", "leases", "outputs", "runs"}


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
