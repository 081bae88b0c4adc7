"""`minimize run` may be killed anywhere: whatever command comes next finds all of the old output or all of the new."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

import minimize
from minimize.failpoints import FAIL_POINTS, KILLED
from tests.faults import child
from tests.project import BEFORE, DAY, Project, events, new_project

pytestmark = pytest.mark.nightly

NAMES = ("records", "per_model", "quarantine")
AT = "2026-11-25T00:00:00Z"
DECIDED = FAIL_POINTS.index("intent.after")
"""From this point on the new output counts; only a way back has points behind it."""
POINTS = [point for point in FAIL_POINTS if not point.startswith("back.")]
ATOMIC = ("swap.between",)
"""Not passed where the system can exchange two folders in one step."""


@dataclass(frozen=True)
class Versions:
    """A project with an output, an input that changes it, and what it looks like before and after."""

    project: Project
    old: dict[str, Any]
    new: dict[str, Any]


def state(out: Path) -> dict[str, Any]:
    """The rows of everything that stands, as commands read it."""
    found = {name: [str(row) for row in minimize.read(out, name).to_pylist()] for name in ("records", "per_model")}
    rejects = minimize.files(out, "quarantine")
    return {**found, "quarantine": len(rejects) and minimize.read(out, "quarantine").num_rows}


def plain(out: Path) -> dict[str, int]:
    """The rows that another engine sees, which knows nothing of receipts."""
    return {
        name: ds.dataset(out / name, format="parquet").count_rows() if (out / name).is_dir() else 0 for name in NAMES
    }


@pytest.fixture(scope="module", name="versions")
def _versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    project = new_project(tmp_path_factory.mktemp("project"))
    project.records([*events(60), "no json"])
    project.records(events(30, 500), day=BEFORE)
    project.run()
    old = state(project.out)
    project.records(events(90, 100))
    project.run(output=shutil.copytree(project.out, project.folder / "after"), date=DAY)
    return Versions(project, old, state(project.folder / "after"))


@pytest.fixture(name="out")
def _out(versions: Versions, tmp_path: Path) -> Path:
    return shutil.copytree(versions.project.out, tmp_path / "out")


def command(versions: Versions, out: Path) -> list[str]:
    words = [
        "run",
        versions.project.folder,
        "--date",
        DAY,
        "--at",
        AT,
        "--output",
        out,
        "--keys",
        versions.project.keys,
    ]
    return [str(word) for word in words]


def start(words: list[str], point: str | None = None) -> BaseProcess:
    """The command line in a process of its own."""
    return child.start(words, child.Fault(point))


def ended(words: list[str], point: str | None = None) -> int | None:
    """The exit code of a command that was left alone."""
    process = start(words, point)
    process.join()
    return process.exitcode


def verified(versions: Versions, out: Path) -> None:
    minimize.verify(out, keys=versions.project.keys)


def read(versions: Versions, out: Path) -> None:
    minimize.read(out)


def listed(versions: Versions, out: Path) -> None:
    minimize.files(out, "per_model")


Follow = Callable[[Versions, Path], None]


def check(versions: Versions, out: Path) -> dict[str, Any]:
    """What stands is whole, the same to receipts and to engines, and signed for."""
    found = state(out)
    verified(versions, out)
    assert found in (versions.old, versions.new)
    rows = {name: len(found[name]) for name in ("records", "per_model")} | {"quarantine": found["quarantine"]}
    assert plain(out) == rows
    return found


def old_or_new(versions: Versions, out: Path, point: str, follow: Follow) -> None:
    code = ended(command(versions, out), point)
    assert code == KILLED or (code == 0 and point in ATOMIC)
    follow(versions, out)
    assert check(versions, out) == (versions.new if FAIL_POINTS.index(point) >= DECIDED else versions.old)


@pytest.mark.parametrize(("point", "follow"), list(zip(POINTS, cycle([verified, read, listed]))))
def test_killed_at_a_step_it_is_old_or_new(versions: Versions, out: Path, point: str, follow: Follow) -> None:
    old_or_new(versions, out, point, follow)


@pytest.mark.parametrize("follow", [verified, read, listed])
@pytest.mark.parametrize("point", POINTS)
def test_whatever_follows_a_kill_finds_old_or_new(versions: Versions, out: Path, point: str, follow: Follow) -> None:
    old_or_new(versions, out, point, follow)


@pytest.mark.parametrize("point", ["file.group", "swap.after", "receipt.after"])
def test_the_same_command_again_gives_the_new(versions: Versions, out: Path, point: str) -> None:
    again_gives_the_new(versions, out, point)


@pytest.mark.parametrize("point", POINTS)
def test_the_same_command_again_gives_the_new_after_any_step(versions: Versions, out: Path, point: str) -> None:
    again_gives_the_new(versions, out, point)


def again_gives_the_new(versions: Versions, out: Path, point: str) -> None:
    ended(command(versions, out), point)
    assert ended(command(versions, out)) == 0
    assert check(versions, out) == versions.new
    assert not [path for path in (out / "runs").glob("*/*") if path.is_dir()]


@pytest.mark.parametrize("point", ["back.before", "back.after"])
def test_killed_while_it_undoes_a_dead_run_it_is_old(versions: Versions, out: Path, point: str) -> None:
    assert ended(command(versions, out), "file.closed") == KILLED
    assert ended(command(versions, out), point) == KILLED
    assert check(versions, out) == versions.old
    assert ended(command(versions, out)) == 0
    assert check(versions, out) == versions.new


def test_a_first_run_that_is_killed_leaves_nothing_that_can_be_read(versions: Versions, tmp_path: Path) -> None:
    out = tmp_path / "first"
    assert ended(command(versions, out), "intent.written") == KILLED
    with pytest.raises(minimize.MinimizeError):
        minimize.read(out)
    assert not any((out / name).exists() for name in NAMES)
    assert ended(command(versions, out)) == 0
    verified(versions, out)


def killed_at_random(versions: Versions, out: Path, seed: int) -> bool:
    """Starts the command, kills it some time later, and checks what then stands. Gives whether it was in time."""
    process = start(command(versions, out))
    time.sleep(random.Random(seed).uniform(0, 0.25))
    process.kill()
    process.join()
    check(versions, out)
    return process.exitcode != 0


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment_it_is_old_or_new(versions: Versions, out: Path, seed: int) -> None:
    killed_at_random(versions, out, seed)


def test_killed_at_fifty_moments_it_is_old_or_new(versions: Versions, tmp_path: Path) -> None:
    outs = [shutil.copytree(versions.project.out, tmp_path / str(seed)) for seed in range(50)]
    assert sum(killed_at_random(versions, out, 100 + seed) for seed, out in enumerate(outs)) >= 20
    for out in outs:
        assert ended(command(versions, out)) == 0
        assert check(versions, out) == versions.new
