"""Tokens for the door in the ledger, on each database.
Reads in the ledger: told of once, whatever becomes of their process.
"""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.access import (
    LONGEST_READ,
    ApiToken,
    begin_read,
    end_lost_reads,
    end_token,
    find_token,
    finish_read,
    issue_token,
    read_tokens,
    record_read_event,
)
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import PropertyChange, Resource
from minimize.ledger.audit_log import ALL_ENTRIES, EntryFilter
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import by_hand, event, opened

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


ROWS = Resource("d", "dataset", "d", (PropertyChange("rows", None, "at most 7"),))
UNENDED = event(id="0" * 36, activity="read", result="failure", resources=(ROWS,))


def told(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(entry.event) for entry in find_entries(ledger, ALL_ENTRIES)]


def begins_and_dies(address: Address, folder: Path) -> None:
    with opened(address, create=False) as ledger:
        begin_read(ledger, UNENDED, NOW)


def killed(address: Address, folder: Path) -> None:
    """A process that begins a read and ends before the read does."""
    worker = multiprocessing.get_context("spawn").Process(target=begins_and_dies, args=(address, folder))
    worker.start()
    worker.join()
    assert worker.exitcode == 0


def test_a_read_that_ended_is_told_of_once(ledger: Ledger, keys: Keyring) -> None:
    begin_read(ledger, UNENDED, NOW)
    finish_read(ledger, event(id=UNENDED.id, result="success"), NOW, keys)
    assert end_lost_reads(ledger, NOW + LONGEST_READ * 2, keys) == 0
    assert [each["result"] for each in told(ledger)] == ["success"]


def test_a_read_that_goes_on_is_left_alone(ledger: Ledger, keys: Keyring) -> None:
    begin_read(ledger, UNENDED, NOW)
    assert end_lost_reads(ledger, NOW + timedelta(hours=1), keys) == 0
    assert told(ledger) == []


def test_a_read_whose_process_died_is_told_of_as_it_said(
    ledger: Ledger, keys: Keyring, address: Address, tmp_path: Path
) -> None:
    killed(address, tmp_path)
    assert end_lost_reads(ledger, NOW, keys) == 1
    assert told(ledger) == [UNENDED.to_json()]
    assert end_lost_reads(ledger, NOW, keys) == 0


def test_a_read_of_another_machine_is_over_after_a_day(ledger: Ledger, keys: Keyring) -> None:
    begin_read(ledger, UNENDED, NOW)
    assert end_lost_reads(ledger, NOW + LONGEST_READ, keys) == 0
    assert end_lost_reads(ledger, NOW + LONGEST_READ + timedelta(seconds=1), keys) == 1


def test_what_never_began_is_told_of_at_once(ledger: Ledger, keys: Keyring) -> None:
    record_read_event(ledger, event(result="refused"), keys)
    assert [each["result"] for each in told(ledger)] == ["refused"]


@pytest.mark.parametrize("statement", ["UPDATE readings SET state = 'ended'", "DELETE FROM readings"])
def test_the_database_refuses_to_change_or_remove_a_read(ledger: Ledger, address: Address, statement: str) -> None:
    begin_read(ledger, UNENDED, NOW)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, statement)
