"""A power cut at any operation of a publication leaves the old output or the new one, once the next command has recovered it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.power_cuts import (
    Recording,
    Scenario,
    Scratch,
    faults,
    faults_after_a_kill,
    faults_in_recovery,
    recording,
)
from tests.faults.publications import SCENARIOS, third


@pytest.fixture(scope="module", name="scratch")
def _scratch() -> Iterator[Scratch]:
    memory = Path("/dev") / "shm"
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Scratch(Path(folder))


@pytest.fixture(scope="module", name="made", params=SCENARIOS, ids=[each.name for each in SCENARIOS])
def _made(request: pytest.FixtureRequest, scratch: Scratch) -> Recording:
    """A recorded publication."""
    scenario: Scenario = request.param
    return recording(scenario, scratch)


def test_all_recorded_operations_give_the_output(made: Recording) -> None:
    assert made.log.live() == made.end


def test_a_power_cut_at_any_operation_leaves_old_or_new(made: Recording) -> None:
    assert [*faults(made)] == []


def test_a_second_power_cut_during_recovery_changes_nothing(made: Recording) -> None:
    assert [*faults_in_recovery(made, every=7)] == []


def test_a_kill_and_a_power_cut_during_the_next_recovery_leave_old_or_new(made: Recording) -> None:
    assert [*faults_after_a_kill(made)] == []


def test_a_kill_and_a_power_cut_after_the_next_publication_leave_that_one(made: Recording) -> None:
    assert [*faults_after_a_kill(made, third)] == []
