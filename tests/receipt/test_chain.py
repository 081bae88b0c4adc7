from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minimize.keys import Keyring, new_keyring
from minimize.receipts import Receipt, RowCounts, check_chain
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


def test_a_receipt_that_stands_twice_is_found(receipts: list[Receipt], keyring: Keyring) -> None:
    assert "V002" in _codes([*receipts, receipts[-1]], keyring)


def test_exchanged_sequences_are_found(receipts: list[Receipt], keyring: Keyring) -> None:
    exchanged = [receipts[0], replace(receipts[2], sequence=2), replace(receipts[1], sequence=3), receipts[3]]
    assert {"V003", "V004"} <= set(_codes(exchanged, keyring))


def test_an_edited_receipt_breaks_its_signature_and_the_link_to_it(receipts: list[Receipt], keyring: Keyring) -> None:
    edited = [receipts[0], replace(receipts[1], purpose="operations"), *receipts[2:]]
    assert _codes(edited, keyring) == ["V003", "V004"]


def test_a_receipt_signed_by_somebody_else_is_found(receipts: list[Receipt], keyring: Keyring, tmp_path: Path) -> None:
    other = new_keyring(tmp_path / "other.keys", now=AT)
    forged = small(5, receipts[-1].digest).with_signature(other)
    assert _codes([*receipts, forged], keyring) == ["V004"]


def test_an_imbalance_is_found_and_named_by_its_file(receipts: list[Receipt], keyring: Keyring) -> None:
    odd = replace(small(5, receipts[-1].digest), rows=RowCounts(read=3))
    findings = [finding for finding in check_chain([*receipts, odd], keyring) if finding.code == "V005"]
    assert [finding.file for finding in findings] == [f"runs/{odd.run_id}/receipt.json"]


def test_an_end_that_is_cut_off_is_not_seen_by_the_chain_alone(receipts: list[Receipt], keyring: Keyring) -> None:
    assert _codes(receipts[:-1], keyring) == []


def test_a_first_receipt_that_names_one_before_it_is_told_by_its_file(
    receipts: list[Receipt], keyring: Keyring
) -> None:
    first = small(1, receipts[-1].digest).with_signature(keyring)
    assert [(each.code, each.file) for each in check_chain([first], keyring)] == [
        ("V003", f"runs/{first.run_id}/receipt.json")
    ]
