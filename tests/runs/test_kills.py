"""`minimize run` may be killed anywhere: whatever command comes next finds all of the old output or all of the new."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import cycle
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.checkpoints import FAIL_POINTS
from tests.faults import child
from tests.faults.process import KILLED
from tests.faults.versions import Versions, versions_in

pytestmark = pytest.mark.nightly

NAMES = ("records", "per_model", "quarantine")
DECIDED = FAIL_POINTS.index("intent.after")
"""From this point on the new output counts; only a way back has points behind it."""
POINTS = [point for point in FAIL_POINTS if not point.startswith("back.")]
ATOMIC = ("swap.between",)
"""Not passed where the system can exchange two folders in one step."""


@pytest.fixture(scope="module", name="versions")
def _versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return versions_in(tmp_path_factory.mktemp("project"))


@pytest.fixture(name="out")
def _out(versions: Versions, tmp_path: Path) -> Path:
    return versions.out(tmp_path)


def start(words: list[str], point: str | None = None) -> BaseProcess:
    """The command line in a process of its own."""
    return child.start(words, child.Fault(point))


def ended(words: list[str], point: str | None = None) -> int | None:
    """The exit code of a command that was left alone."""
    process = start(words, point)
    process.join()
    return process.exitcode


def verified(versions: Versions, out: Path) -> None:
    minimize.verify(out, keys=versions.project.keys, ledger=out / "ledger.db")


def read(versions: Versions, out: Path) -> None:
    minimize.read(out)


def listed(versions: Versions, out: Path) -> None:
    minimize.files(out, "per_model")


Follow = Callable[[Versions, Path], None]


def check(versions: Versions, out: Path) -> Any:
    """The rows in force: those of one of the two versions, the same to receipts and to other tools, and signed for."""
    rows = versions.is_whole(out)["rows"]
    assert rows in (versions.old["rows"], versions.new["rows"])
    return rows


def old_or_new(versions: Versions, out: Path, point: str, follow: Follow) -> None:
    code = ended(versions.command(out), point)
    assert code == KILLED or (code == 0 and point in ATOMIC)
    follow(versions, out)
    assert check(versions, out) == (versions.new if FAIL_POINTS.index(point) >= DECIDED else versions.old)["rows"]


@pytest.mark.parametrize(("point", "follow"), list(zip(POINTS, cycle([verified, read, listed]))))
def test_killed_at_a_step_it_is_old_or_new(versions: Versions, out: Path, point: str, follow: Follow) -> None:
    old_or_new(versions, out, point, follow)


@pytest.mark.parametrize("follow", [verified, read, listed])
@pytest.mark.parametrize("point", POINTS)
def test_any_command_after_a_kill_finds_the_old_or_the_new_output(
    versions: Versions, out: Path, point: str, follow: Follow
) -> None:
    old_or_new(versions, out, point, follow)


@pytest.mark.parametrize("point", ["file.group", "swap.after", "receipt.after"])
def test_the_same_command_again_gives_the_new(versions: Versions, out: Path, point: str) -> None:
    again_gives_the_new(versions, out, point)


@pytest.mark.parametrize("point", POINTS)
def test_the_same_command_again_gives_the_new_after_any_step(versions: Versions, out: Path, point: str) -> None:
    again_gives_the_new(versions, out, point)


def again_gives_the_new(versions: Versions, out: Path, point: str) -> None:
    ended(versions.command(out), point)
    assert ended(versions.command(out)) == 0
    assert check(versions, out) == versions.new["rows"]
    assert not [path for path in (out / "runs").glob("*/*") if path.is_dir()]


@pytest.mark.parametrize("point", ["back.before", "back.after"])
def test_killed_while_it_undoes_a_dead_run_it_is_old(versions: Versions, out: Path, point: str) -> None:
    assert ended(versions.command(out), "file.closed") == KILLED
    assert ended(versions.command(out), point) == KILLED
    assert check(versions, out) == versions.old["rows"]
    assert ended(versions.command(out)) == 0
    assert check(versions, out) == versions.new["rows"]


def test_a_first_run_that_is_killed_leaves_nothing_that_can_be_read(versions: Versions, tmp_path: Path) -> None:
    out = tmp_path / "first"
    assert ended(versions.command(out), "intent.written") == KILLED
    with pytest.raises(minimize.MinimizeError):
        minimize.read(out)
    assert not any((out / name).exists() for name in NAMES)
    assert ended(versions.command(out)) == 0
    verified(versions, out)


def killed_at_random(versions: Versions, out: Path, seed: int) -> bool:
    """Starts the command, kills it some time later, and checks what then stands. Gives whether it was in time."""
    process = start(versions.command(out))
    time.sleep(random.Random(seed).uniform(0, 0.25))
    process.kill()
    process.join()
    check(versions, out)
    return process.exitcode != 0


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment_it_is_old_or_new(versions: Versions, out: Path, seed: int) -> None:
    killed_at_random(versions, out, seed)


def test_killed_at_fifty_moments_it_is_old_or_new(versions: Versions, tmp_path: Path) -> None:
    outs = [versions.out(tmp_path / str(seed)) for seed in range(50)]
    assert sum(killed_at_random(versions, out, 100 + seed) for seed, out in enumerate(outs)) >= 20
    for out in outs:
        assert ended(versions.command(out)) == 0
        assert check(versions, out) == versions.new["rows"]
