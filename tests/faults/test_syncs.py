"""Every fsync: it has a name, the process may die before and after it, and it may fail."""

from __future__ import annotations

import ast
import errno
import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

import minimize
from minimize.checkpoints import POINTS, SYNC_KINDS
from minimize.errors import MinimizeError
from tests.faults.versions import Versions
from tests.project import Project

ROOT = Path(minimize.__file__).parent
SYNCS = {"fsync", "fdatasync", "sync", "sync_file_range", "syncfs"}


def calls(name: str) -> Iterator[tuple[Path, ast.Call]]:
    """All calls of this name in the library: as a function, or as one of `os`."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and name in (
                getattr(node.func, "attr", None),
                getattr(node.func, "id", None),
            ):
                yield path.relative_to(ROOT), node


@pytest.mark.slow
def test_one_place_alone_calls_fsync() -> None:
    found = [(path, name) for name in SYNCS - {"sync"} for path, _ in calls(name)]
    assert found == [(Path("stores/file_operations.py"), "fsync")]


def test_every_sync_has_a_name_that_is_a_checkpoint() -> None:
    found = {ast.literal_eval(call.args[1]) for _, call in calls("sync")}
    assert found == set(SYNC_KINDS)
    assert {f"sync.{what}.{when}" for what in found for when in ("before", "after")} <= POINTS


def test_every_fsync_of_a_run_has_a_checkpoint_around_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = list[str]()

    def seen(handle: int) -> None:
        callers.append(sys._getframe(1).f_code.co_qualname if sys.version_info >= (3, 11) else "sync")

    monkeypatch.setattr(os, "fsync", seen)
    project.run()
    assert len(callers) > 20
    assert set(callers) == {"sync"}


def fails_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Lets one fsync fail, the one of this number; gives the list of those that were called."""
    sync, called = os.fsync, list[int]()

    def failing(handle: int) -> None:
        called.append(handle)
        if len(called) == number + 1:
            raise OSError(errno.EIO, "the disk is broken at /srv/a value")
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    return called


def failed(versions: Versions, out: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> bool:
    """Whether a run has an fsync of this number, which failed; then all is as it should be."""
    with monkeypatch.context() as patch:
        called = fails_at(patch, number)
        error = trouble(lambda: versions.run(out))
    if error is None:
        assert len(called) <= number
        return False
    assert error.code in ("E205", "E206", "E208")
    assert "EIO" in error.message
    assert "a value" not in str(error)
    assert error.__context__ is None
    assert error.code == "E208" or not [*(out / "runs").glob("*/staging")]
    versions.settled(out)
    return True


def trouble(act: Callable[[], None]) -> MinimizeError | None:
    """What an act raises."""
    try:
        act()
    except MinimizeError as error:
        return error
    return None


@pytest.mark.parametrize("number", [0, 3, 12, 25])
def test_a_failing_fsync_is_reported_and_the_output_is_old_or_new(
    versions: Versions, out: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    assert failed(versions, out, monkeypatch, number)
    versions.becomes_new(out)


@pytest.mark.nightly
def test_a_failure_of_any_fsync_leaves_the_old_or_the_new_output(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in count():
        out = versions.out(tmp_path / str(number))
        if not failed(versions, out, monkeypatch, number):
            break
        versions.becomes_new(out)
    assert number > 20
