from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from minimize.errors import LedgerError
from minimize.keys import Keyring, new_keyring
from minimize.ledger.adoptions import Adoption, count, last, record
from minimize.ledger.asked import logged
from minimize.ledger.audit import EVERYTHING
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import event

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FIRST, SECOND = Adoption("version: 1\n", "rob", NOW), Adoption("version: 1\npeople: {}\n", "rob", NOW)


def test_the_last_one_counts(ledger: Ledger, keys: Keyring) -> None:
    assert (last(ledger, keys), count(ledger)) == (None, 0)
    assert record(ledger, FIRST, None, event(1), keys)
    assert record(ledger, SECOND, FIRST.digest, event(2), keys)
    assert (last(ledger, keys), count(ledger)) == (SECOND, 2)
    assert len(logged(ledger, EVERYTHING)) == 2


def test_whoever_was_slower_records_nothing(ledger: Ledger, keys: Keyring) -> None:
    record(ledger, FIRST, None, event(1), keys)
    assert not record(ledger, SECOND, None, event(2), keys)
    assert last(ledger, keys) == FIRST
    assert len(logged(ledger, EVERYTHING)) == 1


def test_one_that_we_did_not_sign_is_refused(ledger: Ledger, keys: Keyring) -> None:
    stranger = new_keyring(keys.path.with_name("other.keys"), now=NOW)
    record(ledger, FIRST, None, event(1), stranger)
    with pytest.raises(LedgerError, match="not signed"):
        last(ledger, keys)


@pytest.mark.parametrize("statement", ["UPDATE adoptions SET content = ''", "DELETE FROM adoptions"])
def test_the_database_refuses_to_change_or_remove_one(ledger: Ledger, keys: Keyring, statement: str) -> None:
    record(ledger, FIRST, None, event(1), keys)
    with pytest.raises(LedgerError):
        ledger.write(lambda connection: connection.execute(text(statement)).rowcount)
    assert last(ledger, keys) == FIRST
