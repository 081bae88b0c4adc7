"""An upgrade of a ledger is one transaction: it is done whole, or not at all."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from minimize.errors import LedgerError
from minimize.keys import Keyring
from minimize.ledger import Address, find_ledger, schema
from minimize.ledger.audit_log import log_head
from minimize.ledger.database import Connection
from minimize.ledger.kinds import GRANT, GrantAct
from minimize.ledger.ledger import open_ledger
from minimize.ledger.schema import NEWEST_VERSION, STEPS, schema_version
from tests.acts import record_acts
from tests.faults.process import KILLED, kill_at
from tests.ledger.ledgers import NOW, by_hand, errors, event, opened, tells
from tests.postgres import Server

Step = Callable[[Connection], None]


def add_color(connection: Connection) -> None:
    """A step as a later version would have one. It fails if it is repeated."""
    connection.execute("ALTER TABLE runs ADD COLUMN color TEXT")


@pytest.fixture(name="older")
def _older(address: Address, keys: Keyring) -> Address:
    """A ledger with two entries."""
    with opened(address) as ledger:
        tells(ledger, keys, event(1), event(2))
    return address


def later(patch: pytest.MonkeyPatch, step: Step) -> None:
    """Lets the package be a later version, with one step more."""
    patch.setattr(schema, "NEWEST_VERSION", NEWEST_VERSION + 1)
    patch.setattr(schema, "STEPS", (*STEPS, step))


def is_whole(address: Address, keys: Keyring, version: int) -> bool:
    """Whether a ledger has this version and all its entries, and stands alone in its folder."""
    if address.path is not None:
        assert {name for name in os.listdir(address.path.parent) if name.startswith("ledger.db.")} == set()
    with open_ledger(address) as ledger:
        has_later_column = version > NEWEST_VERSION and address.path is not None
        assert errors(ledger, keys) == ({("H021", "schema")} if has_later_column else set())
        return (ledger.read(schema_version), ledger.read(log_head).sequence) == (version, 2)


def stops(connection: Connection) -> None:
    add_color(connection)
    raise InterruptedError


def loses(connection: Connection) -> None:
    drop = "DROP TRIGGER audit_no_delete" + ("" if connection.dialect == "sqlite" else " ON audit")
    connection.execute(drop)
    connection.execute("DELETE FROM audit")


@pytest.mark.parametrize(("step", "error"), [(stops, InterruptedError), (loses, LedgerError)])
def test_an_upgrade_that_fails_or_loses_rows_is_undone(
    older: Address, keys: Keyring, monkeypatch: pytest.MonkeyPatch, step: Step, error: type[Exception]
) -> None:
    with monkeypatch.context() as patch:
        later(patch, step)
        with pytest.raises(error):
            open_ledger(older)
    assert is_whole(older, keys, NEWEST_VERSION)


def upgrades(address: Address, point: str) -> None:
    """In a process of its own: upgrades, and is killed at a point."""
    with kill_at(point), pytest.MonkeyPatch.context() as patch:
        later(patch, add_color)
        open_ledger(address).close()


@pytest.mark.parametrize(
    ("point", "version"), [("ledger.before", NEWEST_VERSION), ("ledger.after", NEWEST_VERSION + 1)]
)
def test_an_upgrade_whose_process_dies_is_done_whole_or_not_at_all(
    older: Address, keys: Keyring, monkeypatch: pytest.MonkeyPatch, point: str, version: int
) -> None:
    process = multiprocessing.get_context("fork").Process(target=upgrades, args=(older, point))
    process.start()
    process.join()
    assert process.exitcode == KILLED
    monkeypatch.setattr(schema, "NEWEST_VERSION", version)
    assert is_whole(older, keys, version)
    later(monkeypatch, add_color)
    assert is_whole(older, keys, NEWEST_VERSION + 1)


def test_a_ledger_opened_concurrently_is_upgraded_once(
    older: Address, keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, add_color)
    with ThreadPoolExecutor(6) as pool:
        for ledger in pool.map(lambda _: opened(older, patience=30.0), range(6)):
            ledger.close()
    assert is_whole(older, keys, NEWEST_VERSION + 1)


@pytest.mark.postgres
@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_server_that_isolates_transactions_more_does_not_refuse_decisions(
    postgres: Server, keys: Keyring, level: str
) -> None:
    """With a snapshot from before the lock, a decision would not see the acts that it waited for."""
    address = find_ledger(postgres.database())
    database = by_hand(address, "SELECT current_database()")[0][0]
    by_hand(address, f"ALTER DATABASE {database} SET default_transaction_isolation = '{level}'")

    def records(number: int) -> None:
        with opened(address, patience=30.0) as ledger:
            for _ in range(5):
                record_acts(ledger, keys, GRANT, GrantAct(f"g{number}", "requested", "ann", {}, NOW))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(records, range(4)))
    with opened(address) as ledger:
        assert len(ledger.find(GRANT)) == 20
        assert errors(ledger, keys) == set()
