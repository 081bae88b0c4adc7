from __future__ import annotations

from typing import Any

import pytest

from minimize.errors import ConfigurationError
from minimize.interop.json_schema_import import SchemaReferences, dialect_of_schema

NEW = "https://json-schema.org/draft/2020-12/schema"
OLD = "http://json-schema.org/draft-04/schema#"


def resolved(root: dict[str, Any], ref: str, at: dict[str, Any] | None = None) -> Any:
    return SchemaReferences.from_document(root, dialect_of_schema(root)).resolve(ref, root if at is None else at)


def test_a_pointer_is_followed_with_its_escapes() -> None:
    root = {"$defs": {"a/b~c d": {"type": "string"}, "list": [{}, {"type": "integer"}]}}
    assert resolved(root, "#/$defs/a~1b~0c%20d") == {"type": "string"}
    assert resolved(root, "#/$defs/list/1") == {"type": "integer"}
    assert resolved(root, "#") is root


def test_an_anchor_is_a_keyword_of_new_drafts_and_an_id_in_old_ones() -> None:
    assert (
        resolved({"$schema": NEW, "$defs": {"x": {"$anchor": "here", "type": "string"}}}, "#here")["type"] == "string"
    )
    assert (
        resolved({"$schema": OLD, "definitions": {"x": {"id": "#here", "type": "string"}}}, "#here")["type"] == "string"
    )


def test_a_schema_is_found_by_its_id_relative_to_the_one_around_it() -> None:
    inner = {"$id": "item.json", "$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}
    root = {"$id": "https://example.com/schemas/root.json", "$defs": {"i": inner}}
    assert resolved(root, "item.json") is inner
    assert resolved(root, "#/$defs/n", inner) == {"type": "integer"}


def test_an_id_within_data_names_nothing() -> None:
    root = {"properties": {"x": {"const": {"$anchor": "here"}}}}
    with pytest.raises(ConfigurationError):
        resolved(root, "#here")


@pytest.mark.parametrize(
    "ref",
    [
        "https://example.com/other.json",
        "other.json#/x",
        "#/nowhere",
        "#nowhere",
        "#/$defs/list/7",
        "file:///etc/passwd",
    ],
)
def test_what_is_not_in_the_file_is_neither_fetched_nor_opened(ref: str) -> None:
    with pytest.raises(ConfigurationError, match="leads to nothing in the file") as caught:
        resolved({"$defs": {"list": [1]}}, ref)
    assert ref not in str(caught.value)
