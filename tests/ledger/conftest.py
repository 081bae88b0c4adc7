"""A ledger on each database, and keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address, find_ledger
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import empty, opened
from tests.project import Builds, enter, write_keyring

DATABASES = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(name="address", params=DATABASES)
def _address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Where a ledger can be, on each database."""
    return find_ledger(
        tmp_path / "ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres").database()
    )


@pytest.fixture(name="ledger")
def _ledger(address: Address, builds: Builds, tmp_path: Path) -> Iterator[Ledger]:
    if address.path is not None:
        builds.copy(empty, tmp_path)
    with opened(address) as ledger:
        yield ledger


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    return write_keyring(tmp_path / "test.keys")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ledger but a test's own."""
    enter(tmp_path, monkeypatch)
