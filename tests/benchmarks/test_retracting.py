"""The part that measures what the plan of a retraction costs."""

from __future__ import annotations

import pytest

from benchmarks import retracting


def test_the_goal_is_the_cpu_with_many_dates_over_that_with_few() -> None:
    figures = {"few same s": 1.0, "many same s": 1.5, "few changed s": 1.2, "many changed s": 3.0}
    assert [each["reached"] for each in retracting.goals(figures)] == [pytest.approx(1.5), pytest.approx(2.5)]
