from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minimize.aggregates import MEASURES, Measure
from minimize.arrow.pointers import Pointer
from minimize.policy.faults import FaultList
from minimize.policy.mapping_reader import DeclaredNames
from minimize.policy.pipeline_reader import MeasureReader
from minimize.policy.yaml_nodes import node_from_data


def read(measure: Any) -> tuple[Measure | None, list[str]]:
    scope = DeclaredNames(FaultList(), Path(), {Pointer.parse("battery"): "battery"}, {"battery": "double"})
    return MeasureReader(scope, "fleet")(node_from_data(measure)), [fault.code for fault in scope.faults.found]


def measure(name: str, **parameters: Any) -> Measure:
    return MEASURES[name].model_validate(parameters)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("count", measure("count")),
        ({"mean": "battery"}, measure("mean", of="battery")),
        ({"mean": "/battery"}, measure("mean", of="battery")),
        ({"quantile": {"of": "battery", "q": 0.5}}, measure("quantile", of="battery", q=0.5)),
        ({"share": {"of": "battery", "is": [1]}}, measure("share", of="battery", **{"is": (1,)})),
    ],
)
def test_measures_read_as_they_are_meant(written: Any, meant: Measure) -> None:
    assert read(written) == (meant, [])


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ("cuont", ["P011"]),
        ({"mean": "batery"}, ["P010"]),
        ("mean", ["P013"]),
        ({"mean": 3}, ["P013"]),
        ({"quantile": "battery"}, ["P013"]),
        ({"quantile": {"of": "battery", "q": 2}}, ["P013"]),
        ({"quantile": {"of": "battery", "q": 0.5, "p": 1}}, ["P004"]),
        ({"mean": "battery", "sum": "battery"}, ["P006"]),
        ([], ["P006"]),
    ],
)
def test_measures_that_cannot_be_meant_are_faults(written: Any, codes: list[str]) -> None:
    assert read(written)[1] == codes
