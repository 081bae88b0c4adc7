"""The log of acts: what is found in it, what a change past it leaves, and what a removal leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from minimize.errors import LedgerError
from minimize.keys import Keyring, new_keyring
from minimize.ledger import Address, database, find_ledger
from minimize.ledger.act_log import ActLog
from minimize.ledger.acts import TOMBSTONE, ActKind, ActTombstone, BodyRemoval, Decision, UntrustedActError
from minimize.ledger.audit_check import ExternalHead, check_whole_log, find_entries
from minimize.ledger.audit_event import ALL_ENTRIES
from minimize.ledger.audit_log import log_head
from minimize.ledger.ledger import Ledger
from tests.acts import plant_acts, record_acts
from tests.ledger.ledgers import NOW, by_hand, errors, event, opened, tells, unguarded

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Note:
    """A record of this test."""

    name: str
    tenant: str
    subject: str | None
    text: str
    recorded_at: datetime = NOW


NOTE: Final = ActKind("note", Note, key="{0.name}", tenant="tenant", subject="subject", removable=True)
LETTER: Final = ActKind("letter", Note, key="{0.name}", tenant="tenant", subject="subject")
FIRST: Final = Note("a/1", "north", "d1", "one")
NOTES: Final = [
    FIRST,
    Note("a/2", "north", "d2", "two"),
    Note("a/1", "south", "d1", "three", NOW - HOUR),
    Note("b/1", "north", "d1", "four", NOW + HOUR),
    Note("B/1", "west", None, "five"),
]


@pytest.fixture(name="recorded")
def _recorded(ledger: Ledger, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Five acts, in three decisions, in an open ledger that proves its acts at each read."""
    monkeypatch.setattr("minimize.ledger.act_log.REUSE_S", 0)
    for number, notes in enumerate([NOTES[:1], NOTES[1:3], NOTES[3:]]):
        record_acts(ledger, keys, NOTE, *notes, event=event(number))
    return ledger


def test_acts_are_returned_in_the_order_of_recording_under_any_clock(recorded: Ledger, keys: Keyring) -> None:
    assert recorded.find(NOTE) == recorded.find(NOTE, verifier=keys) == NOTES
    assert errors(recorded, keys) == set()


def test_each_entry_of_the_audit_log_names_the_head_of_the_acts(recorded: Ledger, keys: Keyring) -> None:
    tells(recorded, keys, event(7))
    heads = [entry.acts for entry in find_entries(recorded, ALL_ENTRIES)]
    assert [head.sequence for head in heads] == [1, 3, 5, 5]
    assert heads[-1] == recorded.read(lambda connection: ActLog(connection).head())


def test_acts_are_found_by_key_tenant_and_place(recorded: Ledger) -> None:
    assert recorded.find(NOTE, key="a/1") == [NOTES[0], NOTES[2]]
    assert recorded.find(NOTE, key="a/1", tenant="south") == [NOTES[2]]
    assert recorded.find(NOTE, tenant="north") == [NOTES[0], NOTES[1], NOTES[3]]
    assert recorded.find(NOTE, tenants=["west", "south"]) == [NOTES[2], NOTES[4]]
    assert recorded.find(NOTE, tenants=[]) == []
    assert recorded.find(NOTE, key_start="a/") == NOTES[:3]
    assert recorded.find(NOTE, key_end="/1") == [NOTES[0], *NOTES[2:]]
    assert recorded.find(NOTE, key_end="b/1") == [NOTES[3]]
    assert recorded.find(NOTE, after=3) == NOTES[3:]
    for pattern in ("%", "_/1", "a/", ""):
        assert recorded.find(NOTE, key=pattern) == []
    assert recorded.find(NOTE, key_start="%") == recorded.find(NOTE, key_end="_/1") == []


def test_acts_of_another_kind_are_not_found(recorded: Ledger, keys: Keyring) -> None:
    record_acts(recorded, keys, LETTER, FIRST)
    assert (recorded.find(NOTE), recorded.find(LETTER)) == (NOTES, [FIRST])
    assert (recorded.last_id(NOTE), recorded.last_id(LETTER), recorded.last_id(TOMBSTONE)) == (5, 6, 0)
    assert recorded.tenants() == {"north", "south", "west"}


