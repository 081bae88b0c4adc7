from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.drafting import accept_proposals
from minimize.errors import ConfigurationError
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.interop.allow_list import read_allow_list
from minimize.interop.convert import imported_policy_text
from minimize.policy.load import load_policy, policy_from_mapping
from minimize.policy.model import Policy


def proposed(document: Any, choice: str | None = None) -> dict[str, str | None]:
    return {str(column.pointer): column.do for column in read_allow_list(document, choice).columns}


def test_kept_fields_are_proposed_and_hashes_become_keyed_pseudonyms() -> None:
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
        read_allow_list(two)
    with pytest.raises(ConfigurationError, match="--object"):
        read_allow_list(two, "order")


def test_each_table_has_the_default_fields_and_its_own_words_decide() -> None:
    document = {
        "__defaults__": {"dt": "keep", "agent": "keep", "geo": {"country": "keep", "city": "keep"}},
        "users": {"id": "hash", "agent": "drop", "geo": {"city": "drop"}},
        "orders": ["n"],
    }
    assert proposed(document, "users") == {
        "/dt": "keep",
        "/agent": "drop",
        "/geo/country": "keep",
        "/geo/city": "drop",
        "/id": "{pseudonymize: {key: pseudonyms}}",
    }
    assert proposed(document, "orders").keys() == {"/dt", "/agent", "/geo/country", "/geo/city", "/n"}
    with pytest.raises(ConfigurationError, match="--object"):
        proposed(document, "__defaults__")


@pytest.mark.parametrize("word", ["keep_all", "keep-all", "KEEP_ALL"])
def test_fields_that_an_allow_list_keeps_without_a_name_are_left_out(word: str) -> None:
    found = read_allow_list({"users": {"id": "keep", "event": word}})
    assert [str(column.pointer) for column in found.columns] == ["/id"]
    assert [*found.left_out] == ["event/*"]
    whole = read_allow_list({"__defaults__": {"dt": "keep"}, "users": word})
    assert ([str(column.pointer) for column in whole.columns], [*whole.left_out]) == (["/dt"], ["*"])


def test_a_document_of_fields_alone_is_one_table() -> None:
    assert proposed({"id": "hash", "city": "keep", "note": "?"}) == {
        "/id": "{pseudonymize: {key: pseudonyms}}",
        "/city": "keep",
        "/note": "drop",
    }
    assert read_allow_list({"city": "keep"}, "users").name == "users"
    assert read_allow_list({"city": "keep"}).name == "fields"


@pytest.mark.parametrize("document", [None, [], {}, {"users": 7}, {"__defaults__": {"id": "keep"}}, "keep"])
def test_a_document_that_is_no_allow_list_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError, match="not an allow-list"):
        read_allow_list(document)


def accepted(document: Any, folder: Path) -> Policy:
    (folder / "policy.yaml").write_text(imported_policy_text(read_allow_list(document), "allow-lists"))
    accept_proposals(folder, ["all"])
    return load_policy(folder)


def test_a_kept_name_of_a_secret_is_proposed_to_be_dropped_so_that_all_can_be_accepted(tmp_path: Path) -> None:
    policy = accepted({"users": {"sessionToken": "keep", "city": "keep"}}, tmp_path)
    token = policy.fields["sessionToken"]
    assert (token.role, token.do) == ("secret", "drop")
    assert policy.fields["city"].do != "drop"


def test_in_the_policy_all_is_dropped_still() -> None:
    root = parse_yaml(
        imported_policy_text(read_allow_list({"users": {"id": "hash", "city": "keep"}}), "allow-lists"), FaultList()
    )
    assert root is not None
    assert {key: field.do for key, field in policy_from_mapping(root.to_data()).fields.items()} == {
        "id": "drop",
        "city": "drop",
    }
