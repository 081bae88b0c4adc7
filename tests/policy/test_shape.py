from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from minimize.policy.faults import Faults
from minimize.policy.shape import Shape, build, words_of
from minimize.policy.yaml import Node, parse


class Thing(BaseModel):
    name: str
    size: int = Field(1, alias="width", ge=1)
    kind: Literal["round", "square"] = "round"
    parts: tuple[int | float, ...] = ()
    when: bool = False
    hidden: str = ""


SHAPE = Shape("a thing", spelled={"if": "when"}, hidden=frozenset({"hidden"}), key="f")


def node(text: str) -> Node:
    root = parse(text, Faults())
    assert root is not None
    return root


def faults_of(text: str, shape: Shape = SHAPE) -> list[tuple[str, int | None, str]]:
    faults = Faults()
    build(Thing, node(text), faults, shape)
    return [(fault.code, fault.line, fault.hint) for fault in faults.found]


def test_words_are_the_names_aliases_and_spellings() -> None:
    assert words_of(Thing, SHAPE) == ("name", "width", "kind", "parts", "if")


def test_a_mapping_becomes_a_model() -> None:
    thing = build(Thing, node("name: a\nwidth: 2\nparts: [1, 2.5]\nif: true\n"), Faults(), SHAPE)
    assert thing == Thing(name="a", width=2, parts=(1, 2.5), when=True)


def test_each_misfit_stands_at_its_line() -> None:
    text = "nmae: a\nwidth: 0\nkind: sqare\nparts:\n  - 1\n  - x\n"
    assert faults_of(text) == [
        ("P004", 1, "did you mean `name`?"),
        ("P005", 1, ""),
        ("P006", 2, ""),
        ("P007", 3, "did you mean `square`?"),
        ("P006", 6, ""),
    ]


def test_numbers_and_booleans_are_not_made_from_text() -> None:
    assert [code for code, *_ in faults_of("name: 1\nwidth: '2'\nif: 1\n")] == ["P006", "P006", "P006"]


def test_an_attribute_that_no_file_may_name_is_unknown() -> None:
    assert [code for code, *_ in faults_of("name: a\nhidden: x\n")] == ["P004"]


def test_parameters_have_a_code_of_their_own() -> None:
    shape = Shape("`thing`", parameters=True, code="P013")
    assert [code for code, *_ in faults_of("width: a\nkind: x\n", shape)] == ["P013", "P013", "P013"]


def test_stand_ins_make_a_model_of_a_faulty_mapping() -> None:
    shape = Shape("a thing", stand_ins={"name": "nobody"})
    assert build(Thing, node("width: x\nkind: square\n"), Faults(), shape) == Thing(name="nobody", kind="square")


def test_what_is_no_mapping_is_one_fault() -> None:
    faults = Faults()
    assert build(Thing, Node("text", 3), faults, SHAPE) is None
    assert [(fault.code, fault.line, fault.field) for fault in faults.found] == [("P006", 3, "f")]
