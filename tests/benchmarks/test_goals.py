"""Ratios: ours over the best of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import calls, memory, report
from benchmarks.goals import Figures, Goal
from benchmarks.measure import Figure, Run
from benchmarks.plot import plot

GOAL = Goal("ours ÷ theirs", "a", ("slow", "fast", "absent"), 0.5)
FIGURES: Figures = {
    ("a", "minimize"): Figure((Run(1, 2.0, 10), Run(1, 1.0, 10), Run(1, 9.0, 10))),
    ("a", "slow"): Figure((Run(1, 20.0, 10),)),
    ("a", "fast"): Figure((Run(1, 8.0, 10),)),
}


def test_a_goal_takes_medians_and_the_best_of_the_others() -> None:
    assert GOAL.reached(FIGURES) == 0.25


def test_a_goal_without_others_is_not_reached_nor_missed() -> None:
    assert Goal("alone", "b", ("slow",), 0.5).reached(FIGURES) is None


def test_a_spread_is_the_smallest_and_the_largest() -> None:
    assert FIGURES["a", "minimize"].spread("cpu") == (1.0, 9.0)


def test_memory_is_reported_as_a_ratio_and_as_a_ceiling() -> None:
    assert [goal["reached"] for goal in memory.goals({"a": {"x1": 200.0, "x10": 220.0}})] == [1.1, 220.0]


def test_imports_count_above_a_bare_interpreter() -> None:
    found = calls.goals({"python": 10.0, "import minimize": 20.0, "import pyarrow": 110.0})
    assert found == [{"about": "import minimize ÷ import pyarrow", "goal": 1.3, "reached": 0.1}]


def test_an_unreached_goal_is_marked() -> None:
    told = report.goal_table(
        [{"about": "one", "goal": 1.0, "reached": 2.0}, {"about": "two", "goal": 1.0, "reached": 1.0}]
    )
    assert [line.endswith("not yet") for line in told.splitlines()] == [False, True, False]


@pytest.mark.nightly
def test_figures_are_drawn(tmp_path: Path) -> None:
    plot(FIGURES, tmp_path / "results.png", "a note")
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
