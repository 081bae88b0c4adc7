"""`minimize backfill`: what it prints and how it exits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.commands import Command, Result
from tests.project import BEFORE, DAY, LASTING, Project, events


@pytest.fixture(name="file")
def _file(project: Project) -> Path:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    for day in (BEFORE, DAY):
        project.records(events(3), day=day)
    file = project.folder / "backfill.yaml"
    file.write_text(json.dumps({"backfill": "b", "pipeline": ".", "reason": "r", "dates": {"from": BEFORE, "to": DAY}}))
    return file


def said(command: Command, project: Project, file: Path, *more: object) -> Result:
    return command("backfill", file, "--output", project.out, "--keys", project.keys, *more)


def test_it_says_what_each_date_came_to(project: Project, command: Command, file: Path) -> None:
    first = said(command, project, file)
    assert first.code == 0
    assert first.out.startswith("backfill b of checkins: 2 run now, 0 done before, 0 without input\n")
    assert f"  {DAY}  3 read, 3 written" in first.out
    assert "2 done before" in said(command, project, file).out


def test_dates_that_were_left_alone_are_not_among_those_that_were_run(
    project: Project, command: Command, file: Path
) -> None:
    assert said(command, project, file).code == 0
    for day in (BEFORE, DAY):
        project.records(events(30), day=day)
    assert said(command, project, file).code == 0
    project.records(events(2), day=BEFORE)
    project.records(events(29), day=DAY)
    done = said(command, project, file)
    assert done.code == 1
    assert done.out.splitlines()[:2] == [
        "backfill b of checkins: 1 run now, 0 done before, 0 without input",
        "1 date left alone",
    ]


def test_a_look_runs_nothing(project: Project, command: Command, file: Path) -> None:
    shutil.rmtree(project.out)
    looked = said(command, project, file, "--look")
    assert f"  {DAY}  due" in looked.out
    assert not project.out.exists()


def test_for_machines_it_prints_states_and_receipts(project: Project, command: Command, file: Path) -> None:
    done = said(command, project, file, "--json").json
    assert done["dates"] == {BEFORE: "due", DAY: "due"}
    assert [receipt["backfill"]["name"] for receipt in done["receipts"]] == ["b", "b"]


def test_a_faulty_file_exits_2_with_file_and_line(project: Project, command: Command, file: Path) -> None:
    file.write_text("backfill: b\ndates: soon\n")
    wrong = said(command, project, file)
    assert wrong.code == 2
    assert "backfill.yaml:2" in wrong.err
