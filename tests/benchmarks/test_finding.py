"""A subject is looked for in every layout, with the keyring and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import finding, layouts
from benchmarks.data.generate import devices


def test_the_cost_of_an_index_is_reported_as_a_ratio() -> None:
    figures = {"index": {"run s": 2.1}, "no index": {"run s": 2.0}}
    [goal] = finding.goals(figures)
    assert (goal["goal"], goal["reached"]) == (1.05, 1.05)


def test_figures_are_printed_one_layout_per_line() -> None:
    told = layouts.lines({"no index": {"run s": 2.0, "look MB": 0.5}})
    assert told.splitlines()[1].split() == ["no", "index", "2.000", "0.500"]


@pytest.mark.nightly
def test_less_is_read_with_an_index(tmp_path: Path) -> None:
    found = finding.found(devices(tmp_path, 20_000), tmp_path, 1)
    assert found.keys() == finding.LAYOUTS.keys()
    tenants = found["index, a folder a tenant"]
    assert 0 < tenants["look MB"] < tenants["scan MB"]
    assert 0 < tenants["view MB"] < found["no index"]["view MB"]
    assert found["no index"]["index MB"] == 0 < found["index"]["index MB"]
