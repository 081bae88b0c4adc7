"""The part that measures what a deletion costs."""

from __future__ import annotations

import pytest

from benchmarks import deleting


def test_the_goal_is_the_cpu_of_a_deletion_over_that_of_a_copy() -> None:
    [goal] = deleting.goals({"delete s": 2.4, "copy s": 2.0})
    assert goal["reached"] == pytest.approx(1.2)
