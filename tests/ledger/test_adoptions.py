from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from minimize.errors import LedgerError
from minimize.keys import Keyring, new_keyring
from minimize.ledger.access import AccessAdoption, count_adoptions, last_adoption, record_adoption
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import ALL_ENTRIES
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import event

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FIRST, SECOND = AccessAdoption("version: 1\n", "rob", NOW), AccessAdoption("version: 1\npeople: {}\n", "rob", NOW)


def test_the_last_one_counts(ledger: Ledger, keys: Keyring) -> None:
    assert (last_adoption(ledger, keys), count_adoptions(ledger)) == (None, 0)
    assert record_adoption(ledger, FIRST, None, event(1), keys)
    assert record_adoption(ledger, SECOND, FIRST.digest, event(2), keys)
    assert (last_adoption(ledger, keys), count_adoptions(ledger)) == (SECOND, 2)
    assert len(find_entries(ledger, ALL_ENTRIES)) == 2


def test_whoever_was_slower_records_nothing(ledger: Ledger, keys: Keyring) -> None:
    record_adoption(ledger, FIRST, None, event(1), keys)
    assert not record_adoption(ledger, SECOND, None, event(2), keys)
    assert last_adoption(ledger, keys) == FIRST
    assert len(find_entries(ledger, ALL_ENTRIES)) == 1


def test_one_that_we_did_not_sign_is_refused(ledger: Ledger, keys: Keyring) -> None:
    stranger = new_keyring(keys.path.with_name("other.keys"), now=NOW)
    record_adoption(ledger, FIRST, None, event(1), stranger)
    with pytest.raises(LedgerError, match="not signed"):
        last_adoption(ledger, keys)


@pytest.mark.parametrize("statement", ["UPDATE adoptions SET content = ''", "DELETE FROM adoptions"])
def test_the_database_refuses_to_change_or_remove_one(ledger: Ledger, keys: Keyring, statement: str) -> None:
    record_adoption(ledger, FIRST, None, event(1), keys)
    with pytest.raises(LedgerError):
        ledger.write(lambda connection: connection.execute(text(statement)).rowcount)
    assert last_adoption(ledger, keys) == FIRST
