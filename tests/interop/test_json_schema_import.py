from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.drafting import accept_proposals
from minimize.errors import ConfigurationError
from minimize.interop.convert import imported_policy_text
from minimize.interop.documents import DescribedDataset
from minimize.interop.json_schema import read_json_schema
from minimize.interop.schema_merging import SCHEMA_DIALECTS, SchemaReferences, dialect_of_schema
from minimize.policy.load import load_policy


@pytest.mark.parametrize("dialect", SCHEMA_DIALECTS, ids=lambda each: each.name)
def test_a_draft_is_known_by_its_uri_with_or_without_its_fragment(dialect: object) -> None:
    uri = getattr(dialect, "uri", "")
    assert dialect_of_schema({"$schema": uri}) == dialect_of_schema({"$schema": f"{uri}#"}) == dialect


def test_a_schema_without_a_dialect_is_of_the_newest_draft() -> None:
    assert dialect_of_schema({}).name == dialect_of_schema(True).name == "2020-12"


@pytest.mark.parametrize("uri", ["http://json-schema.org/draft-03/schema#", "http://json-schema.org/schema#", "x", 7])
def test_another_draft_is_refused(uri: object) -> None:
    with pytest.raises(ConfigurationError, match="unknown draft"):
        dialect_of_schema({"$schema": uri})


URIS = {dialect.name: dialect.uri for dialect in SCHEMA_DIALECTS}


def of(properties: dict[str, Any], draft: str = "2020-12", defs: Any = None, **more: Any) -> DescribedDataset:
    head = {"$schema": URIS[draft], "$defs": defs or {}}
    return read_json_schema({**head, "type": "object", "properties": properties, **more})


def types(described: DescribedDataset) -> dict[str, str]:
    return {str(column.pointer): column.type for column in described.columns}


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "integer"),
        ({"type": "number"}, "double"),
        ({"type": ["number", "integer"]}, "double"),
        ({"type": "boolean"}, "boolean"),
        ({"type": ["string", "null"]}, "string"),
        ({"type": "string", "format": "date-time"}, "timestamp"),
        ({"type": "string", "format": "date"}, "date"),
        ({"format": "email"}, "string"),
        ({"type": "string", "contentEncoding": "base64"}, "binary"),
        ({"enum": ["on", "off", None]}, "string"),
        ({"enum": [1, 2]}, "integer"),
        ({"const": True}, "boolean"),
        ({"type": "array"}, "list"),
        ({"type": "object"}, "map"),
        ({"additionalProperties": {"type": "string"}}, "map"),
        ({"patternProperties": {"^a": {}}}, "map"),
        ({"type": "number", "x-minimize": {"type": "decimal(10,2)"}}, "decimal(10,2)"),
    ],
)
def test_a_type_becomes_the_policys_word(schema: dict[str, Any], word: str) -> None:
    assert types(of({"x": schema})) == {"/x": word}


@pytest.mark.parametrize("draft", URIS)
def test_nested_objects_lists_and_references_become_pointers_in_every_draft(draft: str) -> None:
    app = {"type": "object", "properties": {"name": {"type": "string"}, "a/b": {"type": "integer"}}}
    found = of({"apps": {"type": "array", "items": {"$ref": "#/definitions/app"}}}, draft, definitions={"app": app})
    assert types(found) == {"/apps/*/name": "string", "/apps/*/a~1b": "integer"}


def test_all_of_is_put_together_and_alternatives_are_united() -> None:
    found = of(
        {},
        allOf=[{"properties": {"a": {"type": "string"}}, "required": ["a"]}],
        anyOf=[
            {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            {"properties": {"c": {"type": "integer"}}},
        ],
    )
    assert types(found) == {"/a": "string", "/b": "string", "/c": "integer"}
    assert [str(column.pointer) for column in found.columns if column.required] == ["/a"]


def test_branches_count_from_draft_7_on() -> None:
    then = {"if": {}, "then": {"properties": {"b": {"type": "string"}}}}
    assert "/b" in types(of({"a": {"type": "string"}}, "draft-07", **then))
    assert "/b" not in types(of({"a": {"type": "string"}}, "draft-06", **then))


def test_keywords_next_to_a_reference_count_from_draft_2019_09() -> None:
    beside = {"x": {"$ref": "#/definitions/t", "format": "date-time"}}
    text = {"t": {"type": "string"}}
    assert types(of(beside, "2019-09", definitions=text)) == {"/x": "timestamp"}
    assert types(of(beside, "draft-07", definitions=text)) == {"/x": "string"}


def test_tuples_are_items_and_then_prefix_items() -> None:
    pair = [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"b": {}}}]
    assert "/x/*/a" in types(of({"x": {"type": "array", "items": pair}}, "draft-04"))
    assert "/x/*/a" in types(of({"x": {"type": "array", "prefixItems": pair}}))
    assert types(of({"x": {"type": "array", "prefixItems": pair}, "y": {"type": "string"}}, "draft-07")) == {
        "/x": "list",
        "/y": "string",
    }


