""""""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.policy.faults import FaultList
from minimize.policy.mapping_reader import DeclaredNames
from minimize.policy.value_readers import TechniqueReader
from minimize.policy.yaml_nodes import node_from_data
from minimize.techniques import TECHNIQUES, TechniqueStep


def read(do: Any) -> tuple[Any, list[str]]:
    scope = DeclaredNames(FaultList(), Path(), {}, {})
    steps = TechniqueReader(scope, "f").treatment(node_from_data(do))
    return steps, [fault.code for fault in scope.faults.found]


def step(name: str, **parameters: Any) -> TechniqueStep:
    return TECHNIQUES[name].model_validate(parameters)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("drop", "drop"),
        ("keep", (step("keep"),)),
        ({"keep": None}, (step("keep"),)),
        ({"keep": {}}, (step("keep"),)),
        ({"round": {"to": 0.1}}, (step("round", to=0.1),)),
        ({"round": 0.1}, (step("round", to=0.1),)),
        ([{"clip": {"min": 0, "max": 100}}, {"round": 10}], (step("clip", min=0, max=100), step("round", to=10))),
        ({"bin": {"width": 10, "as": "label"}}, (step("bin", width=10, **{"as": "label"}),)),
    ],
)
def test_steps_read_as_they_are_meant(written: Any, meant: Any) -> None:
    assert read(written) == (meant, [])


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
        ({"keep": {}, "round": 1}, ["P006"]),
        ({"round": {"too": 0.1}}, ["P004", "P013"]),
        ({"round": {}}, ["P013"]),
        ("round", ["P013"]),
        ({"round": {"to": "a"}}, ["P013"]),
        ({"keep": 3}, ["P013"]),
        (["keeep", {"round": {"to": []}}], ["P011", "P013"]),
    ],
)
def test_steps_that_cannot_be_meant_are_faults(written: Any, codes: list[str]) -> None:
    assert read(written)[1] == codes


def test_a_number_in_quotes_is_no_number() -> None:
    assert read({"mask": {"keep_last": "4"}}) == (None, ["P013"])


def test_why_there_is_no_hash_is_said() -> None:
    scope = DeclaredNames(FaultList(), Path(), {}, {})
    TechniqueReader(scope, "f").treatment(node_from_data("md5"))
    assert "keyed" in scope.faults.found[0].message
    assert "pseudonymize" in scope.faults.found[0].hint