def test_a_long_log_is_checked_whole(recorded: Ledger, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.ledger.act_log.PAGE_SIZE", 2)
    assert errors(recorded, keys) == set()


def test_an_act_that_is_not_signed_by_a_known_key_is_refused(recorded: Ledger, keys: Keyring) -> None:
    plant_acts(recorded, new_keyring(keys.path.with_name("other.keys"), now=NOW), NOTE, FIRST)
    with pytest.raises(UntrustedActError, match="is not signed by a known key") as raised:
        recorded.find(NOTE, key="a/2", verifier=keys)
    assert (raised.value.code, raised.value.exit_code) == ("E316", 3)


def test_a_keyring_that_does_not_know_the_last_entry_records_nothing(recorded: Ledger, keys: Keyring) -> None:
    with pytest.raises(UntrustedActError, match="is not signed by a known key"):
        record_acts(recorded, new_keyring(keys.path.with_name("other.keys"), now=NOW), NOTE, FIRST)
    assert recorded.find(NOTE, verifier=keys) == NOTES


SOME_DIGEST: Final = "sha256:" + 64 * "0"
SOME_TIME: Final = "2020-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "letter"),
        ("key", "a/9"),
        ("tenant_id", "east"),
        ("subject", "d9"),
        ("valid_from", SOME_TIME),
        ("recorded_at", SOME_TIME),
        ("actor", "bob"),
    ],
)
def test_a_column_that_was_changed_is_found(
    recorded: Ledger, keys: Keyring, address: Address, column: str, value: str
) -> None:
    unguarded(address, f"UPDATE acts SET {column} = '{value}' WHERE id = 2")
    assert errors(recorded, keys) == {("H019", "acts/2"), ("H018", "acts/3")}


@pytest.mark.parametrize(("column", "value"), [("signature", "AAAA"), ("signature", "?"), ("signing_key", "signing/2")])
def test_a_signature_that_was_changed_is_found(
    recorded: Ledger, keys: Keyring, address: Address, column: str, value: str
) -> None:
    unguarded(address, f"UPDATE acts SET {column} = '{value}' WHERE id = 2")
    assert errors(recorded, keys) == {("H019", "acts/2")}


def test_a_body_that_was_changed_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "UPDATE acts SET body = replace(body, 'two', 'too') WHERE id = 2")
    assert errors(recorded, keys) == {("H020", "acts/2")}
    with pytest.raises(LedgerError, match="changed or removed"):
        recorded.find(NOTE, key="a/2", verifier=keys)


def test_a_body_that_was_changed_with_its_digest_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, f"UPDATE acts SET body = NULL, body_digest = '{SOME_DIGEST}' WHERE id = 3")
    assert errors(recorded, keys) == {("H020", "acts/3"), ("H017", "acts")}


def test_a_body_without_tombstone_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "UPDATE acts SET body = NULL WHERE id = 2")
    assert errors(recorded, keys) == {("H020", "acts/2")}


@pytest.mark.parametrize("name", ["2", "x"])
def test_a_forged_tombstone_is_found(recorded: Ledger, keys: Keyring, address: Address, name: str) -> None:
    columns = "tenant_id, subject, valid_from, recorded_at, actor, body, body_digest"
    forged = f"INSERT INTO acts SELECT 6, 'tombstone', '{name}', {columns}, '{SOME_DIGEST}', signing_key, signature"
    by_hand(address, f"{forged} FROM acts WHERE id = 5")
    if name == "2":
        by_hand(address, "UPDATE acts SET body = NULL WHERE id = 2")
    assert errors(recorded, keys) == {("H018", "acts/6"), ("H019", "acts/6"), ("H017", "acts")}


def test_an_act_that_was_removed_from_the_middle_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "DELETE FROM acts WHERE id = 2")
    assert errors(recorded, keys) == {("H018", "acts/3")}


