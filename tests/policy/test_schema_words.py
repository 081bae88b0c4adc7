from __future__ import annotations

from minimize.policy.schema_words import any_of, list_of, mapping, one_of, ref, text, whole


def test_parts_are_plain_json_schema() -> None:
    assert ref("do") == {"$ref": "#/$defs/do"}
    assert text("A name.", pattern="^a$") == {"type": "string", "description": "A name.", "pattern": "^a$"}
    assert whole("A count.") == {
        "type": "integer",
        "minimum": 1,
        "maximum": 2**53 - 1,
        "description": "A count.",
    }
    assert one_of(["a", "b"]) == {"enum": ["a", "b"]}
    assert any_of(ref("a"), ref("b")) == {"anyOf": [ref("a"), ref("b")]}
    assert list_of(ref("a")) == {"type": "array", "items": ref("a"), "minItems": 1}


def test_a_mapping_has_no_other_keys() -> None:
    schema = mapping("A thing.", {"a": ref("a")}, required=("a",))
    assert (schema["additionalProperties"], schema["required"]) == (False, ["a"])
