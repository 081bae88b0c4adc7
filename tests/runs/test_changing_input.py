"""Input that changes, shrinks or vanishes under a run: it is noticed, and nothing is published."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import minimize
from minimize.errors import SourceError
from tests.project import DAY, Project, events


def meanwhile(act: Callable[[], object]) -> Callable[[int, int], None]:
    """Does something once, when everything is bound and nothing is read yet."""
    left = [act]

    def told(done: int, of: int) -> None:
        if left:
            left.pop()()

    return told


def replaced(path: Path) -> None:
    """As a careful writer does it: another file under the same name."""
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": lambda path: path.write_bytes(path.read_bytes() * 2),
    "shrunk": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "replaced": replaced,
    "touched": lambda path: os.utime(path),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_of_the_input_stops_the_run_and_keeps_the_earlier_output(project: Project, how: str) -> None:
    file = project.records(events(20))
    project.run()
    standing = minimize.files(project.out)
    with pytest.raises(SourceError) as caught:
        project.run(progress=meanwhile(lambda: CHANGES[how](file)))
    assert f"{DAY}/a.ndjson.gz" in caught.value.message
    assert minimize.files(project.out) == standing
    assert not [
        path for path in (project.out / "runs").iterdir() if path.is_dir() and not (path / "receipt.json").exists()
    ]


def test_the_next_run_is_of_what_is_there_then(project: Project) -> None:
    file = project.records(events(20))
    with pytest.raises(SourceError):
        project.run(progress=meanwhile(lambda: project.records(events(25))))
    assert file.exists()
    assert project.run().rows.read == 25
