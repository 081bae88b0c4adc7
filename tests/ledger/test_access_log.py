"""Reads in the ledger: each is logged once, whatever becomes of its process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from minimize.keys import Keyring
from minimize.ledger import Address
from minimize.ledger.access_log import LONGEST_READ, begin_read, end_lost_reads, finish_read, read_begun_reads
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import ALL_ENTRIES, PropertyChange, Resource, entry_event
from minimize.ledger.ledger import Ledger
from tests.ledger.ledgers import NOW, event, opened

ROWS = Resource("d", "dataset", "d", (PropertyChange("rows", None, "at most 7"),))
UNENDED = event(id="0" * 36, activity="read", result="failure", resources=(ROWS,))


@pytest.fixture(name="ledger")
def _ledger(address: Address, keys: Keyring) -> Iterator[Ledger]:
    with opened(address, verifier=keys) as ledger:
        yield ledger


def told(ledger: Ledger) -> list[dict[str, Any]]:
    return [entry_event(entry) for entry in find_entries(ledger, ALL_ENTRIES)]


def begins_and_dies(address: Address) -> None:
    with opened(address, create=False) as ledger:
        begin_read(ledger, UNENDED, NOW)


def killed(address: Address) -> None:
    """A process that begins a read and ends before the read does."""
    worker = multiprocessing.get_context("spawn").Process(target=begins_and_dies, args=(address,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0


def test_a_finished_read_is_logged_once(ledger: Ledger) -> None:
    begin_read(ledger, UNENDED, NOW)
    finish_read(ledger, event(id=UNENDED.id, result="success"), NOW)
    assert end_lost_reads(ledger, NOW + LONGEST_READ * 2) == 0
    assert [each["result"] for each in told(ledger)] == ["success"]


def test_a_running_read_is_left_alone(ledger: Ledger) -> None:
    begin_read(ledger, UNENDED, NOW)
    assert end_lost_reads(ledger, NOW + timedelta(hours=1)) == 0
    assert told(ledger) == []
    (found,) = read_begun_reads(ledger).values()
    assert (found.at, found.event, found.ended) == (NOW, UNENDED.to_json(), False)


def test_a_read_whose_process_died_is_logged_as_it_was_announced(ledger: Ledger, address: Address) -> None:
    killed(address)
    assert end_lost_reads(ledger, NOW) == 1
    assert told(ledger) == [UNENDED.to_json()]
    assert end_lost_reads(ledger, NOW) == 0


def test_a_read_of_another_machine_is_over_after_a_day(ledger: Ledger) -> None:
    begin_read(ledger, UNENDED, NOW)
    assert end_lost_reads(ledger, NOW + LONGEST_READ) == 0
    assert end_lost_reads(ledger, NOW + LONGEST_READ + timedelta(seconds=1)) == 1
