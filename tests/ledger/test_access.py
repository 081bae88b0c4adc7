""""""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from minimize.ledger.tables import GRANTS
from sqlalchemy import insert, text

from minimize.errors import LedgerError
from minimize.keys import Keyring, new_keyring
from minimize.ledger import Actor, AuditEvent
from minimize.ledger.access import (
    AccessAdoption,
    GrantAct,
    GrantActBuilder,
    count_adoptions,
    last_adoption,
    read_grant_acts,
    record_adoption,
    record_grant_acts,
)
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


ACT = GrantAct("g1", "requested", "sam", "{}", NOW)


def meaning(*acts: GrantAct) -> GrantActBuilder:
    events = [
        AuditEvent(
            component="access", category="access", activity="grant", operation=act.state, actor=Actor("user"), time=NOW
        )
        for act in acts
    ]
    return lambda _: (acts, events)


def test_acts_are_read_back_as_they_were_recorded(ledger: Ledger, keys: Keyring) -> None:
    later = GrantAct("g1", "approved", "pia", '{"ends_at": null}', NOW)
    assert record_grant_acts(ledger, meaning(ACT), keys, keys) == [ACT]
    record_grant_acts(ledger, meaning(later), keys, keys)
    assert read_grant_acts(ledger, keys) == [ACT, later]


def test_the_audit_log_is_told_with_the_act(ledger: Ledger, keys: Keyring) -> None:
    record_grant_acts(ledger, meaning(ACT), keys, keys)
    assert len(find_entries(ledger, ALL_ENTRIES)) == 1


def test_nothing_is_recorded_where_what_is_meant_raises(ledger: Ledger, keys: Keyring) -> None:
    def refused(acts: Sequence[GrantAct]) -> tuple[Sequence[GrantAct], Sequence[AuditEvent]]:
        raise LedgerError(f"{len(acts)} acts are enough")

    with pytest.raises(LedgerError, match="0 acts"):
        record_grant_acts(ledger, refused, keys, keys)
    assert read_grant_acts(ledger, keys) == []


def test_no_state_comes_twice(ledger: Ledger, keys: Keyring) -> None:
    record_grant_acts(ledger, meaning(ACT), keys, keys)
    with pytest.raises(LedgerError):
        record_grant_acts(ledger, meaning(ACT), keys, keys)
    assert len(find_entries(ledger, ALL_ENTRIES)) == 1


def test_an_act_that_we_did_not_sign_is_refused(ledger: Ledger, keys: Keyring) -> None:
    forged = {"grant": "g1", "state": "requested", "by": "sam", "body": "{}", "recorded_at": NOW}
    row = insert(GRANTS).values(**forged, key="signing/1", signature="AAAA")
    ledger.write(lambda connection: connection.execute(row).rowcount)
    with pytest.raises(LedgerError, match="not signed"):
        read_grant_acts(ledger, keys)


@pytest.mark.parametrize("statement", ["UPDATE grants SET state = 'approved'", "DELETE FROM grants"])
def test_the_database_refuses_to_change_or_remove_an_act(ledger: Ledger, keys: Keyring, statement: str) -> None:
    record_grant_acts(ledger, meaning(ACT), keys, keys)
    with pytest.raises(LedgerError):
        ledger.write(lambda connection: connection.execute(text(statement)).rowcount)
    assert read_grant_acts(ledger, keys) == [ACT]
