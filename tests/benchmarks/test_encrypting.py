"""What encryption costs a run and a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import encrypting, layouts
from benchmarks.data.generate import devices


def test_the_cost_of_encryption_is_reported_as_ratios() -> None:
    figures = {"in the clear": {"run s": 2.0, "read s": 0.5}, "encrypted": {"run s": 2.2, "read s": 0.55}}
    assert [round(goal["reached"], 3) for goal in encrypting.goals(figures)] == [1.1, 1.1]


def test_figures_are_printed_one_layout_per_line() -> None:
    assert layouts.lines({"encrypted": {"run s": 2.0}}).splitlines()[1].split() == ["encrypted", "2.000"]


@pytest.mark.nightly
def test_both_layouts_are_run_and_read(tmp_path: Path) -> None:
    found = encrypting.encrypted(devices(tmp_path, 20_000), tmp_path, 1)
    assert found.keys() == encrypting.LAYOUTS.keys()
    assert all(each["read s"] > 0 for each in found.values())
