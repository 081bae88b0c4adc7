"""Output folders that are not ours, cannot be written, or are written by two at once: refused, and left as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.commands import Command, Result
from tests.hostile.shell import minimize
from tests.project import AT, DAY, Project, events


def run(command: Command) -> Result:
    return command("run", ".", "--at", AT.isoformat(), "--output", "out", "--json")


def thesis(out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("mine")


def hidden(out: Path) -> None:
    out.mkdir()
    (out / ".thesis").write_text("mine")


def deep(out: Path) -> None:
    (out / "a" / "b").mkdir(parents=True)
    (out / "a" / "b" / "thesis.txt").write_text("mine")


def records(out: Path) -> None:
    (out / "records" / f"date={DAY}").mkdir(parents=True)
    (out / "records" / f"date={DAY}" / "thesis.parquet").write_text("mine")


def runs(out: Path) -> None:
    (out / "runs" / "experiment").mkdir(parents=True)
    (out / "runs" / "experiment" / "events.out").write_text("mine")


def link(out: Path) -> None:
    out.mkdir()
    elsewhere = out.parent / "elsewhere"
    elsewhere.mkdir()
    (out / "records").symlink_to(elsewhere)


def file(out: Path) -> None:
    out.write_text("mine")


THEIRS: Final = (thesis, hidden, deep, records, runs, link, file)


def seen(folder: Path) -> Mapping[str, str]:
    """Everything below a folder but the own input of the project, with its bytes."""
    paths = (path for path in sorted(folder.rglob("*")) if "data" not in path.parts)
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in paths}


@pytest.mark.parametrize("made", THEIRS)
def test_a_folder_with_foreign_files_is_refused_and_unchanged(
    project: Project, command: Command, made: Callable[[Path], None]
) -> None:
    project.records(events(20))
    made(project.out)
    before = seen(project.folder)
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E001" if made is file else "E205")
    assert seen(project.folder) == before


def test_a_folder_that_is_there_and_empty_is_taken(project: Project, command: Command) -> None:
    project.records(events(20))
    (project.out / "sub").mkdir(parents=True)
    assert run(command).code == 0


def test_a_folder_that_holds_its_ledger_alone_is_taken(project: Project, command: Command) -> None:
    project.records(events(20))
    row = ("settings", "set", "north", "location", "on", "--holder", "admin", "--pipeline", ".", "--output", "out")
    assert command(*row).code == 0
    assert run(command).code == 0


def test_a_link_in_the_place_of_an_output_is_refused_later_too(project: Project, command: Command) -> None:
    project.records(events(20))
    assert run(command).code == 0
    (project.out / "records").rename(project.folder / "elsewhere")
    (project.out / "records").symlink_to(project.folder / "elsewhere")
    before = seen(project.folder / "elsewhere")
    said = run(command)
    assert (said.code, said.error["code"]) == (2, "E205")
    assert seen(project.folder / "elsewhere") == before


def test_of_two_concurrent_runs_one_waits_or_is_refused(project: Project, command: Command) -> None:
    project.records(events(2000))
    words = ("run", ".", "--at", AT.isoformat(), "--output", "out", "--json")
    with ThreadPoolExecutor(2) as pool:
        ended = [each.result() for each in [pool.submit(minimize, project.folder, *words) for _ in range(2)]]
    codes = sorted(each.code for each in ended)
    assert codes in ([0, 0], [0, 2])
    assert all(json.loads(each.err)["error"]["code"] in ("E207", "E205") for each in ended if each.code)
    assert len(project.rows()) == 2000
    assert command("verify", "out", "--json").json == {"ok": True, "findings": []}


def test_a_clock_set_back_between_two_runs_undoes_nothing(project: Project, command: Command) -> None:
    project.records(events(20))
    assert run(command).code == 0
    stood = project.files()
    earlier = (AT - timedelta(hours=3)).isoformat()
    said = command("run", ".", "--at", earlier, "--output", "out", "--json")
    assert (said.code, said.error["code"]) == (3, "E300")
    assert project.files() == stood
