"""Whatever is done to the log is found."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from minimize.errors import LedgerError
from minimize.keys import Keyring, PublicKeys, new_keyring
from minimize.ledger import Address, PropertyChange, Resource, find_ledger
from minimize.ledger.audit_check import (
    ExternalHead,
    check_external_head,
    check_log,
    check_receipts,
    check_whole_log,
    unanchored_finding,
)
from minimize.ledger.audit_event import EMPTY_LOG, LogHead
from minimize.ledger.audit_log import append_event, log_head, read_entries
from minimize.ledger.database import Connection
from minimize.ledger.ledger import Ledger
from minimize.receipts import AuditHead, Receipt
from tests.ledger.ledgers import NOW, event, opened, tells, unguarded
from tests.receipts.make import small

COLUMNS = ("time", "activity", "operation", "result", "actor", "resource", "correlation")


@pytest.fixture(name="told")
def _told(ledger: Ledger, keys: Keyring) -> Ledger:
    """A log of five entries."""
    tells(ledger, keys, *map(event, range(5)))
    return ledger


def found(ledger: Ledger, keys: Keyring | PublicKeys) -> set[tuple[str, str | None]]:
    return {(each.code, each.file) for each in ledger.read(lambda connection: list(check_log(connection, keys)))}


def test_an_unmodified_log_has_no_findings(told: Ledger, keys: Keyring) -> None:
    assert found(told, keys) == set()
    assert found(told, PublicKeys(keys.public_key_pem())) == set()


def test_an_event_that_was_changed_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "UPDATE audit SET event = replace(event, '\"ann\"', '\"bob\"') WHERE sequence = 3")
    assert found(told, keys) == {("H001", "audit/3")}


def test_an_event_that_is_written_another_way_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "UPDATE audit SET event = event || ' ' WHERE sequence = 3")
    assert found(told, keys) == {("H001", "audit/3")}


def test_an_event_that_is_no_json_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "UPDATE audit SET event = '[' WHERE sequence = 3")
    assert found(told, keys) == {("H001", "audit/3")}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_is_found(told: Ledger, keys: Keyring, address: Address, column: str) -> None:
    value = "2020-01-01T00:00:00.000000Z" if column == "time" else "other"
    unguarded(address, f"UPDATE audit SET {column} = '{value}' WHERE sequence = 2")
    assert found(told, keys) == {("H005", "audit/2")}


@pytest.mark.parametrize(("column", "value"), [("signature", "AAAA"), ("signature", "no base64"), ("key", "signing/2")])
def test_a_signature_that_was_changed_is_found(
    told: Ledger, keys: Keyring, address: Address, column: str, value: str
) -> None:
    unguarded(address, f"UPDATE audit SET {column} = '{value}' WHERE sequence = 2")
    assert found(told, keys) == {("H004", "audit/2")}


def test_an_entry_that_was_taken_out_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "DELETE FROM audit WHERE sequence = 3")
    assert found(told, keys) == {("H002", "audit/4"), ("H003", "audit/4")}


def test_a_log_that_lost_its_beginning_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "DELETE FROM audit WHERE sequence < 3")
    assert found(told, keys) == {("H002", "audit/3"), ("H003", "audit/3")}


def test_entries_in_another_order_are_found(told: Ledger, keys: Keyring, address: Address) -> None:
    steps = [("9", "2"), ("2", "3"), ("3", "9")]
    unguarded(address, *(f"UPDATE audit SET sequence = {new} WHERE sequence = {old}" for new, old in steps))
    codes = found(told, keys)
    assert {("H001", "audit/2"), ("H003", "audit/2"), ("H001", "audit/3"), ("H003", "audit/3")} <= codes


def test_an_entry_that_was_put_in_is_found(told: Ledger, keys: Keyring, address: Address) -> None:
    columns = (
        "event, acts, acts_digest, key, signature, time, activity, operation, result, actor, resource, correlation"
    )
    unguarded(
        address,
        f"INSERT INTO audit (sequence, previous, digest, {columns}) "
        f"SELECT 6, digest, 'sha256:forged', {columns} FROM audit WHERE sequence = 5",
    )
    assert found(told, keys) == {("H001", "audit/6"), ("H004", "audit/6")}


def test_a_rebuilt_chain_lacks_the_signature_of_the_keyring(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "DELETE FROM audit WHERE sequence > 2")
    stranger = new_keyring(keys.path.with_name("other.keys"), now=NOW)
    for number in (7, 8):
        told.write(partial(append_event, event=event(number), signer=stranger, acts=EMPTY_LOG))
    assert found(told, keys) == {("H004", "audit/3"), ("H004", "audit/4")}


def test_a_truncated_log_is_valid_up_to_its_end(told: Ledger, keys: Keyring, address: Address) -> None:
    unguarded(address, "DELETE FROM audit WHERE sequence > 2")
    assert found(told, keys) == set()
    assert (unanchored_finding().code, unanchored_finding().severity) == ("H009", "warning")


def kept(ledger: Ledger, at: LogHead) -> list[str]:
    return [
        each.code
        for each in ledger.read(lambda connection: list(check_external_head(connection, ExternalHead(at, "kept"))))
    ]


def test_a_head_that_was_kept_finds_a_log_that_was_cut_short(told: Ledger, address: Address) -> None:
    before = told.read(log_head)
    assert kept(told, before) == []
    unguarded(address, "DELETE FROM audit WHERE sequence > 2")
    assert kept(told, before) == ["H006"]


def test_a_head_that_was_kept_finds_another_log(told: Ledger) -> None:
    assert kept(told, LogHead(4, "sha256:other")) == ["H007"]
    assert kept(told, EMPTY_LOG) == []


def publishes(receipt: Receipt) -> Resource:
    return Resource("out", "output", "output/1", (PropertyChange("receipt", None, receipt.digest),))


def beside(ledger: Ledger, receipt: Receipt, keys: Keyring) -> list[str]:
    def work(connection: Connection) -> list[str]:
        return [each.code for each in check_receipts(connection, [("r", receipt)], keys)]

    return ledger.read(work)


@pytest.fixture(name="receipt")
def _receipt(told: Ledger, keys: Keyring) -> Receipt:
    """A receipt that names the log's head, and is told of in it."""
    now = told.read(log_head)
    made = replace(small(1), audit=AuditHead(now.sequence, str(now.digest))).with_signature(keys)
    tells(told, keys, event(9, activity="run", correlation_id=made.run_id, resources=(publishes(made),)))
    return made


