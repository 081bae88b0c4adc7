"""Entries go after their year, up to a checkpoint, and in no other way."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from minimize.errors import LedgerError
from minimize.keys import Keyring, PublicKeys, new_keyring
from minimize.ledger import Address
from minimize.ledger.audit_check import ExternalHead, check_log, check_whole_log, find_entries
from minimize.ledger.audit_event import ALL_ENTRIES, Checkpoint, LogHead, entry_event
from minimize.ledger.audit_log import last_checkpoint, log_head, record_checkpoint
from minimize.ledger.audit_truncation import (
    Truncation,
    export_truncated_entries,
    plan_truncation,
    truncate_log,
    year_before,
)
from minimize.ledger.database import Connection
from minimize.ledger.kinds import SETTING, RecordedSetting
from minimize.ledger.ledger import Ledger
from minimize.ledger.runs import compare_receipts, find_anchor, is_head_in_log, publication_event
from minimize.receipts import AuditHead, Receipt
from tests.acts import record_acts
from tests.ledger.ledgers import ANN, UncheckedKeyring, by_hand, errors, event, tells, unguarded
from tests.receipts.make import small

NOW = datetime.now(UTC).replace(microsecond=0)
"""The database holds to its own clock, so that the tests of it do, too."""
YEAR = year_before(NOW)
SECOND = timedelta(seconds=1)


@pytest.fixture(name="old")
def _old(ledger: Ledger, keys: Keyring) -> Ledger:
    """A log of five entries: three older than a year (the last by a second), one of exactly a year, one of today."""
    times = (YEAR - 400 * SECOND, YEAR - 3 * SECOND, YEAR - SECOND, YEAR, NOW)
    tells(ledger, keys, *(event(number, time=time) for number, time in enumerate(times)))
    return ledger


def found(ledger: Ledger, keys: Keyring | PublicKeys) -> set[tuple[str, str | None]]:
    return {(each.code, each.file) for each in ledger.read(lambda connection: list(check_log(connection, keys)))}


def numbers(ledger: Ledger) -> list[int]:
    return [entry.sequence for entry in find_entries(ledger, ALL_ENTRIES)]


def go(ledger: Ledger, keys: Keyring, at: datetime = NOW) -> Truncation:
    return truncate_log(ledger, plan_truncation(ledger, at), ANN, at, keys)


def test_entries_older_than_a_year_are_removed_and_the_rest_is_verified(old: Ledger, keys: Keyring) -> None:
    plan = plan_truncation(old, NOW)
    assert (plan.entries, plan.last and plan.last.sequence, plan.latest) == (3, 3, YEAR - SECOND)
    assert numbers(old) == [1, 2, 3, 4, 5]
    assert go(old, keys).entries == 3
    assert numbers(old) == [4, 5, 6]
    assert found(old, keys) == set()
    assert found(old, PublicKeys(keys.public_key_pem())) == set()
    told = entry_event(find_entries(old, ALL_ENTRIES)[-1])
    assert (told["activity"], told["operation"], told["actor"]["user"]) == ("audit", "truncate", "ann")


def test_a_log_can_be_truncated_repeatedly(ledger: Ledger, keys: Keyring) -> None:
    days = [NOW - timedelta(days=600 - 100 * step) for step in range(3)]
    tells(ledger, keys, *(event(step, time=time) for step, time in enumerate(days)))
    for step, day in enumerate(days[:2]):
        at = day + timedelta(days=367)
        assert truncate_log(ledger, plan_truncation(ledger, at), ANN, NOW + step * SECOND, keys).entries == 1
        assert found(ledger, keys) == set()
    assert numbers(ledger) == [3, 4, 5]


def test_a_young_log_keeps_everything(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(time=NOW))
    assert go(ledger, keys) == Truncation(0, YEAR)
    assert ledger.read(last_checkpoint) is None
    assert numbers(ledger) == [1]


def test_an_entry_that_is_young_keeps_those_behind_it(ledger: Ledger, keys: Keyring) -> None:
    tells(ledger, keys, event(0, time=YEAR - SECOND), event(1, time=NOW), event(2, time=YEAR - SECOND))
    assert go(ledger, keys).entries == 1
    assert numbers(ledger) == [2, 3, 4]
    assert found(ledger, keys) == set()


def test_the_database_removes_no_entry_younger_than_a_year_at_any_given_time(old: Ledger, keys: Keyring) -> None:
    with pytest.raises(LedgerError):
        go(old, keys, NOW + timedelta(days=400))
    assert numbers(old) == [1, 2, 3, 4, 5]
    assert old.read(last_checkpoint) is None


@pytest.mark.parametrize("which", ["sequence = 1", "sequence = 5", "sequence > 0"])
def test_without_a_checkpoint_no_entry_can_be_removed(old: Ledger, address: Address, which: str) -> None:
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, f"DELETE FROM audit WHERE {which}")
    assert numbers(old) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("which", ["sequence = 4", "sequence = 5"])
def test_entries_after_the_checkpoint_cannot_be_removed(
    old: Ledger, keys: Keyring, address: Address, which: str
) -> None:
    go(old, keys)
    with pytest.raises(Exception, match="append-only"):
        by_hand(address, f"DELETE FROM audit WHERE {which}")
    assert numbers(old) == [4, 5, 6]


def test_a_checkpoint_names_an_entry_that_is_there(old: Ledger, keys: Keyring) -> None:
    forged = Checkpoint(LogHead(5, "sha256:other"), 5, YEAR, YEAR - SECOND, NOW)
    with pytest.raises(LedgerError):
        old.write(lambda connection: record_checkpoint(connection, forged, keys))


@pytest.mark.parametrize(
    "change",
    [
        "entries = 9",
        "before = '2020-01-01T00:00:00.000000Z'",
        "latest = '2020-01-01T00:00:00.000000Z'",
        "recorded_at = '2099-01-01T00:00:00.000000Z'",
        "signature = 'AAAA'",
        "signature = 'no base64'",
        "key = 'signing/2'",
    ],
)
def test_a_checkpoint_that_was_changed_is_found(old: Ledger, keys: Keyring, address: Address, change: str) -> None:
    go(old, keys)
    unguarded(address, f"UPDATE checkpoints SET {change}")
    assert ("H013", "audit/checkpoint/3") in found(old, keys)


def test_a_checkpoint_that_was_moved_on_to_hide_more_is_found(old: Ledger, keys: Keyring, address: Address) -> None:
    go(old, keys)
    digest = find_entries(old, ALL_ENTRIES)[0].digest
    unguarded(
        address, "DELETE FROM audit WHERE sequence = 4", f"UPDATE checkpoints SET sequence = 4, digest = '{digest}'"
    )
    assert found(old, keys) == {("H013", "audit/checkpoint/4"), ("H016", "audit/checkpoint/4")}


def test_a_checkpoint_of_another_key_is_not_ours(old: Ledger, keys: Keyring) -> None:
    stranger = new_keyring(keys.path.with_name("other.keys"), now=NOW)
    go(old, UncheckedKeyring.load(stranger.path))
    assert ("H013", "audit/checkpoint/3") in found(old, keys)


def test_a_checkpoint_that_was_taken_away_is_found(old: Ledger, keys: Keyring, address: Address) -> None:
    go(old, keys)
    unguarded(address, "DELETE FROM checkpoints")
    assert found(old, keys) == {("H002", "audit/4"), ("H003", "audit/4")}


def test_a_gap_behind_the_checkpoint_is_found(old: Ledger, keys: Keyring, address: Address) -> None:
    go(old, keys)
    unguarded(address, "DELETE FROM audit WHERE sequence = 4")
    assert found(old, keys) == {("H002", "audit/5"), ("H003", "audit/5")}


def test_entries_that_were_brought_back_are_found(old: Ledger, keys: Keyring, address: Address) -> None:
    go(old, keys)
    columns = (
        "event, acts, acts_digest, key, signature, time, activity, operation, result, actor, resource, correlation"
    )
    unguarded(
        address,
        f"INSERT INTO audit (sequence, previous, digest, {columns}) "
        f"SELECT 3, previous, 'sha256:back', {columns} FROM audit WHERE sequence = 4",
    )
    assert ("H002", "audit/3") in found(old, keys)


def test_a_checkpoint_that_took_too_much_is_found(old: Ledger, keys: Keyring, address: Address) -> None:
    """Whoever has the keys and the database signs a checkpoint of entries that were young, and deletes them."""
    entry = find_entries(old, ALL_ENTRIES)[4]
    signed = Checkpoint(entry.head, 5, YEAR, NOW, NOW)
    old.write(lambda connection: record_checkpoint(connection, signed, keys))
    unguarded(address, "DELETE FROM audit WHERE sequence <= 5")
    assert found(old, keys) == {("H015", "audit/checkpoint/5"), ("H016", "audit/checkpoint/5")}


def test_heads_and_receipts_that_name_what_is_gone_are_no_error(old: Ledger, keys: Keyring) -> None:
    entries = find_entries(old, ALL_ENTRIES)
    receipts = [
        replace(small(n), audit=AuditHead(each.sequence, each.digest)).with_signature(keys)
        for n, each in enumerate(entries[:4], 1)
    ]
    kept = ExternalHead(entries[0].head, "kept")
    go(old, keys)
    result = check_whole_log(old, keys, kept, [(f"r{n}", receipt) for n, receipt in enumerate(receipts, 1)])
    assert result.ok
    assert [(each.code, each.file) for each in result.findings if each.code == "H014"] == [
        ("H014", "kept"),
        ("H014", "r1"),
        ("H014", "r2"),
    ]
    assert result.to_json()["checkpoint"] == {"sequence": 3, "head": entries[2].digest}
    forged = replace(small(5), audit=AuditHead(3, "sha256:other")).with_signature(keys)
    assert [old.read(partial(is_head_in_log, receipt=each, verifier=keys)) for each in (*receipts, forged)] == [
        *(True for _ in receipts),
        False,
    ]
    assert [each.code for each in check_whole_log(old, keys, None, [("f", forged)]).findings] == ["H006"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE checkpoints SET sequence = 4",
        "UPDATE checkpoints SET signature = 'AAAA'",
        "DELETE FROM audit WHERE sequence = 4",
        "DELETE FROM audit",
        "UPDATE audit SET previous = 'sha256:other' WHERE sequence = 4",
    ],
)
def test_only_a_signed_checkpoint_that_the_log_continues_replaces_removed_entries(
    old: Ledger, keys: Keyring, address: Address, change: str
) -> None:
    first = find_entries(old, ALL_ENTRIES)[0]
    receipt = replace(small(1), audit=AuditHead(first.sequence, first.digest)).with_signature(keys)
    go(old, keys)
    is_there = partial(is_head_in_log, receipt=receipt)
    assert old.read(partial(is_there, verifier=keys))
    assert not old.read(partial(is_there, verifier=None))
    unguarded(address, change)
    assert not old.read(partial(is_there, verifier=keys))


def test_anchors_of_outputs_survive_a_truncation(ledger: Ledger, keys: Keyring) -> None:
    first, second = small(1).with_signature(keys), small(2).with_signature(keys)

    def publishes(output: str, receipt: Receipt, time: datetime) -> None:
        told = publication_event("publish", output, receipt, actor=ANN, now=time)
        tells(ledger, keys, told)

    publishes("o1", first, YEAR - 3 * SECOND)
    publishes("o2", first, YEAR - 2 * SECOND)
    publishes("o1", second, YEAR - SECOND)
    publishes("o3", second, NOW)
    plan = plan_truncation(ledger, NOW)
    assert (plan.entries, plan.outputs) == (3, 2)
    go(ledger, keys)
    assert found(ledger, keys) == set()

    def anchors(connection: Connection) -> list[str | None]:
        return [
            anchor.digest if (anchor := find_anchor(connection, each)) else None for each in ("o1", "o2", "o3", "o4")
        ]

    assert ledger.read(anchors) == [second.digest, first.digest, second.digest, None]
    assert ledger.read(lambda connection: compare_receipts(connection, "o1", [first, second], keys)).state == "told"


def test_they_are_written_out_before(old: Ledger, keys: Keyring) -> None:
    out, plan = io.StringIO(), plan_truncation(old, NOW)
    assert export_truncated_entries(old, plan, out) == 3
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [each["sequence"] for each in lines] == [1, 2, 3]
    go(old, keys)
    gone = old.read(last_checkpoint)
    assert gone is not None
    assert lines[-1]["digest"] == gone.head.digest


def test_entries_truncated_by_another_process_are_left_alone(old: Ledger, keys: Keyring) -> None:
    plan = plan_truncation(old, NOW)
    go(old, keys)
    assert truncate_log(old, plan, ANN, NOW, keys).entries == 0
    assert old.read(log_head).sequence == 6


def test_no_byte_of_what_went_stays_in_the_file(old: Ledger, keys: Keyring, address: Address) -> None:
    go(old, keys)
    if address.path is None:
        return
    files = [path.read_bytes() for path in address.path.parent.glob("ledger.db*")]
    assert not any(b"feature/1" in content for content in files)
    assert any(b"feature/4" in content for content in files)


def test_acts_are_verified_after_the_entries_that_record_them_were_removed(ledger: Ledger, keys: Keyring) -> None:
    for number, time in enumerate([YEAR - 3 * SECOND, YEAR - SECOND, NOW]):
        setting = RecordedSetting("north", None, "location", "on", "admin", time, time)
        record_acts(ledger, keys, SETTING, setting, event=event(number, time=time))
    assert go(ledger, keys).entries == 2
    assert errors(ledger, keys) == set()
    assert len(ledger.find(SETTING, verifier=keys)) == 3
    unguarded(ledger.address, "DELETE FROM acts WHERE id = 1")
    assert errors(ledger, keys) == {("H018", "acts/2")}