@pytest.mark.parametrize("last", [0, 3, 4])
def test_acts_that_were_removed_from_the_end_are_found(
    recorded: Ledger, keys: Keyring, address: Address, last: int
) -> None:
    unguarded(address, f"DELETE FROM acts WHERE id > {last}")
    assert errors(recorded, keys) == {("H017", "acts")}


def test_acts_in_another_order_are_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    steps = [(9, 2), (2, 3), (3, 9)]
    unguarded(address, *(f"UPDATE acts SET id = {new} WHERE id = {old}" for new, old in steps))
    moved = {(code, f"acts/{number}") for code in ("H018", "H019") for number in (2, 3)}
    assert errors(recorded, keys) == {*moved, ("H017", "acts")}


def test_a_copy_of_an_act_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    columns = "kind, key, tenant_id, subject, valid_from, recorded_at, actor, body, body_digest"
    copy = f"INSERT INTO acts SELECT 6, {columns}, '{SOME_DIGEST}', signing_key, signature FROM acts WHERE id = 2"
    by_hand(address, copy)
    assert errors(recorded, keys) == {("H018", "acts/6"), ("H019", "acts/6"), ("H017", "acts")}


def append_past_the_log(ledger: Ledger, signer: Keyring) -> None:
    ledger.write(lambda connection: ActLog(connection).append([NOTE.act(FIRST)], signer))


def test_an_act_that_the_audit_log_does_not_record_is_found(recorded: Ledger, keys: Keyring) -> None:
    append_past_the_log(recorded, keys)
    assert errors(recorded, keys) == {("H017", "acts")}


def test_acts_without_any_entry_in_the_audit_log_are_found(ledger: Ledger, keys: Keyring) -> None:
    append_past_the_log(ledger, keys)
    assert errors(ledger, keys) == {("H017", "acts")}


def test_an_act_of_another_key_is_found_also_after_later_acts(recorded: Ledger, keys: Keyring) -> None:
    append_past_the_log(recorded, new_keyring(keys.path.with_name("other.keys"), now=NOW))
    assert errors(recorded, keys) == {("H019", "acts/6"), ("H017", "acts")}
    plant_acts(recorded, keys, NOTE, FIRST)
    assert errors(recorded, keys) == {("H019", "acts/6")}


def rows(address: Address, table: str) -> list[str]:
    """Statements that insert the rows of a table as they are now."""
    found = by_hand(address, f"SELECT * FROM {table} ORDER BY 1")
    texts = (", ".join("NULL" if each is None else repr(each) for each in row) for row in found)
    return [f"INSERT INTO {table} VALUES ({text})" for text in texts]


def test_acts_of_an_older_copy_are_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    older = rows(address, "acts")
    record_acts(recorded, keys, NOTE, replace(FIRST, text="six"))
    unguarded(address, "DELETE FROM acts", *older)
    assert errors(recorded, keys) == {("H017", "acts")}
    with pytest.raises(UntrustedActError, match="one was changed, removed, moved or inserted"):
        recorded.find(NOTE)
    with pytest.raises(UntrustedActError, match="one was changed, removed, moved or inserted"):
        record_acts(recorded, keys, NOTE, replace(FIRST, text="seven"))


def test_an_older_copy_of_both_logs_is_found_by_a_head_that_is_stored_elsewhere(
    recorded: Ledger, keys: Keyring, address: Address
) -> None:
    older = [*rows(address, "acts"), *rows(address, "audit")]
    record_acts(recorded, keys, NOTE, FIRST)
    head = recorded.read(log_head)
    unguarded(address, "DELETE FROM acts", "DELETE FROM audit", *older)
    assert errors(recorded, keys) == set()
    findings = check_whole_log(recorded, keys, ExternalHead(head, "head.json")).findings
    assert [each.code for each in findings] == ["H006"]


def test_a_time_that_is_none_is_an_error_of_the_ledger(recorded: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "UPDATE acts SET recorded_at = 'yesterday' WHERE id = 2")
    with pytest.raises(LedgerError, match="contains a time that cannot be read") as raised:
        check_whole_log(recorded, keys)
    assert raised.value.__context__ is None


