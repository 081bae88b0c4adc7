"""The work of a deletion over many dates: it grows with the dates that hold the subject, not with all dates for each of them."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.datasets.reader import load_receipts
from tests.commands import command
from tests.project import Project, event, new_project

DATES = 40
WITH_SUBJECT = 4


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Forty dates; the subject `rare` has a record on four of them."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    project = new_project(tmp_path / "project", lasting=True)
    project.pipeline(aggregates=None)
    for number in range(DATES):
        rare = (
            [event(100 + number, device_id="rare", tenant_id="south")] if number % (DATES // WITH_SUBJECT) == 0 else []
        )
        project.records([event(number), event(number + 1), *rare], str(date(2026, 10, 1) + timedelta(days=number)))
    project.run(at=None)
    return project


def delete(project: Project) -> None:
    at = ("--pipeline", project.folder, "--keys", project.keys)
    assert command("subject", "delete", "rare", "--tenant", "south", "--yes", *at).code == 0


def test_only_dates_with_the_subject_are_rewritten(project: Project) -> None:
    before = project.files()
    delete(project)
    assert len(before - project.files()) == WITH_SUBJECT
    [_, receipt] = load_receipts(project.out)
    assert (receipt.kind, len(receipt.dates)) == ("delete", WITH_SUBJECT)


def test_each_output_is_listed_once_for_all_its_dates(project: Project) -> None:
    listed: Counter[str] = Counter()
    with at_checkpoint("folder.listed", lambda _, folder: listed.update([folder.name])):
        delete(project)
    assert {name: listed[name] for name in ("records", "index")} == {"records": 1, "index": 1}


def test_dates_without_the_subject_are_decided_by_their_index(project: Project) -> None:
    """The plan, the search for what is left and the check open each index at most a fixed number of times, and read no rows."""
    opened: Counter[str] = Counter()
    read: Counter[str] = Counter()
    held = project.files()
    with (
        at_checkpoint("index.read", lambda _, path: opened.update([path])),
        at_checkpoint("stored.read", lambda _, path: read.update([path])),
    ):
        delete(project)
    without = held & project.files()
    assert len(without) == DATES - WITH_SUBJECT
    assert not without & read.keys()
    assert max(opened[path] for path in without) <= 4
