from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minimize.keys import Keyring, new_keyring
from minimize.receipts import (
    QuarantineEntry,
    Receipt,
    ReceiptFile,
    ReceiptRowCounts,
    WrittenOutput,
    check_chain,
    check_file_history,
    files_in_force,
    quarantine_files_in_force,
)
from minimize.records import FileRef
from tests.project import AT, write_keyring

from .make import chain, small


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return write_keyring(tmp_path / "test.keys", ["device"])


@pytest.fixture
def receipts(keyring: Keyring) -> list[Receipt]:
    return chain(keyring, {}, {}, {"kind": "expire"}, {})


def _codes(receipts: list[Receipt], keyring: Keyring) -> list[str]:
    return [finding.code for finding in check_chain(receipts, keyring)]


def test_a_whole_chain_has_no_findings(receipts: list[Receipt], keyring: Keyring) -> None:
    assert _codes(receipts, keyring) == []
    assert _codes(receipts[::-1], keyring) == []
    assert _codes([], keyring) == []


def test_a_receipt_that_is_missing_in_the_middle_is_found(receipts: list[Receipt], keyring: Keyring) -> None:
    assert _codes([*receipts[:1], *receipts[2:]], keyring) == ["V002", "V003"]


def test_a_first_receipt_that_is_missing_is_found(receipts: list[Receipt], keyring: Keyring) -> None:
    assert _codes(receipts[1:], keyring) == ["V002", "V003"]


def test_a_repeated_receipt_is_found(receipts: list[Receipt], keyring: Keyring) -> None:
    assert "V002" in _codes([*receipts, receipts[-1]], keyring)


def test_exchanged_sequences_are_found(receipts: list[Receipt], keyring: Keyring) -> None:
    exchanged = [receipts[0], replace(receipts[2], sequence=2), replace(receipts[1], sequence=3), receipts[3]]
    assert {"V003", "V004"} <= set(_codes(exchanged, keyring))


def test_an_edited_receipt_breaks_its_signature_and_the_link_to_it(receipts: list[Receipt], keyring: Keyring) -> None:
    edited = [receipts[0], replace(receipts[1], purpose="operations"), *receipts[2:]]
    assert _codes(edited, keyring) == ["V003", "V004"]


def test_a_receipt_signed_with_another_key_is_found(receipts: list[Receipt], keyring: Keyring, tmp_path: Path) -> None:
    other = new_keyring(tmp_path / "other.keys", now=AT)
    forged = small(5, receipts[-1].digest).with_signature(other)
    assert _codes([*receipts, forged], keyring) == ["V004"]


def test_an_imbalance_is_found_and_named_by_its_file(receipts: list[Receipt], keyring: Keyring) -> None:
    odd = replace(small(5, receipts[-1].digest), rows=ReceiptRowCounts(read=3))
    findings = [finding for finding in check_chain([*receipts, odd], keyring) if finding.code == "V005"]
    assert [finding.file for finding in findings] == [f"runs/{odd.run_id}/receipt.json"]


def test_an_end_that_is_cut_off_is_not_seen_by_the_chain_alone(receipts: list[Receipt], keyring: Keyring) -> None:
    assert _codes(receipts[:-1], keyring) == []


def test_a_first_receipt_with_a_predecessor_is_reported_by_its_file(receipts: list[Receipt], keyring: Keyring) -> None:
    first = small(1, receipts[-1].digest).with_signature(keyring)
    assert [(each.code, each.file) for each in check_chain([first], keyring)] == [
        ("V003", f"runs/{first.run_id}/receipt.json")
    ]


DAY1 = ReceiptFile("records/date=2026-11-24/a-0.parquet", 3, "sha256:a")
DAY2 = ReceiptFile("records/date=2026-11-25/b-0.parquet", 4, "sha256:b")
AGAIN = ReceiptFile("records/date=2026-11-24/c-0.parquet", 2, "sha256:c")


def _writes(sequence: int, *files: ReceiptFile, replaces: tuple[FileRef, ...] = (), name: str = "records") -> Receipt:
    output = WrittenOutput("pseudonymized", sum(file.rows for file in files), files=files)
    return small(sequence, outputs={name: output}, replaces=replaces)


def _ref(file: ReceiptFile) -> FileRef:
    return FileRef(file.path, file.digest)


def test_files_of_different_dates_are_all_current() -> None:
    assert files_in_force([_writes(1, DAY1), _writes(2, DAY2)]) == {"records": [DAY1, DAY2]}


def test_a_run_of_the_same_date_replaces_its_files() -> None:
    receipts = [_writes(1, DAY1), _writes(2, DAY2), _writes(3, AGAIN, replaces=(_ref(DAY1),))]
    assert files_in_force(receipts) == {"records": [AGAIN, DAY2]}


def test_the_sequence_decides_never_the_order_given() -> None:
    receipts = [_writes(3, AGAIN, replaces=(_ref(DAY1),)), _writes(2, DAY2), _writes(1, DAY1)]
    assert files_in_force(receipts) == {"records": [AGAIN, DAY2]}


def test_a_removed_file_is_not_current_and_its_output_stays_listed() -> None:
    removal = small(2, kind="delete", removes=(_ref(DAY1),))
    assert files_in_force([_writes(1, DAY1), removal]) == {"records": []}


def test_every_output_has_its_own_set() -> None:
    fleet = ReceiptFile("fleet/date=2026-11-24/a.parquet", 1, "sha256:f")
    assert files_in_force([_writes(1, DAY1), _writes(2, fleet, name="fleet")]) == {"records": [DAY1], "fleet": [fleet]}


def test_quarantine_is_replaced_with_its_date() -> None:
    first = ReceiptFile("quarantine/date=2026-11-24/a.parquet", 1, "sha256:q")
    second = ReceiptFile("quarantine/date=2026-11-24/c.parquet", 2, "sha256:r")
    receipts = [
        small(1, quarantine=QuarantineEntry(1, {"malformed": 1}, (first,))),
        small(2, quarantine=QuarantineEntry(2, {"malformed": 2}, (second,)), replaces=(_ref(first),)),
    ]
    assert quarantine_files_in_force(receipts) == [second]
    assert quarantine_files_in_force(receipts[:1]) == [first]


def test_a_whole_history_has_no_findings() -> None:
    assert check_file_history([_writes(1, DAY1), _writes(2, AGAIN, replaces=(_ref(DAY1),))]) == []


def test_replacing_a_file_that_is_not_current_is_found() -> None:
    assert [f.code for f in check_file_history([_writes(1, DAY1), _writes(2, AGAIN, replaces=(_ref(DAY2),))])] == [
        "V006"
    ]


def test_replacing_a_file_of_another_digest_is_found() -> None:
    stale = FileRef(DAY1.path, "sha256:other")
    assert [f.code for f in check_file_history([_writes(1, DAY1), _writes(2, AGAIN, replaces=(stale,))])] == ["V006"]


def test_a_file_name_that_is_used_again_is_found() -> None:
    receipts = [_writes(1, DAY1), _writes(2, DAY1, replaces=(_ref(DAY1),))]
    assert [f.code for f in check_file_history(receipts)] == ["V006"]
