"""Subjects are told by tokens that nobody can turn back or join across tenants."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from minimize.governance.sharing.consent_filter import TenantCodes
from minimize.governance.sharing.payload import SeenDictionary, SubjectTokens, disclosure_token, first_occurrences
from minimize.ledger.disclosures import TenantShare
from tests.governance.sharing.sender import Sender


def listed(sender: Sender, owners: SubjectTokens, tenant: str) -> list[str]:
    return TenantShare(tenant, 0, "", 1, owners.tokens_by_tenant(sender.keys)[tenant]).token_texts()


def seen(*pairs: tuple[str, str | None]) -> SubjectTokens:
    owners = SubjectTokens()
    for tenant, subject in pairs:
        owners.take(TenantCodes.from_column(pa.array([tenant])), pa.array([subject], pa.string()))
    return owners


def test_each_subject_has_one_token_however_often_it_came(sender: Sender) -> None:
    owners = seen(("north", "d-1"), ("north", "d-1"), ("north", "d-2"), ("north", None))
    assert set(listed(sender, owners, "north")) == {
        disclosure_token(sender.keys, "north", name) for name in ("d-1", "d-2")
    }


def test_one_subject_of_two_tenants_has_two_tokens(sender: Sender) -> None:
    owners = seen(("north", "d-1"), ("south", "d-1"))
    assert listed(sender, owners, "north") != listed(sender, owners, "south")


def test_what_means_the_same_is_the_same_subject(sender: Sender) -> None:
    owners = seen(("north", " d-1"), ("north", "d-1 "), ("north", "é"), ("north", "e\u0301"))
    assert set(listed(sender, owners, "north")) == {
        disclosure_token(sender.keys, "north", name) for name in ("d-1", "é")
    }


def test_the_order_of_tokens_tells_nothing_of_the_order_of_rows(sender: Sender) -> None:
    one, other = seen(("n", "a"), ("n", "b"), ("n", "c")), seen(("n", "c"), ("n", "a"), ("n", "b"))
    assert one.tokens_by_tenant(sender.keys) == other.tokens_by_tenant(sender.keys)


def test_nobody_has_no_tokens(sender: Sender) -> None:
    assert seen(("north", None)).tokens_by_tenant(sender.keys) == {}


def test_what_is_printed_shows_no_subject() -> None:
    assert "d-1" not in repr(seen(("north", "d-1")))


def test_the_first_row_of_each_code_says_it_all() -> None:
    codes = np.random.default_rng(1).integers(0, 9, 50)
    rows = first_occurrences(pa.array(codes))
    assert sorted(codes[rows].tolist()) == sorted(set(codes.tolist()))


def encoded(words: list[str | None], entries: list[str]) -> pa.DictionaryArray:
    codes = [None if word is None else entries.index(word) for word in words]
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(entries))


def test_of_a_dictionary_that_grows_each_entry_is_new_once() -> None:
    seen = SeenDictionary()
    assert seen.new_rows(encoded(["a", "b", "a", None], ["a", "b"])).tolist() == [0, 1, 3]
    assert seen.new_rows(encoded(["b", "c", "a", "c", None], ["a", "b", "c"])).tolist() == [1, 4]
    assert seen.new_rows(encoded(["c", "b"], ["a", "b", "c"])).tolist() == []


@pytest.mark.parametrize("entries", [["b", "a"], ["a"], ["a", "x", "c"]])
def test_another_dictionary_begins_anew(entries: list[str]) -> None:
    seen = SeenDictionary()
    seen.new_rows(encoded(["a", "b"], ["a", "b"]))
    assert seen.new_rows(encoded(["a", "a"], entries)).tolist() == [0]


def test_an_entry_that_no_row_had_is_new_when_one_has_it() -> None:
    seen = SeenDictionary()
    assert seen.new_rows(encoded(["a"], ["a", "b"])).tolist() == [0]
    assert seen.new_rows(encoded(["a", "b"], ["a", "b"])).tolist() == [1]
