"""Removals, restrictions and their lifting, killed anywhere: each record is published or sealed, never both and never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.governance.subjects import DataSubject, request_statuses, view_subjects
from minimize.governance.subjects.view import SubjectView
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.times import utc_now
from minimize.workspace import Workspace
from tests.faults.child import killed
from tests.faults.process import KILLED
from tests.project import BEFORE, Project, enter, events, new_project

SUBJECT = DataSubject("d3", "south")
RECORDS = events(40)
COUNT = 2 * sum((each["device_id"], each["tenant_id"]) == ("d3", "south") for each in RECORDS)
POINTS = (
    "ledger.after#1",
    "ledger.after#2",
    "begin.after",
    "file.closed#1",
    "attach.after",
    "intent.before",
    "intent.written",
    "swap.after#1",
    "swap.after#3",
    "receipt.before",
    "receipt.written",
    "clean.between",
    "run.indexed",
)


def words(project: Project, verb: str) -> list[object]:
    places = ["--keys", project.keys, "--ledger", project.folder / "organization.db"]
    return ["subject", verb, "d3", "--tenant", "south", "--yes", *places]


def ready(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    enter(folder, monkeypatch)
    project = new_project(folder, lasting=True)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.records(RECORDS, BEFORE)
    project.run(at=None, ledger=project.folder / "organization.db")
    return project


def seen(project: Project) -> SubjectView:
    """The subject's records, after an unfinished publication was completed or undone."""
    minimize.verify(project.out, keys=project.keys)
    place = Workspace(project.folder / "organization.db", keys=project.keys)
    return view_subjects([SUBJECT], place, utc_now())[0]


def sealed_rows(found: SubjectView) -> int:
    return sum(each.rows.num_rows for each in found.restricted)


@pytest.mark.nightly
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("verb", ["restrict", "lift"])
def test_a_killed_command_leaves_each_record_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, point: str
) -> None:
    project = ready(tmp_path, monkeypatch)
    if verb == "lift":
        assert killed(words(project, "restrict"), None) == 0
    assert killed(words(project, verb), point) in (KILLED, 0)
    found = seen(project)
    assert found.rows + sealed_rows(found) == COUNT
    if killed(words(project, verb), None) != 0:
        assert (verb, found.rows) == ("lift", COUNT)
    after = seen(project)
    assert (after.rows, sealed_rows(after)) == ((0, COUNT) if verb == "restrict" else (COUNT, 0))
    assert bool(after.restrictions) == (verb == "restrict")


@pytest.mark.slow
@pytest.mark.parametrize("point", ["receipt.before", "receipt.after"])
def test_a_request_for_a_tenant_that_is_killed_is_continued_with_its_number_of_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    project, ledger = ready(tmp_path, monkeypatch), tmp_path / "organization.db"
    other = tmp_path / "other"
    project.run(at=None, ledger=ledger, output=other)
    count = sum(each["tenant_id"] == "south" for each in RECORDS) * 4
    places = ["--keys", project.keys, "--ledger", ledger]
    for verb in ("restrict", "lift", "delete"):
        command = ["subject", verb, "--tenant", "south", "--whole-tenant", "--yes", *places, "--records"]
        assert killed([*command, count], point) == KILLED
        assert killed([*command, count + 1], None) == 3
        assert killed([*command, count], None) == 0
        with open_ledger(find_ledger(ledger)) as book:
            last = request_statuses(book)[-1].last
        receipts = [each for output in (project.out, other) for each in load_receipts(output) if each.kind == verb]
        assert sorted(last.body["receipts"]) == sorted(each.run_id for each in receipts)
        assert (last.state, last.body.get("rows", count)) == ("done", count)
        assert len(receipts) == 2
