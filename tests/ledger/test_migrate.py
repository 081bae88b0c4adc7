"""A ledger's version, and the steps to the newest and back."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from minimize.ledger import Address, migrate
from minimize.ledger.engine import engine_of
from minimize.ledger.ledger import Ledger
from minimize.ledger.tables.whole import METADATA
from tests.ledger.ledgers import opened

STEPS = sorted(path.stem for path in (migrate.FOLDER / "versions").glob("v*.py"))


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {migrate.TABLE}


def test_tables_and_migrations_agree(ledger: Ledger) -> None:
    ledger.write(migrate.check)
    assert ledger.read(tables) == set(METADATA.tables)


def test_the_steps_are_one_line_without_gaps() -> None:
    numbers = [int(step[1:5]) for step in STEPS]
    assert numbers == list(range(1, len(STEPS) + 1))
    texts = [(migrate.FOLDER / "versions" / f"{step}.py").read_text() for step in STEPS]
    before = ["None", *(f'"{number:04}"' for number in numbers[:-1])]
    assert re.findall(r'^revision = "(\d{4})"$', "\n".join(texts), re.M) == [f"{number:04}" for number in numbers]
    assert re.findall(r"^down_revision = (.+)$", "\n".join(texts), re.M) == before


def test_every_step_goes_back_and_forth(ledger: Ledger) -> None:
    for number in reversed(range(len(STEPS))):
        ledger.write(partial(migrate.downgrade, version=f"{number:04}" if number else "base"))
        assert ledger.read(migrate.version_of) == f"{number:04}"
    assert ledger.read(tables) == set()
    ledger.write(migrate.upgrade)
    ledger.write(migrate.check)


def test_nothing_of_a_ledger_stays_after_its_steps_are_undone(ledger: Ledger) -> None:
    ledger.write(lambda connection: migrate.downgrade(connection, "base"))
    kept = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'audit%'"
    if ledger.address.path is not None:
        kept = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
    assert ledger.read(lambda connection: connection.execute(text(kept)).scalar()) == 0


def test_an_older_ledger_is_brought_up_when_it_is_opened(address: Address) -> None:
    with opened(address) as ledger:
        ledger.write(lambda connection: migrate.downgrade(connection, "0001"))
    with opened(address, create=False) as ledger:
        assert ledger.read(migrate.version_of) == migrate.newest()


def test_a_step_that_fails_leaves_the_ledger_as_it_was(address: Address) -> None:
    opened(address).close()
    with Ledger(address, engine_of(address, 2.0), 2.0) as ledger:
        ledger.write(lambda connection: migrate.downgrade(connection, "base"))

        def stopped(connection: Connection) -> None:
            migrate.upgrade(connection)
            raise InterruptedError

        with pytest.raises(InterruptedError):
            ledger.write(stopped)
        assert ledger.read(tables) == set()
        assert ledger.read(migrate.version_of) == migrate.NONE


def test_the_steps_are_part_of_the_package() -> None:
    assert (Path(migrate.__file__).parent / "migrations" / "env.py").exists()
    assert migrate.newest() == STEPS[-1][1:5]
