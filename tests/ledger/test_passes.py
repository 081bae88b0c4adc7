"""Tokens for the door in the ledger, on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from minimize.ledger.ledger import Ledger
from minimize.ledger.server_access import ApiToken, end_token, find_token, issue_token, read_tokens
from tests.ledger.ledgers import by_hand, event

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
MADE = ApiToken("0" * 16, "ann", False, "signing/1:ab", NOW, NOW + timedelta(hours=8))


def test_a_token_comes_back_as_it_was_issued(ledger: Ledger, keys: Keyring) -> None:
    issue_token(ledger, MADE, "root", event(), keys)
    assert find_token(ledger, MADE.token) == MADE
    assert find_token(ledger, "1" * 16) is None


def test_tokens_are_listed_in_their_last_state(ledger: Ledger, keys: Keyring) -> None:
    other = replace(MADE, token="1" * 16, once=True)
    issue_token(ledger, MADE, "root", event(), keys)
    issue_token(ledger, other, "root", event(1), keys)
    assert end_token(ledger, MADE.token, "revoked", NOW, "root", event(2), keys)
    assert read_tokens(ledger) == [replace(MADE, state="revoked"), other]


def test_a_token_is_spent_or_revoked_once(ledger: Ledger, keys: Keyring) -> None:
    issue_token(ledger, MADE, "root", event(), keys)
    assert [end_token(ledger, MADE.token, "spent", NOW, "ann", event(number), keys) for number in (1, 2)] == [
        True,
        False,
    ]
    assert not end_token(ledger, "1" * 16, "revoked", NOW, "root", event(3), keys)


def test_each_act_has_its_entry_in_the_log(ledger: Ledger, keys: Keyring) -> None:
    issue_token(ledger, MADE, "root", event(activity="token"), keys)
    end_token(ledger, MADE.token, "revoked", NOW, "root", event(1, activity="token"), keys)
    assert len(find_entries(ledger, EntryFilter(activity="token"))) == 2


def test_whose_a_token_is_and_how_long_is_what_it_was_issued_with(
    ledger: Ledger, keys: Keyring, address: Address
) -> None:
    issue_token(ledger, MADE, "root", event(), keys)
    later = NOW + timedelta(days=900)
    end_token(ledger, MADE.token, "spent", later, "ann", event(1), keys)
    found = find_token(ledger, MADE.token)
    assert found == replace(MADE, state="spent")


@pytest.mark.parametrize("statement", ["UPDATE passes SET state = 'issued'", "DELETE FROM passes"])
def test_the_database_refuses_to_change_or_remove_a_token(
    ledger: Ledger, address: Address, keys: Keyring, statement: str
) -> None:
    issue_token(ledger, MADE, "root", event(), keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
    assert find_token(ledger, MADE.token) == MADE
