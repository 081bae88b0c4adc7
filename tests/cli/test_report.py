from __future__ import annotations

import pytest

from tests.commands import Command
from tests.project import Builds, Project, events

AT = "2026-11-25T00:00:00Z"


def done_content(project: Project) -> None:
    project.records([*events(60), "broken"])
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, done_content)


def test_a_report_is_told_in_a_few_lines(done: Project, command: Command) -> None:
    said = command("report", done.out, "--keys", done.keys, "--at", AT)
    assert said.code == 0
    assert "60 or more read = 60 written + fewer than 5 quarantined" in said.out
    assert "not approved" in said.out


def test_a_page_is_written_and_named(done: Project, command: Command) -> None:
    path = done.folder / "page.html"
    said = command("report", done.out, "--keys", done.keys, "--at", AT, "--html", path)
    assert said.code == 0
    assert path.name in said.out
    assert path.read_text("utf-8").startswith("<!doctype html>")


def test_for_machines_it_gives_the_facts(done: Project, command: Command) -> None:
    body = command("report", done.out, "--keys", done.keys, "--at", AT, "--json").json
    assert body["pipeline"] == "checkins"
    assert (body["flow"]["read"], body["flow"]["written"]) == ("60 or more", 60)


def test_what_cannot_be_shown_is_said(done: Project, command: Command) -> None:
    said = command("report", done.out, "--at", AT)
    assert said.code == 0
    assert "signatures of the receipts" in said.out


def test_an_output_without_receipts_is_a_mistake(project: Project, command: Command) -> None:
    assert command("report", project.folder / "nowhere").code == 2
