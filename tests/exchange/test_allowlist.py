from __future__ import annotations

from typing import Any

import pytest

from minimize.errors import ConfigurationError
from minimize.exchange.allowlist import read
from minimize.exchange.policy_text import policy_text
from minimize.policy.faults import Faults
from minimize.policy.load import policy_from
from minimize.policy.yaml import parse


def proposed(document: Any, choice: str | None = None) -> dict[str, str | None]:
    return {str(column.pointer): column.do for column in read(document, choice).columns}


def test_what_is_kept_is_proposed_and_a_hash_becomes_a_keyed_pseudonym() -> None:
    assert proposed({"users": {"id": "hash", "mail": "SHA-256", "city": "keep", "note": "drop", "x": None}}) == {
        "/id": "{pseudonymize: {key: pseudonyms}}",
        "/mail": "{pseudonymize: {key: pseudonyms}}",
        "/city": "keep",
        "/note": "drop",
        "/x": "drop",
    }


def test_a_word_that_is_not_known_lets_nothing_through() -> None:
    assert proposed({"users": {"id": "let it pass", "mail": 7}}) == {"/id": "drop", "/mail": "drop"}


def test_a_list_keeps_its_fields_and_mappings_nest() -> None:
    assert proposed({"users": ["id", "city"]}) == {"/id": "keep", "/city": "keep"}
    assert proposed({"users": {"home": {"city": "keep"}}}) == {"/home/city": "keep"}


def test_of_several_tables_one_is_named() -> None:
    two = {"users": {"id": "keep"}, "orders": {"n": "keep"}}
    assert proposed(two, "orders") == {"/n": "keep"}
    with pytest.raises(ConfigurationError, match="--object"):
        read(two)
    with pytest.raises(ConfigurationError, match="--object"):
        read(two, "order")


@pytest.mark.parametrize("document", [None, [], {}, {"users": "keep"}, "keep"])
def test_what_is_no_allow_list_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError, match="no allow-list"):
        read(document)


def test_in_the_policy_all_is_dropped_still() -> None:
    root = parse(policy_text(read({"users": {"id": "hash", "city": "keep"}}), "allow-lists"), Faults())
    assert root is not None
    assert {key: field.do for key, field in policy_from(root.plain()).fields.items()} == {"id": "drop", "city": "drop"}
