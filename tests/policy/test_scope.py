from __future__ import annotations

from pathlib import Path

from minimize.arrow.pointers import Pointer
from minimize.policy.faults import FaultList
from minimize.policy.mapping_reader import DeclaredNames, declared_names, field_pointer
from minimize.policy.yaml_nodes import node_from_data


def scope() -> DeclaredNames:
    root = node_from_data(
        {"levels": ["a", "b"], "features": {"f": {}}, "fields": {"x": {"type": "string"}, "/y/*": 3, "": 1}}
    )
    return declared_names(root, Path(), FaultList())


def test_faulty_fields_are_names_too() -> None:
    assert dict(scope().keys or {}) == {Pointer.parse("x"): "x", Pointer.parse("/y/*"): "/y/*"}


def test_a_field_is_found_in_either_spelling() -> None:
    assert scope().key_of("/x", 1, "`tenant`") == "x"


def test_a_field_that_is_not_there_gets_a_suggestion() -> None:
    found = scope()
    assert found.key_of("X", 3, "`tenant`", "f") is None
    assert [(f.code, f.line, f.field, f.hint) for f in found.faults.found] == [("P010", 3, "f", "did you mean `x`?")]


def test_features_and_levels_are_looked_up() -> None:
    found = scope()
    assert (found.feature("f", 1), found.level("b", 1), found.feature("g", 1)) == ("f", "b", None)


def test_a_text_that_is_no_pointer_is_none() -> None:
    assert field_pointer("") is None
