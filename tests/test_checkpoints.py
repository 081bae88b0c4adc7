"""Checkpoints do nothing unless a test has set a callback in the same process."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import timeit
from collections.abc import Iterator
from pathlib import Path

import pytest

import minimize
from minimize.checkpoints import FAIL_POINTS, POINTS, SYNC_POINTS, at_checkpoint, checkpoint, is_watched
from tests.faults.process import KILLED, kill_at
from tests.project import Project, events

ROOT = Path(__file__).parents[1]


def test_nothing_happens_without_a_callback() -> None:
    for name in FAIL_POINTS:
        checkpoint(name)
        assert not is_watched(name)


def test_a_callback_is_called_at_its_points_until_the_block_ends() -> None:
    calls = list[tuple[object, ...]]()
    with at_checkpoint(["swap.before", "swap.after"], lambda *facts: calls.append(facts)):
        with at_checkpoint("swap.after", lambda *facts: calls.append(("inner", *facts))):
            checkpoint("swap.before", 1)
            checkpoint("swap.after", 0)
            checkpoint("swap.between", 0)
        checkpoint("swap.after", 2)
    checkpoint("swap.before", 3)
    assert calls == [("swap.before", 1), ("swap.after", 0), ("inner", "swap.after", 0), ("swap.after", 2)]


def test_an_exception_of_a_callback_is_raised_at_the_point_and_the_callback_removed() -> None:
    def fails(name: str) -> None:
        raise InterruptedError(name)

    with pytest.raises(InterruptedError, match=r"swap\.after"), at_checkpoint("swap.after", fails):
        checkpoint("swap.after")
    assert not is_watched("swap.after")


def test_a_name_that_is_not_listed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="swap is no checkpoint"), at_checkpoint(["swap", "swap.after"], print):
        pytest.fail("not reached")
    with at_checkpoint("swap.after", print), pytest.raises(ValueError, match="swap is no checkpoint"):
        checkpoint("swap")


def passed_names() -> Iterator[str]:
    """The names that the package passes to `checkpoint`; those of `write_file` and of syncs are put together there."""
    for path in Path(minimize.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                if node.func.id == "checkpoint" and isinstance(node.args[0], ast.Constant):
                    yield str(node.args[0].value)
                if node.func.id == "write_file" and len(node.args) == 3 and isinstance(node.args[2], ast.Constant):
                    yield str(node.args[2].value)


@pytest.mark.slow
def test_the_package_passes_every_listed_point_and_no_other() -> None:
    assert {*passed_names(), *SYNC_POINTS, "file.operation"} == POINTS


@pytest.mark.slow
def test_a_point_without_a_callback_costs_next_to_nothing() -> None:
    call = min(timeit.repeat(lambda: checkpoint("swap.after", 2), number=10_000, repeat=20)) / 10_000
    assert call < 200e-9, f"{call * 1e9:.0f} ns"


@pytest.mark.parametrize(
    ("point", "turns"), [("swap.after", [0]), ("swap.after#2", [0, 2]), ("swap.after#1", [None, None])]
)
def test_the_process_ends_at_the_point_and_at_its_number(point: str, turns: list[int | None]) -> None:
    process = os.fork()
    if not process:
        with kill_at(point):
            for turn in turns[:-1]:
                checkpoint("swap.after", *[] if turn is None else [turn])
            os.write(2, b"")
            checkpoint("swap.after", *[] if turns[-1] is None else [turns[-1]])
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == KILLED


def test_nothing_happens_at_another_point_or_number() -> None:
    with kill_at("swap.after#1"):
        checkpoint("swap.before", 1)
        checkpoint("swap.after", 0)
        checkpoint("swap.after", 2)
    with kill_at("swap.after#1"):
        checkpoint("swap.after")


def test_no_variable_ends_a_process(project: Project) -> None:
    project.records(events(20))
    words = ["run", str(project.folder), "--output", str(project.out), "--keys", str(project.keys)]
    environment = os.environ | {"MINIMIZE_FAIL_AT": "file.opened"}
    killed = subprocess.run(
        [sys.executable, "-m", "tests.faults.process", "file.opened", *words], cwd=ROOT, env=environment, check=False
    )
    assert killed.returncode == KILLED, "control: the run passes this point"
    run = subprocess.run([sys.executable, "-m", "minimize", *words], env=environment, capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
