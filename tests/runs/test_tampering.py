"""Whatever is changed in a published output afterwards, `verify` finds: byte for byte, and word for word of a receipt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minimize.aggregates.distinct_subjects import DistinctSubjects
from minimize.errors import OutputError
from minimize.keys import Keyring
from minimize.output import folder
from minimize.receipts import check_chain
from minimize.runs.verify import check_output
from tests.project import BEFORE, DAY, Project, events, new_project

Way = tuple[str | int, ...]


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three runs: a day, the day before, and the first day again."""
    project = new_project(tmp_path_factory.mktemp("project"))
    project.records([*events(24), "no json"])
    project.records([*events(24, 100), "no json"], day=BEFORE)
    for day in (DAY, BEFORE, DAY):
        project.run(date=day)
    return project


@pytest.fixture(name="out")
def _out(project: Project, tmp_path: Path) -> Path:
    return shutil.copytree(project.out, tmp_path / "out")


def codes(project: Project, out: Path) -> set[str]:
    return {finding.code for finding in check_output(out, keys=project.keys) if finding.severity == "error"}


def receipts(out: Path) -> list[Path]:
    """The receipts' files, by sequence."""
    return sorted(out.glob("runs/*/receipt.json"), key=lambda path: int(json.loads(path.read_text())["sequence"]))


def leaves(value: Any, way: Way = ()) -> Iterator[tuple[Way, Any]]:
    """Every value of a document with the way to it."""
    if not isinstance(value, dict | list) or not value:
        yield way, value
    for key, below in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from leaves(below, (*way, key))


def other(value: Any) -> Any:
    """A value of the same kind that is another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    return {"more": 1} if value == {} else ["more"] if value == [] else 1


def test_an_untouched_output_is_verified(project: Project, out: Path) -> None:
    assert codes(project, out) == set()


def signed(project: Project, out: Path) -> bool:
    """Whether the receipts can be read and stand as a chain under their signatures."""
    try:
        return not check_chain(folder.read_receipts(out), Keyring.load(project.keys))
    except OutputError:
        return False


def test_the_untouched_receipts_are_signed(project: Project, out: Path) -> None:
    assert signed(project, out)


@pytest.mark.parametrize("turn", [0, 2])
def test_every_word_of_a_receipt_counts(project: Project, out: Path, turn: int) -> None:
    path = receipts(out)[turn]
    text, unnoticed = path.read_text(), []
    for way, value in leaves(json.loads(text)):
        document = json.loads(text)
        inner = document
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = other(value)
        path.write_text(json.dumps(document))
        if signed(project, out):
            unnoticed.append(way)
    assert unnoticed == []


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("touch", [_flipped, _longer, Path.unlink])
def test_every_file_counts(project: Project, out: Path, touch: Callable[[Path], None]) -> None:
    unnoticed = []
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path.name != ".lock"):
        content = path.read_bytes()
        if content or touch is not _flipped:
            touch(path)
            if not codes(project, out):
                unnoticed.append(path.relative_to(out))
            path.write_bytes(content)
    assert unnoticed == []


@pytest.mark.parametrize(("turn", "code"), [(0, "V002"), (1, "V002"), (2, "V014")])
def test_a_run_that_was_taken_away_is_missed(project: Project, out: Path, turn: int, code: str) -> None:
    shutil.rmtree(receipts(out)[turn].parent)
    assert code in codes(project, out)


def test_two_receipts_that_change_places_are_found(project: Project, out: Path) -> None:
    first, _, third = receipts(out)
    one, other = first.read_bytes(), third.read_bytes()
    first.write_bytes(other)
    third.write_bytes(one)
    assert "V001" in codes(project, out)


def test_a_file_that_was_replaced_and_is_put_back_is_found(project: Project, out: Path) -> None:
    replaced = json.loads(receipts(out)[2].read_text())["replaces"][0]["path"]
    current = next((out / replaced).parent.glob("*.parquet"))
    shutil.copy(current, out / replaced)
    assert codes(project, out) == {"V014"}


@pytest.mark.parametrize("act", [Path.rename, shutil.copytree])
def test_a_partition_of_another_date_is_found(project: Project, out: Path, act: Callable[[Path, Path], Any]) -> None:
    act(out / "records" / f"date={DAY}", out / "records" / "date=2026-01-01")
    assert "V014" in codes(project, out)


def test_a_run_that_shows_small_groups_is_found_though_it_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = new_project(tmp_path)
    project.records(events(2))
    monkeypatch.setattr(DistinctSubjects, "count", lambda self, groups, fact=None: np.full(len(groups), 99))
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "own.db"))
    project.run()
    assert "V041" in codes(project, project.out)


def test_a_run_that_groups_by_raw_times_is_found_though_it_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = new_project(tmp_path)
    project.records(events(40))
    monkeypatch.setattr("minimize.aggregates.dictionaries.truncate_times", lambda values, unit: values)
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "own.db"))
    project.run()
    assert codes(project, project.out) == {"V030"}
