"""Names that a policy declares."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from minimize.arrow.pointers import Pointer
from minimize.forms.yaml_nodes import node_from_data
from minimize.policy.names import PolicyNames, declared_names, field_pointer


def names() -> PolicyNames:
    fields = {"x": {"type": "string"}, "/y/*": 3, "": 1}
    return declared_names(node_from_data({"levels": ["a", "b"], "features": {"f": {}}, "fields": fields}))


def test_faulty_fields_are_names_too() -> None:
    assert dict(names().keys or {}) == {Pointer.parse("x"): "x", Pointer.parse("/y/*"): "/y/*"}


def test_a_field_is_found_in_either_spelling() -> None:
    assert names().key_of("/x", "`tenant`") == "x"


def test_a_field_that_is_not_declared_has_a_hint() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        names().key_of("X", "`tenant`")
    assert (caught.value.type, (caught.value.context or {})["hint"]) == ("P010", "Did you mean `x`?")


def test_features_and_levels_must_be_declared() -> None:
    names().require("feature", "f")
    names().require("level", "b")
    with pytest.raises(PydanticCustomError):
        names().require("feature", "g")


def test_a_text_that_is_no_pointer_is_none() -> None:
    assert field_pointer("") is None
