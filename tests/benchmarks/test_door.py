"""Reading through the door is measured beside the same rows in the open."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import door
from benchmarks.data.generate import devices

FIGURES = {
    "door": {"wall": 2.0, "cpu": 1.3, "rows": 7},
    "filtered": {"wall": 1.8, "cpu": 1.0, "rows": 7},
    "whole": {"wall": 1.0, "cpu": 0.9, "rows": 9},
}


def test_the_cost_of_the_server_is_reported_as_a_ratio() -> None:
    goals = door.goals(FIGURES)
    assert [goal["reached"] for goal in goals] == [1.3, pytest.approx(2.0 / 1.8)]
    assert {goal["goal"] for goal in goals} == {1 / 0.7}
    assert "÷ pyarrow whole: wall 0.50, CPU 0.69" in door.lines(FIGURES)


@pytest.mark.nightly
def test_both_ways_are_run_and_give_the_same_rows(tmp_path: Path) -> None:
    found = door.read(devices(tmp_path, 20_000), tmp_path, 1)
    assert 0 < found["door"]["rows"] == found["filtered"]["rows"] < found["whole"]["rows"] == 20_000
