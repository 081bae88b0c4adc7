from __future__ import annotations

from minimize.policy.json_schema import (
    any_of_schema,
    enum_schema,
    list_schema,
    mapping_schema,
    positive_integer_schema,
    schema_ref,
    string_schema,
)


def test_parts_are_plain_json_schema() -> None:
    assert schema_ref("do") == {"$ref": "#/$defs/do"}
    assert string_schema("A name.", pattern="^a$") == {"type": "string", "description": "A name.", "pattern": "^a$"}
    assert positive_integer_schema("A count.") == {
        "type": "integer",
        "minimum": 1,
        "maximum": 2**53 - 1,
        "description": "A count.",
    }
    assert enum_schema(["a", "b"]) == {"enum": ["a", "b"]}
    assert any_of_schema(schema_ref("a"), schema_ref("b")) == {"anyOf": [schema_ref("a"), schema_ref("b")]}
    assert list_schema(schema_ref("a")) == {"type": "array", "items": schema_ref("a"), "minItems": 1}


def test_a_mapping_has_no_other_keys() -> None:
    schema = mapping_schema("A thing.", {"a": schema_ref("a")}, required=("a",))
    assert (schema["additionalProperties"], schema["required"]) == (False, ["a"])
