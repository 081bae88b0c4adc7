""""""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from minimize.policy.faults import FaultList
from minimize.policy.mapping_reader import (
    MappingShape,
    keys_of_mapping,
    read_mapping,
)
from minimize.policy.yaml_nodes import YamlNode, parse_yaml


class Thing(BaseModel):
    name: str
    size: int = Field(1, alias="width", ge=1)
    kind: Literal["round", "square"] = "round"
    parts: tuple[int | float, ...] = ()
    when: bool = False
    hidden: str = ""


SHAPE = MappingShape("a thing", aliases={"if": "when"}, hidden=frozenset({"hidden"}), key="f")


def node(text: str) -> YamlNode:
    root = parse_yaml(text, FaultList())
    assert root is not None
    return root


def faults_of(text: str, shape: MappingShape = SHAPE) -> list[tuple[str, int | None, str]]:
    faults = FaultList()
    read_mapping(Thing, node(text), faults, shape)
    return [(fault.code, fault.line, fault.hint) for fault in faults.found]


def test_words_are_the_names_aliases_and_spellings() -> None:
    assert keys_of_mapping(Thing, SHAPE) == ("name", "width", "kind", "parts", "if")


def test_a_mapping_becomes_a_model() -> None:
    thing = read_mapping(Thing, node("name: a\nwidth: 2\nparts: [1, 2.5]\nif: true\n"), FaultList(), SHAPE)
    assert thing == Thing(name="a", width=2, parts=(1, 2.5), when=True)


def test_each_misfit_stands_at_its_line() -> None:
    text = "nmae: a\nwidth: 0\nkind: sqare\nparts:\n  - 1\n  - x\n"
    assert faults_of(text) == [
        ("P004", 1, "Did you mean `name`?"),
        ("P005", 1, "Add `name`."),
        ("P006", 2, ""),
        ("P007", 3, "Did you mean `square`?"),
        ("P006", 6, ""),
    ]


def test_numbers_and_booleans_are_not_made_from_text() -> None:
    assert [code for code, *_ in faults_of("name: 1\nwidth: '2'\nif: 1\n")] == ["P006", "P006", "P006"]


def test_an_attribute_that_no_file_may_name_is_unknown() -> None:
    assert [code for code, *_ in faults_of("name: a\nhidden: x\n")] == ["P004"]


def test_parameters_have_a_code_of_their_own() -> None:
    shape = MappingShape("`thing`", parameters=True, code="P013")
    assert [code for code, *_ in faults_of("width: a\nkind: x\n", shape)] == ["P013", "P013", "P013"]


def test_stand_ins_make_a_model_of_a_faulty_mapping() -> None:
    shape = MappingShape("a thing", stand_ins={"name": "nobody"})
    assert read_mapping(Thing, node("width: x\nkind: square\n"), FaultList(), shape) == Thing(
        name="nobody", kind="square"
    )


def test_what_is_no_mapping_is_one_fault() -> None:
    faults = FaultList()
    assert read_mapping(Thing, YamlNode("text", 3), faults, SHAPE) is None
    assert [(fault.code, fault.line, fault.field) for fault in faults.found] == [("P006", 3, "f")]
