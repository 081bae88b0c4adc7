"""Statements, rows and transactions, on each database."""

from __future__ import annotations

import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from functools import partial
from typing import Any

import pytest

from minimize.errors import LedgerError
from minimize.ledger import Address
from minimize.ledger.database import MOST_CONNECTIONS, Connection, Database, ledger_database, like_pattern
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import NOW, by_hand

OUTPUTS = [{"output": name, "pipeline": "p", "folder": f"/{name}", "host": "h"} for name in ("a", "b", "c")]


@pytest.fixture(name="filled")
def _filled(ledger: Ledger) -> Ledger:
    """A ledger with three outputs."""
    ledger.write(lambda connection: connection.insert("outputs", *OUTPUTS))
    return ledger


@pytest.mark.parametrize(
    ("names", "found", "others"),
    [
        (["a", "c"], ["a", "c"], ["b"]),
        ({"b"}, ["b"], ["a", "c"]),
        ((), [], ["a", "b", "c"]),
        (["x') OR ('1' = '1"], [], ["a", "b", "c"]),
    ],
)
def test_a_collection_is_the_right_side_of_in(
    filled: Ledger, names: Collection[str], found: list[str], others: list[str]
) -> None:
    query = "SELECT output FROM outputs WHERE output {} :names ORDER BY output"
    assert filled.read(lambda connection: connection.column(query.format("IN"), names=names)) == found
    assert filled.read(lambda connection: connection.column(query.format("NOT IN"), names=names)) == others


def test_parameters_are_given_by_position_because_many_names_take_quadratic_time(filled: Ledger) -> None:
    names = [*map(str, range(20_000)), "b"]
    query = "SELECT output FROM outputs WHERE host = :host AND output IN :names AND pipeline = :pipeline"
    found = filled.read(lambda connection: connection.column(query, pipeline="p", names=names, host="h"))
    assert found == ["b"]


def test_rows_are_found_as_they_were_inserted(filled: Ledger) -> None:
    assert filled.read(lambda connection: connection.rows("SELECT * FROM outputs ORDER BY output")) == OUTPUTS
    query = "SELECT * FROM outputs WHERE output = :output"
    assert filled.read(lambda connection: connection.row(query, output="b")) == OUTPUTS[1]
    assert filled.read(lambda connection: connection.row(query, output="x")) is None
    assert filled.read(lambda connection: connection.value("SELECT count(*) FROM outputs")) == 3


def test_the_number_of_changed_rows_is_returned(filled: Ledger) -> None:
    change = "UPDATE outputs SET host = :host WHERE output <> :output"
    assert filled.write(lambda connection: connection.execute(change, host="other", output="a")) == 2


def test_a_time_is_stored_as_text_of_fixed_width_in_utc(ledger: Ledger, address: Address) -> None:
    time = NOW.astimezone(timezone(timedelta(hours=2)))
    ledger.write(lambda connection: connection.insert("leases", {"output": "a", "token": 1, "beat": 0, "since": time}))
    assert by_hand(address, "SELECT since FROM leases") == [("2026-11-25T00:00:00.000000Z",)]
    row = ledger.read(lambda connection: connection.row("SELECT since, beat_at FROM leases WHERE since = :at", at=NOW))
    assert row == {"since": NOW, "beat_at": None}


@pytest.mark.parametrize("text", ["2026-11-25", "2026-11-25T02:00:00+02:00", "2026-11-31T00:00:00.000000Z"])
def test_another_text_of_a_time_is_refused(ledger: Ledger, address: Address, text: str) -> None:
    by_hand(address, f"INSERT INTO leases (output, token, beat, since) VALUES ('a', 1, 0, '{text}')")
    with pytest.raises(LedgerError, match="contains a time that cannot be read"):
        ledger.read(lambda connection: connection.rows("SELECT since FROM leases"))


def test_a_pattern_has_no_wildcards_but_its_own(filled: Ledger) -> None:
    query = "SELECT count(*) FROM outputs WHERE folder LIKE :pattern ESCAPE '/'"
    for text, count in (("/", 3), ("_", 0), ("%", 0), ("/a", 1)):
        pattern = f"{like_pattern(text)}%"
        assert filled.read(partial(Connection.value, statement=query, pattern=pattern)) == count


def test_a_transaction_that_raises_is_undone(filled: Ledger) -> None:
    def fails(connection: Connection) -> None:
        connection.execute("DELETE FROM outputs")
        raise InterruptedError

    with pytest.raises(InterruptedError):
        filled.write(fails)
    assert filled.read(lambda connection: connection.value("SELECT count(*) FROM outputs")) == 3


def counted(address: Address) -> tuple[Database, list[Any]]:
    """A database, and the connections that it makes."""
    database, made = ledger_database(address, 5.0), list[Any]()
    connect = database._connect

    def connect_counted() -> Any:
        made.append(connect())
        return made[-1]

    database._connect = connect_counted
    return database, made


def select_one(database: Database, barrier: threading.Barrier | None = None) -> None:
    with database.transaction(writes=False) as connection:
        assert connection.value("SELECT 1") == 1
        if barrier is not None:
            barrier.wait(timeout=10)
        connection.execute("COMMIT")


@pytest.mark.usefixtures("ledger")
def test_a_connection_is_used_again_unless_it_was_closed(address: Address) -> None:
    database, made = counted(address)
    for _ in range(3):
        select_one(database)
    assert len(made) == 1
    made[0].close()
    select_one(database)
    assert len(made) == 2
    database.close()


@pytest.mark.usefixtures("ledger")
def test_a_process_has_a_limited_number_of_connections(address: Address) -> None:
    database, made = counted(address)
    barrier = threading.Barrier(MOST_CONNECTIONS)
    with ThreadPoolExecutor(2 * MOST_CONNECTIONS) as pool:
        list(pool.map(lambda _: select_one(database, barrier), range(2 * MOST_CONNECTIONS)))
    assert len(made) == MOST_CONNECTIONS
    database.close()