def test_a_receipt_that_matches_the_audit_log_has_no_finding(told: Ledger, receipt: Receipt, keys: Keyring) -> None:
    assert beside(told, receipt, keys) == []


def test_a_receipt_finds_a_log_that_was_cut_short(
    told: Ledger, receipt: Receipt, keys: Keyring, address: Address
) -> None:
    unguarded(address, "DELETE FROM audit WHERE sequence > 3")
    assert beside(told, receipt, keys) == ["H006"]


def test_a_receipt_missing_from_the_audit_log_is_a_warning(
    told: Ledger, receipt: Receipt, keys: Keyring, address: Address
) -> None:
    unguarded(address, "DELETE FROM audit WHERE sequence > 5")
    assert beside(told, receipt, keys) == ["H008"]


def test_a_receipt_of_another_log_is_found(told: Ledger, receipt: Receipt, keys: Keyring) -> None:
    other = replace(receipt, audit=AuditHead(5, "sha256:other"), signature=None).with_signature(keys)
    assert beside(told, other, keys) == ["H007"]


def test_a_receipt_that_differs_from_the_audit_log_is_found(told: Ledger, receipt: Receipt, keys: Keyring) -> None:
    other = replace(receipt, purpose="customer_support", signature=None).with_signature(keys)
    assert beside(told, other, keys) == ["H007"]


def test_an_unsigned_receipt_is_not_compared(told: Ledger, receipt: Receipt, keys: Keyring) -> None:
    assert beside(told, replace(receipt, signature=None), keys) == ["H010"]


def test_a_receipt_without_an_audit_head_is_reported(told: Ledger, receipt: Receipt, keys: Keyring) -> None:
    assert beside(told, replace(receipt, audit=None, signature=None).with_signature(keys), keys) == ["H011"]


def test_a_long_log_is_checked_whole(told: Ledger, keys: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.ledger.audit_check.PAGE_SIZE", 2)
    assert found(told, keys) == set()
    assert len(told.read(lambda connection: list(read_entries(connection)))) == 5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("acts", "'x'"),
        ("acts", "x'ff'"),
        ("acts", "1.5"),
        ("previous", "x'ff'"),
        ("signature", "x'ff'"),
        ("digest", "x'ff'"),
    ],
)
def test_a_value_of_another_type_is_an_error_of_the_ledger(
    tmp_path: Path, keys: Keyring, column: str, value: str
) -> None:
    """SQLite permits any type in any column."""
    with opened(find_ledger(tmp_path / "ledger.db")) as ledger:
        tells(ledger, keys, event(1))
        unguarded(ledger.address, f"UPDATE audit SET {column} = {value}")
        with pytest.raises(LedgerError, match="an audit entry that cannot be read"):
            check_whole_log(ledger, keys)
