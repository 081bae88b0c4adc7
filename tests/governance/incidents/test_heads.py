"""Persons over everything that was exposed."""

from __future__ import annotations

from datetime import UTC, datetime

from minimize.governance.incidents.inventory import DisclosedCopy
from minimize.governance.incidents.scope import PersonCount, PersonCounter
from minimize.ledger.disclosures import TOKEN_BYTES, Disclosure, TenantShare

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def copy(name: str, *persons: int, rows: int = 9, version: int | None = 1) -> DisclosedCopy:
    body = {"policy": {"name": "devices"}, "fields": {"model": "keep"}, "category": "pseudonymized"}
    tokens = b"".join(bytes([each]) * TOKEN_BYTES for each in persons)
    return DisclosedCopy(
        Disclosure(name, NOW, "vendor", "sync", rows, "x", None, body), TenantShare("north", rows, "c", version, tokens)
    )


def subjects(*copies: DisclosedCopy) -> PersonCount:
    heads = PersonCounter()
    for each in copies:
        heads.add_copy(each)
    return heads.counts()["north"]


def test_a_person_in_two_copies_is_one() -> None:
    assert subjects(copy("a", 1, 2), copy("b", 2, 3)) == PersonCount(3, exact=True)


def test_names_under_two_key_versions_are_at_most_so_many_persons() -> None:
    assert subjects(copy("a", 1, 2), copy("b", 1, version=2)) == PersonCount(3, exact=False)


def test_records_that_name_nobody_are_at_most_so_many_persons() -> None:
    assert subjects(copy("a", rows=7, version=None)) == PersonCount(7, exact=False)
    assert subjects(copy("a", 1, 2), copy("b", rows=7, version=None)) == PersonCount(9, exact=False)


def test_the_same_copy_twice_adds_nothing() -> None:
    assert subjects(copy("a", rows=7, version=None), copy("a", rows=7, version=None)) == PersonCount(7, exact=False)
