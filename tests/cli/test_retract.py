"""`minimize retract`, as a shell calls it."""

from __future__ import annotations

import shutil

import pytest

import minimize
from tests.commands import Command
from tests.project import AT, SETTINGS, Project, events

OFF = "north,,location,off,admin,2026-11-25T00:00:00Z,2026-11-25T00:00:00Z\n"
LATER = "2026-11-25T00:30:00Z"


@pytest.mark.parametrize("way", ["source", "output"])
def test_the_plan_is_shown_and_yes_carries_it_out(project: Project, command: Command, way: str) -> None:
    project.records(events(60))
    project.run(at=AT)
    (project.folder / "settings.csv").write_text(SETTINGS + OFF)
    if way == "output":
        shutil.rmtree(project.folder / "data")
    shown = command("retract", project.out, "--at", LATER, "--keys", project.keys)
    assert (shown.code, "--yes" in shown.out) == (0, True)
    assert any(row["latitude"] is not None for row in project.rows())
    done = command("retract", project.out, "--at", LATER, "--keys", project.keys, "--yes", "--json").json
    assert [(receipt["kind"], receipt["from"]) for receipt in done["receipts"]] == [("retract", way)]
    assert all(row["latitude"] is None for row in project.rows())
    minimize.verify(project.out, keys=project.keys)


def test_a_policy_that_became_finer_is_refused(project: Project, command: Command) -> None:
    project.records(events(60))
    project.run(at=AT)
    shutil.rmtree(project.folder / "data")
    project.policy({"event_time": {"type": "timestamp", "do": "keep"}}, version=4)
    said = command("retract", project.out, "--at", LATER, "--keys", project.keys, "--yes", "--json")
    assert (said.code, said.error["faults"][0]["code"]) == (3, "R021")
