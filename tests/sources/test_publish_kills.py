"""A process that publishes may die anywhere: the next command finds all of the old or all of the new, nothing else."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from minimize.checkpoints import FAIL_POINTS
from tests.sources.publishing import check_whole, dies_at, new, new_slowly, old, recovered, snapshot, start

STAGED = ("begin.after", "file.opened", "file.group", "file.closed", "success.before", "success.after", "attach.after")
BEFORE = (*STAGED, "success.after#1", "file.closed#0", "intent.before", "intent.written")
AFTER = (
    "intent.after",
    *(f"swap.{when}#{turn}" for turn in range(3) for when in ("before", "after")),
    "remove.before",
    "remove.after",
    "receipt.before",
    "receipt.written",
    "receipt.after",
    "clean.before",
    "clean.between",
    "clean.after",
)
BETWEEN = tuple(f"swap.between#{turn}" for turn in range(3))
BACK = ("back.before", "back.after")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], dict[str, str]]:
    """A folder with the old version, and what old and new look like when nothing goes wrong."""
    folder, after = tmp_path_factory.mktemp("old") / "out", tmp_path_factory.mktemp("new") / "out"
    old(folder)
    shutil.copytree(folder, after)
    new(after)
    for each in (folder, after):
        check_whole(each)
    return folder, snapshot(folder), snapshot(after)


@pytest.fixture
def folder(versions: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path) -> Path:
    shutil.copytree(versions[0], tmp_path / "out")
    return tmp_path / "out"


def test_every_fail_point_is_tried_here() -> None:
    tried = {point.partition("#")[0] for point in (*BEFORE, *AFTER, *BETWEEN, *BACK)}
    assert tried == set(FAIL_POINTS)


@pytest.mark.nightly
@pytest.mark.parametrize("point", BEFORE)
def test_a_process_killed_before_the_intent_leaves_the_old_output(
    versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path, point: str
) -> None:
    assert dies_at(point, new, folder)
    recovered(folder)
    check_whole(folder)
    assert snapshot(folder) == versions[1]


@pytest.mark.nightly
@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("point", [*AFTER, *BETWEEN])
def test_a_process_killed_after_the_intent_leaves_the_new_output(
    versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path, point: str, atomic: bool
) -> None:
    if not dies_at(point, new, folder, atomic):
        assert atomic, "two renames come to every point"
        assert point in BETWEEN
    recovered(folder)
    check_whole(folder)
    assert without_receipt(snapshot(folder)) == without_receipt(versions[2])


def without_receipt(found: dict[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in found.items() if not path.endswith("/receipt.json")}


@pytest.mark.nightly
@pytest.mark.parametrize("point", BACK)
def test_a_way_back_that_is_cut_short_is_gone_again(
    versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path, point: str
) -> None:
    assert dies_at("intent.written", new, folder)
    assert dies_at(point, recovered, folder)
    recovered(folder)
    check_whole(folder)
    assert snapshot(folder) == versions[1]


@pytest.mark.nightly
@pytest.mark.parametrize("atomic", [True, False], ids=["exchange", "two renames"])
def test_a_way_forward_may_be_cut_short_at_every_step(
    versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path, atomic: bool
) -> None:
    assert dies_at("intent.after", new, folder, atomic)
    for point in [*AFTER[1:-1], *BETWEEN]:
        dies_at(point, recovered, folder, atomic)
    recovered(folder)
    check_whole(folder)
    assert without_receipt(snapshot(folder)) == without_receipt(versions[2])


@pytest.mark.nightly
def test_a_first_run_that_dies_leaves_an_output_without_anything(tmp_path: Path) -> None:
    assert dies_at("file.closed", old, tmp_path / "out")
    recovered(tmp_path / "out")
    check_whole(tmp_path / "out")
    assert snapshot(tmp_path / "out") == {}


@pytest.mark.nightly
def test_the_next_run_needs_no_word_about_the_dead_one(
    versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path
) -> None:
    assert dies_at("file.closed", new, folder)
    new(folder)
    check_whole(folder)
    assert snapshot(folder) == versions[2]


def kill_at_random(folder: Path, seed: int, longest: float) -> bool:
    process = start(new_slowly, folder)
    time.sleep(random.Random(seed).uniform(0, longest))
    process.kill()
    process.join()
    return process.exitcode != 0


def check_old_or_new(versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path) -> None:
    recovered(folder)
    check_whole(folder)
    assert without_receipt(snapshot(folder)) in [without_receipt(each) for each in versions[1:]]


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_any_time_it_is_old_or_new(
    versions: tuple[Path, dict[str, str], dict[str, str]], folder: Path, seed: int
) -> None:
    kill_at_random(folder, seed, 0.3)
    check_old_or_new(versions, folder)


@pytest.mark.nightly
def test_killed_at_fifty_random_times_it_is_old_or_new(
    versions: tuple[Path, dict[str, str], dict[str, str]], tmp_path: Path
) -> None:
    killed = 0
    for seed in range(50):
        folder = tmp_path / str(seed)
        shutil.copytree(versions[0], folder)
        killed += kill_at_random(folder, seed, 0.3)
        check_old_or_new(versions, folder)
    assert killed >= 25