REMOVAL: Final = event(9, activity="subject", operation="delete")


def removed(ledger: Ledger, keys: Keyring, *subjects: str, until: datetime = NOW) -> int:
    """The number of bodies that were removed."""
    before, removal = len(ledger.find(TOMBSTONE)), BodyRemoval(NOTE, "north", frozenset(subjects), until, REMOVAL)
    ledger.record(lambda _: Decision(None, removals=[removal]), keys)
    return len(ledger.find(TOMBSTONE)) - before


def test_removed_bodies_leave_the_other_acts_and_a_chain_that_is_verified(recorded: Ledger, keys: Keyring) -> None:
    assert removed(recorded, keys, "d1", "d7") == 1
    assert recorded.find(NOTE, verifier=keys) == NOTES[1:]
    assert recorded.find(TOMBSTONE) == [ActTombstone(1, REMOVAL.time, "ann")]
    assert errors(recorded, keys) == set()
    entry = find_entries(recorded, ALL_ENTRIES)[-1]
    assert (entry.to_json()["event"]["operation"], entry.acts.sequence) == ("delete", 6)
    record_acts(recorded, keys, NOTE, FIRST)
    assert recorded.find(NOTE) == [*NOTES[1:], FIRST]
    assert errors(recorded, keys) == set()


def test_bodies_up_to_a_time_are_removed(recorded: Ledger, keys: Keyring) -> None:
    assert removed(recorded, keys, "d1", until=NOW + HOUR) == 2
    assert recorded.find(NOTE) == [NOTES[1], NOTES[2], NOTES[4]]
    assert errors(recorded, keys) == set()


def test_where_nothing_is_to_be_removed_nothing_is_recorded(recorded: Ledger, keys: Keyring) -> None:
    assert removed(recorded, keys, "d1") == 1
    heads = recorded.read(log_head)
    assert removed(recorded, keys, "d1") == removed(recorded, keys, "d9") == removed(recorded, keys) == 0
    assert recorded.read(log_head) == heads


def test_bodies_of_another_kind_are_not_removed(recorded: Ledger, keys: Keyring) -> None:
    record_acts(recorded, keys, LETTER, FIRST)
    removal = BodyRemoval(LETTER, "north", frozenset({"d1"}), NOW, REMOVAL)
    with pytest.raises(ValueError, match="kind letter cannot be removed"):
        recorded.record(lambda _: Decision(None, removals=[removal]), keys)
    removed(recorded, keys, "d1")
    assert recorded.find(LETTER) == [FIRST]


def test_a_body_that_was_put_back_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    ((body,),) = by_hand(address, "SELECT body FROM acts WHERE id = 1")
    removed(recorded, keys, "d1")
    unguarded(address, f"UPDATE acts SET body = '{body}' WHERE id = 1")
    assert errors(recorded, keys) == {("H020", "acts/1")}


def test_a_tombstone_that_was_removed_is_found(recorded: Ledger, keys: Keyring, address: Address) -> None:
    removed(recorded, keys, "d1")
    unguarded(address, "DELETE FROM acts WHERE kind = 'tombstone'")
    assert errors(recorded, keys) == {("H020", "acts/1"), ("H017", "acts")}


def contents(folder: Path) -> Iterator[bytes]:
    """The content of the ledger and of its journals."""
    return (path.read_bytes() for path in folder.glob("ledger.db*"))


