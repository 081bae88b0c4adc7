"""The part that measures what a deletion costs."""

from __future__ import annotations

import pytest

from benchmarks import deleting


def test_the_goal_is_the_cpu_of_a_deletion_over_that_of_a_copy() -> None:
    [goal] = deleting.goals({"delete s": 2.4, "copy s": 2.0})
    assert goal["reached"] == pytest.approx(1.2)


def test_where_our_rewriting_was_measured_it_is_held_against_that_too() -> None:
    once, copied = deleting.goals({"delete s": 2.4, "rewrite s": 1.2, "copy s": 2.0})
    assert (once["reached"], copied["reached"]) == (pytest.approx(2.0), pytest.approx(1.2))
