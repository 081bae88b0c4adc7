"""Treatments and purposes as values of a form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from minimize.errors import Finding
from minimize.forms import Form, Reading, examine_mapping, form_schema, read_form
from minimize.forms.yaml_nodes import FaultList, parse_yaml
from minimize.policy.model import Purpose
from minimize.policy.treatments import Chain, Treatment, main_parameter
from minimize.techniques import TECHNIQUES, TechniqueStep


class Column(Form):
    """A column."""

    noun = "column `{name}`"
    is_named = True

    do: Treatment = "drop"
    view: Chain = ()
    purposes: tuple[Purpose, ...] = ()


class Columns(Form):
    """Columns by name."""

    noun = "the columns"

    columns: Mapping[str, Column]


SCHEMA = Draft202012Validator(form_schema(Column, "column"))


def read(do: Any) -> tuple[Any, list[str]]:
    column, faults = examine_mapping(Column, {"do": do})
    assert column is not None
    return column.do, [fault.code for fault in faults]


def step(name: str, **parameters: Any) -> TechniqueStep:
    return TECHNIQUES[name].model_validate(parameters)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("drop", "drop"),
        ("keep", (step("keep"),)),
        ({"keep": None}, (step("keep"),)),
        ({"keep": {}}, (step("keep"),)),
        ({"round": {"to": 0.1}}, (step("round", to=0.1),)),
        ({"round": 0.1}, (step("round", to=0.1),)),
        ({"round": "0.1"}, (step("round", to=0.1),)),
        ([{"clip": {"min": 0, "max": 100}}, {"round": 10}], (step("clip", min=0, max=100), step("round", to=10))),
        ({"bin": {"width": 10, "as": "label"}}, (step("bin", width=10, **{"as": "label"}),)),
        ({"bin": {"edges": [1, 2.5]}}, (step("bin", edges=(1, 2.5)),)),
    ],
)
def test_a_treatment_is_read(written: Any, expected: Any) -> None:
    assert read(written) == (expected, [])
    assert SCHEMA.is_valid({"do": json.loads(json.dumps(written))})


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ("keeep", ["P011"]),
        ("sha256", ["P012"]),
        ("SHA-256", ["P012"]),
        ({"hash": {"salt": "x"}}, ["P012"]),
        (["keep", "drop"], ["P006"]),
        ({"drop": {}}, ["P006"]),
        ([], ["P006"]),
        ({}, ["P006"]),
        (3, ["P006"]),
        (None, ["P006"]),
        ({"keep": {}, "round": 1}, ["P006"]),
        ({"round": {"too": 0.1}}, ["P004", "P013"]),
        ({"round": {}}, ["P013"]),
        ("round", ["P013"]),
        ({"round": {"to": {}}}, ["P013"]),
        ({"round": {"to": "a"}}, ["P013"]),
        ({"keep": 3}, ["P013"]),
        ({"mask": {"keep_last": "4"}}, ["P013"]),
        (["keeep", {"round": {"to": []}}], ["P011", "P013"]),
    ],
)
def test_a_faulty_treatment_is_dropped(written: Any, codes: list[str]) -> None:
    found, faults = read(written)
    assert (found, sorted(faults)) == ("drop", codes)
    assert not SCHEMA.is_valid({"do": json.loads(json.dumps(written))})


def faults_of(text: str) -> list[Finding]:
    faults = FaultList()
    root = parse_yaml(text, faults)
    assert root is not None
    read_form(Columns, root, Reading(faults, purposes=("own",)))
    return faults.found


def test_a_fault_of_a_parameter_has_its_line_and_the_key_of_its_column() -> None:
    text = """\
columns:
  a:
    do:
      - truncate_time:
          to: houer
      - round:
          to: x
    view:
      bin:
        edgs: 3
    purposes:
      - own
      - operation
      - advertising
"""
    assert sorted((each.code, each.line, each.field) for each in faults_of(text)) == [
        ("P004", 10, "a"),
        ("P008", 13, "a"),
        ("P009", 14, "a"),
        ("P013", 5, "a"),
        ("P013", 7, "a"),
        ("P013", 9, "a"),
    ]


def test_the_reason_against_unkeyed_hashes_is_part_of_the_fault() -> None:
    (fault,) = faults_of("columns: {a: {do: md5}}")
    assert "keyed" in fault.message
    assert "pseudonymize" in fault.hint


def test_an_unknown_word_has_a_hint() -> None:
    (fault,) = faults_of("columns: {a: {do: {truncate_time: houer}}}")
    assert fault.hint == "Did you mean `hour`?"


def test_a_form_in_python_takes_steps_and_not_words() -> None:
    assert Column(do=(step("keep"),)).do == (step("keep"),)
    with pytest.raises(ValidationError):
        Column.model_validate({"do": "keep"})


@pytest.mark.parametrize(("name", "main"), [("round", "to"), ("keep", None), ("clip", None)])
def test_a_single_value_is_the_only_required_parameter(name: str, main: str | None) -> None:
    assert main_parameter(TECHNIQUES[name]) == main