@pytest.mark.parametrize("is_open_elsewhere", [False, True])
@pytest.mark.parametrize("length", [20, 9000])
def test_no_file_of_sqlite_keeps_a_removed_body(
    tmp_path: Path, keys: Keyring, monkeypatch: pytest.MonkeyPatch, is_open_elsewhere: bool, length: int
) -> None:
    """Also if SQLite was built without secure deletion, which then must be switched on before pages are split."""
    monkeypatch.setattr("minimize.ledger.database._PRAGMAS", ("secure_delete = OFF", *database._PRAGMAS))
    address = find_ledger(tmp_path / "ledger.db")
    with opened(address) as ledger, opened(address) as other:
        for number in range(60):
            text = ("erased" if number % 2 else "retained") + length * "x"
            record_acts(ledger, keys, NOTE, replace(FIRST, subject=f"d{number % 2}", text=text))
        assert len(other.find(NOTE)) == 60
        if not is_open_elsewhere:
            other.close()
        assert any(b"erased" in content for content in contents(tmp_path))
        assert removed(ledger, keys, "d1") == 30
        ledger.close()
        assert not any(b"erased" in content for content in contents(tmp_path))
        assert any(b"retained" in content for content in contents(tmp_path))


MISREAD: Final = ["{}", "[]", "null", "", "x", '{"text": 1, "recorded_at": 5}']


@pytest.mark.parametrize("body", MISREAD)
def test_a_body_that_was_changed_is_refused_without_a_verifier_too(
    recorded: Ledger, keys: Keyring, address: Address, body: str
) -> None:
    unguarded(address, f"UPDATE acts SET body = '{body}' WHERE id = 2")
    with pytest.raises(LedgerError, match="the content of a record of the note a/2 was changed or removed"):
        recorded.find(NOTE)
    assert recorded.find(NOTE, tenant="south") == [NOTES[2]]


@pytest.mark.parametrize("body", MISREAD)
def test_a_body_that_is_no_record_is_an_error_of_the_ledger(
    recorded: Ledger, keys: Keyring, address: Address, body: str
) -> None:
    told = event(8)
    act = replace(NOTE.act(FIRST), key="c/1", body=body)
    recorded.record(lambda _: Decision(None, [act], [told]), keys)
    with pytest.raises(LedgerError, match="a record of the note c/1 cannot be read") as raised:
        recorded.find(NOTE)
    assert raised.value.__context__ is None


def test_a_body_that_cannot_be_removed_is_missed(recorded: Ledger, keys: Keyring, address: Address) -> None:
    record_acts(recorded, keys, LETTER, FIRST, replace(FIRST, text="withdrawn"))
    unguarded(address, "UPDATE acts SET body = NULL WHERE id = 7")
    with pytest.raises(UntrustedActError, match="one was changed, removed, moved or inserted"):
        recorded.find(LETTER, verifier=keys)


@pytest.mark.parametrize("column", ["key", "tenant_id", "actor", "body", "previous", "signing_key", "recorded_at"])
def test_a_value_of_another_type_is_an_error_of_the_ledger(tmp_path: Path, keys: Keyring, column: str) -> None:
    """SQLite permits any type in any column."""
    with opened(find_ledger(tmp_path / "ledger.db")) as ledger:
        record_acts(ledger, keys, NOTE, FIRST)
        unguarded(ledger.address, f"UPDATE acts SET {column} = x'ff'")
        for read in (lambda: ledger.find(NOTE), lambda: check_whole_log(ledger, keys)):
            with pytest.raises(LedgerError, match=r"cannot be read|one was changed"):
                read()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25",
        "2026-11-25T00:00:00",
        "2026-11-25T00:00:00Z",
        "2026-W48-3T00:00:00.000000Z",
        "2026-11-25T01:00:00+01:00",
    ],
)
def test_another_text_of_the_same_time_is_refused(recorded: Ledger, keys: Keyring, address: Address, text: str) -> None:
    """It would sort differently."""
    unguarded(address, f"UPDATE acts SET recorded_at = '{text}' WHERE id = 2")
    with pytest.raises(UntrustedActError, match="one was changed"):
        recorded.find(NOTE)
    with pytest.raises(LedgerError, match="contains a time that cannot be read"):
        check_whole_log(recorded, keys)


def test_bodies_of_any_number_of_subjects_are_removed(recorded: Ledger, keys: Keyring) -> None:
    """More of them than a statement can have parameters, on each database."""
    assert removed(recorded, keys, *(f"d{number}" for number in range(300_000))) == 2
    assert recorded.find(NOTE) == NOTES[2:]
    assert errors(recorded, keys) == set()