def test_const_is_nothing_in_draft_4() -> None:
    found = of({"x": {"const": 1}, "y": {"type": "string"}}, "draft-04")
    assert types(found) == {"/y": "string"}


def test_a_false_schema_forbids_the_field_in_drafts_with_boolean_schemas() -> None:
    assert [str(pointer) for pointer in of({"x": False, "y": {"type": "string"}}).never] == ["/x"]
    assert of({"x": False, "y": {"type": "string"}}, "draft-04").never == ()


def test_a_field_is_required_only_if_its_parents_are_and_it_cannot_be_null() -> None:
    leaf = {"type": "string"}
    inner = {"type": "object", "properties": {"a": leaf, "b": leaf}, "required": ["a"]}
    found = of(
        {"sure": inner, "perhaps": inner, "null": {"type": ["string", "null"]}, "list": {"items": inner}},
        required=["sure", "null", "list"],
    )
    assert [str(column.pointer) for column in found.columns if column.required] == ["/sure/a"]


def test_fields_that_no_policy_can_name_are_left_out_with_the_reason() -> None:
    found = of(
        {"a": {"type": ["string", "integer"]}, "b": {}, "c": True, "": {"type": "string"}, "d": {"type": "string"}}
    )
    assert types(found) == {"/d": "string"}
    assert found.left_out == {
        "/a": "it can have several types",
        "/b": "it can have any type",
        "/c": "it can have any type",
        "": "a field cannot have this name",
    }


def test_a_recursive_schema_ends_and_a_shared_part_is_not_mistaken_for_one() -> None:
    node = {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}}
    base = {"properties": {"id": {"type": "string"}}}
    inner = {"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"n": {"type": "integer"}}}]}
    found = of(
        {"tree": {"$ref": "#/$defs/node"}, "inner": inner},
        allOf=[{"$ref": "#/$defs/base"}],
        defs={"node": node, "base": base},
    )
    assert types(found) == {"/tree/v": "integer", "/inner/id": "string", "/inner/n": "integer", "/id": "string"}
    assert found.left_out == {"/tree/next": "it contains itself"}


def test_a_schema_that_multiplies_itself_is_refused() -> None:
    definitions: dict[str, Any] = {"d9": {"properties": {f"p{n}": {"$ref": "#/$defs/d0"} for n in range(9)}}}
    for n in range(9):
        definitions[f"d{n}"] = {"allOf": [{"allOf": [{"$ref": f"#/$defs/d{n + 1}"}]} for _ in range(9)]}
    with pytest.raises(ConfigurationError):
        of({"x": {"$ref": "#/$defs/d0"}}, defs=definitions)


def test_a_list_of_records_is_read_as_its_records() -> None:
    assert types(read_json_schema({"type": "array", "items": {"properties": {"a": {"type": "string"}}}})) == {
        "/a": "string"
    }


def test_descriptions_roles_units_and_formats_go_along() -> None:
    column = of(
        {
            "m": {
                "type": "string",
                "format": "email",
                "description": "where\n to write",
                "x-minimize": {"unit": "address"},
            }
        }
    ).columns[0]
    assert (column.about, column.kind, column.reason, column.unit) == (
        "where to write",
        "email",
        "its format is `email`",
        "address",
    )
    assert of({"p": {"type": "string", "format": "password"}}).columns[0].role == "secret"
    assert of({"p": {"type": "string", "x-minimize": {"role": "nonsense"}}}).columns[0].role is None


@pytest.mark.parametrize("document", [{}, [], None, "x", {"type": "string"}, {"properties": {"a": {}}}])
def test_a_schema_without_fields_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationError):
        read_json_schema(document)


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
def test_external_references_are_neither_fetched_nor_opened(ref: str) -> None:
    with pytest.raises(ConfigurationError, match="is not in the file") as caught:
        resolved({"$defs": {"list": [1]}}, ref)
    assert ref not in str(caught.value)


@pytest.mark.parametrize(("type_", "subject"), [("string", "device_id"), (["string", "null"], None)])
def test_accepting_all_does_not_take_a_field_that_can_be_null_as_the_subject(
    tmp_path: Path, type_: Any, subject: str | None
) -> None:
    described = of({"device_id": {"type": type_}, "model": {"type": "string"}})
    (tmp_path / "policy.yaml").write_text(imported_policy_text(described, "json-schema"))
    accept_proposals(tmp_path, ["all"])
    assert load_policy(tmp_path).subject == subject
