"""The project that tests of the job run: none of them depends on today."""

from __future__ import annotations

from typing import Any

import pytest

from tests.project import LASTING, Project, events


@pytest.mark.parametrize("said", [{}, {"retention": None}, {"retention": "9999d", "features": LASTING["features"]}])
def test_by_the_real_clock_nothing_is_run_that_will_be_too_old_one_day(project: Project, said: dict[str, Any]) -> None:
    project.policy(**said)
    project.records(events(3))
    with pytest.raises(AssertionError, match="depends on today"):
        project.run(at=None)
    assert project.run().rows.read == 3


def test_a_policy_without_retention_is_run_by_the_real_clock(project: Project) -> None:
    project.policy(**LASTING)
    project.records(events(3))
    assert project.run(at=None, output=None).rows.written == 3
