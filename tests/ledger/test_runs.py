"""The index of runs, and what the log last told of an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from minimize.keys import Keyring
from minimize.ledger.audit_event import PUBLISH, RECOVER, entry_event
from minimize.ledger.audit_log import append_event, log_head, read_entries
from minimize.ledger.database import Connection
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import (
    IndexedOutput,
    compare_receipts,
    find_anchor,
    find_location,
    find_recorded_output,
    index_receipts,
    is_anchor_signed,
    output_locations,
    publication_event,
    rebuild_output_index,
    record_location,
    remove_runs,
    select_runs,
    select_runs_by_id,
)
from minimize.receipts import AuditHead, Receipt
from tests.ledger.ledgers import ANN, NOW
from tests.receipts.make import chain, receipt

ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture(name="receipts")
def _receipts(keys: Keyring) -> list[Receipt]:
    return chain(keys, {}, {}, {})


def tells(ledger: Ledger, keys: Keyring, receipts: Sequence[Receipt], output: str = ONE) -> None:
    def work(connection: Connection) -> None:
        for each in receipts:
            append_event(connection, publication_event(PUBLISH, output, each, actor=ANN, now=NOW), keys)

    ledger.write(work)


def state(ledger: Ledger, receipts: Sequence[Receipt], output: str = ONE) -> tuple[str, int]:
    found = ledger.read(partial(compare_receipts, output=output, chain=receipts, verifier=None))
    return found.state, len(found.unrecorded)


def test_a_run_is_indexed_with_its_counts(ledger: Ledger, keys: Keyring) -> None:
    whole = receipt().with_signature(keys)
    ledger.write(partial(record_location, output=ONE, pipeline="device_telemetry", folder="/out"))
    ledger.write(partial(index_receipts, output=ONE, receipts=[whole]))
    (row,) = ledger.read(select_runs)
    assert row.to_json()["rows"] == {
        "read": 1000,
        "written": 950,
        "gated": 30,
        "quarantined": 20,
        "suppressed": 0,
        "deduplicated": 0,
    }
    assert (row.run_id, row.sequence, row.dates, row.at) == (whole.run_id, 1, ("2026-11-24",), whole.at)
    assert (row.digest, row.folder) == (whole.digest, "/out")


def test_runs_are_found_by_output_pipeline_and_id(ledger: Ledger, receipts: list[Receipt]) -> None:
    for output in (ONE, TWO):
        ledger.write(partial(record_location, output=output, pipeline="p", folder=f"/{output}"))
    ledger.write(partial(index_receipts, output=ONE, receipts=receipts[:2]))
    ledger.write(partial(index_receipts, output=TWO, receipts=receipts[2:]))
    assert len(ledger.read(select_runs)) == 3
    assert len(ledger.read(partial(select_runs, output=ONE))) == 2
    assert ledger.read(partial(select_runs, pipeline="other")) == []
    assert [row.output for row in ledger.read(partial(select_runs_by_id, run_id=receipts[2].run_id[:16]))] == [TWO]
    assert ledger.read(partial(select_runs_by_id, run_id="%")) == []
    ledger.write(partial(remove_runs, output=ONE))
    assert len(ledger.read(select_runs)) == 1


def test_an_output_that_moved_has_its_new_place(ledger: Ledger) -> None:
    for folder in ("/a", "/b"):
        ledger.write(partial(record_location, output=ONE, pipeline="p", folder=folder))
    (place,) = ledger.read(output_locations)
    assert (place.folder, place.is_here) == ("/b", True)
    assert ledger.read(partial(find_location, output=ONE)) == place
    assert ledger.read(partial(find_location, output=TWO)) is None


def test_a_fully_recorded_output_agrees_with_the_ledger(ledger: Ledger, keys: Keyring, receipts: list[Receipt]) -> None:
    assert state(ledger, receipts) == ("unknown", 3)
    tells(ledger, keys, receipts[:2])
    assert state(ledger, receipts) == ("behind", 1)
    tells(ledger, keys, receipts[2:])
    assert state(ledger, receipts) == ("told", 0)
    assert ledger.read(partial(find_recorded_output, receipts=receipts)) == ONE


def test_receipts_that_were_cut_off_are_missed(ledger: Ledger, keys: Keyring, receipts: list[Receipt]) -> None:
    tells(ledger, keys, receipts)
    assert state(ledger, receipts[:2]) == ("cut", 0)
    anchor = ledger.read(partial(find_anchor, output=ONE))
    assert anchor is not None
    assert (anchor.sequence, anchor.digest, is_anchor_signed(anchor, keys)) == (3, receipts[2].digest, True)
    forged = replace(anchor, entry=replace(anchor.entry, signature="AAAA"))
    assert not is_anchor_signed(forged, keys)


def test_receipts_of_another_log_are_seen(ledger: Ledger, keys: Keyring, receipts: list[Receipt]) -> None:
    astray = replace(receipts[0], audit=AuditHead(9, "sha256:x"), signature=None).with_signature(keys)
    assert state(ledger, [astray]) == ("other", 1)


def rebuild(ledger: Ledger, receipts: Sequence[Receipt], keys: Keyring) -> int:
    output = IndexedOutput(ONE, "/out")
    return ledger.write(partial(rebuild_output_index, output=output, chain=receipts, signer=keys, actor=ANN, now=NOW))


def operations(ledger: Ledger) -> list[str]:
    return ledger.read(lambda connection: [entry_event(entry)["operation"] for entry in read_entries(connection)])


def test_the_index_is_rebuilt_from_receipts(ledger: Ledger, keys: Keyring, receipts: list[Receipt]) -> None:
    assert rebuild(ledger, receipts, keys) == 3
    assert [row.run_id for row in ledger.read(select_runs)] == [each.run_id for each in receipts]
    assert operations(ledger) == [RECOVER] * 3
    assert rebuild(ledger, receipts, keys) == 0
    assert ledger.read(log_head).sequence == 3
    assert rebuild(ledger, [], keys) == 0
    assert ledger.read(select_runs) == []


def test_truncated_receipts_are_recorded_by_name(ledger: Ledger, keys: Keyring, receipts: list[Receipt]) -> None:
    tells(ledger, keys, receipts)
    assert rebuild(ledger, receipts[:2], keys) == 1
    assert operations(ledger)[-1] == "rebuild"
    assert state(ledger, receipts[:2]) == ("told", 0)


def test_receipts_of_an_earlier_log_are_taken_over_by_name(
    ledger: Ledger, keys: Keyring, receipts: list[Receipt]
) -> None:
    astray = replace(receipts[0], audit=AuditHead(9, "sha256:x"), signature=None).with_signature(keys)
    assert rebuild(ledger, [astray], keys) == 1
    assert operations(ledger) == ["rebuild"]
    assert state(ledger, [astray]) == ("told", 0)
    assert rebuild(ledger, [astray], keys) == 0
