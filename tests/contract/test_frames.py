"""From a command to a batch of records there are at most eight functions of the package."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from tests.commands import command
from tests.project import Project, events, new_project

PACKAGE = Path(minimize.__file__).parent
KEPT = {"model": {"type": "string", "role": "quasi", "do": "keep"}}


@pytest.fixture(name="lasting")
def _lasting(tmp_path: Path) -> Project:
    return new_project(tmp_path, lasting=True)


def stacks_at_the_gate(project: Project) -> list[list[str]]:
    """The functions of the package that are running each time a batch reaches the gate, without the gate."""
    found: list[list[str]] = []

    def record(*_: object) -> None:
        found.append(functions(sys._getframe(3)))  # above this function, the checkpoint and the gate

    project.records(events(24))
    with at_checkpoint("gate", record):
        done = command("run", project.folder, "--keys", project.keys)
    assert done.code == 0, done.err
    return found


def functions(frame: FrameType | None) -> list[str]:
    """Those of the package that wait for a frame, the outermost first."""
    names = []
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(PACKAGE):
            names.append(f"{file.relative_to(PACKAGE)}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return names[::-1]


def test_a_batch_is_reached_by_eight_functions(lasting: Project) -> None:
    lasting.policy(KEPT)
    (stack,) = stacks_at_the_gate(lasting)
    assert stack[0] == "cli/main.py:main"
    assert stack[-1] == "engines/local.py:ShareWorker.__call__"
    assert len(stack) <= 8, stack


def test_a_pass_that_counts_first_adds_its_tally(lasting: Project) -> None:
    counting, writing = stacks_at_the_gate(lasting)
    assert len(writing) <= 8, writing
    assert len(counting) <= 10, counting
