"""`minimize events`, as a shell calls it, and `expire` after it."""

from __future__ import annotations

from typing import Any

import pytest

import minimize
from tests.commands import Command
from tests.project import AT, Builds, Project, events

NOW = f"{AT:%Y-%m-%dT%H:%M:%SZ}"


def ran_content(project: Project) -> None:
    project.records(events(60))
    project.run()


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project) -> Project:
    return builds.fill(project, ran_content)


def places(project: Project) -> tuple[Any, ...]:
    return ("--pipeline", project.folder, "--keys", project.keys)


def test_an_event_is_added_listed_and_carried_out(ran: Project, command: Command) -> None:
    added = command("events", "add", "north", "subject_left", "--subject", "d1", "--at", NOW, *places(ran), "--json")
    assert (added.code, added.json["new"], added.json["missed"]) == (0, True, [])
    assert added.json["subject"].startswith("subject/1:")
    listed = command("events", "list", *places(ran))
    assert listed.out.startswith(
        f"{added.json['event'][:8]}  subject_left of a subject of north at {NOW}: recorded, by "
    )
    due = command("expire", ran.out, "--due", "--at", NOW, "--keys", ran.keys, "--json")
    assert (due.code, [each["what"] for each in due.json["open"]]) == (0, ["subject_left"])
    before = len(ran.rows())
    assert command("expire", ran.out, "--at", NOW, "--keys", ran.keys, "--yes").code == 0
    assert 0 < len(ran.rows()) < before
    minimize.verify(ran.out, keys=ran.keys)
    assert command("expire", ran.out, "--due", "--at", NOW, "--keys", ran.keys).out == "nothing is open\n"


def test_an_event_is_taken_back_by_the_beginning_of_its_name(ran: Project, command: Command) -> None:
    added = command("events", "add", "north", "tenant_closed", "--at", NOW, *places(ran), "--json").json
    back = command("events", "withdraw", added["event"][:8], *places(ran))
    assert (back.code, back.out) == (0, f"{added['event'][:8]}  tenant_closed of north at {NOW}: withdrawn\n")
    assert command("events", "list", *places(ran)).out == "no events\n"
    rows = command("events", "list", "--history", *places(ran), "--json").json["events"]
    assert [row["state"] for row in rows] == ["recorded", "withdrawn"]


def test_what_is_no_event_is_refused(ran: Project, command: Command) -> None:
    assert command("events", "add", "north", "moved", *places(ran)).code == 2
    refused = command("events", "add", "north", "reset", *places(ran))
    assert (refused.code, "none is named" in refused.err) == (2, True)
    assert command("events", "withdraw", "12345678", *places(ran)).code == 2


def test_an_output_that_cannot_be_looked_at_is_warned_of(ran: Project, command: Command) -> None:
    asked = ("events", "add", "north", "reset", "--subject", "d1", "--output", ran.out, "--keys", ran.keys)
    (ran.folder / "pipeline.yaml").rename(ran.folder / "elsewhere.yaml")
    done = command(*asked)
    assert (done.code, "cannot be looked at" in done.err) == (0, True)


def test_an_event_of_a_subject_that_names_none_says_which_option_names_it(ran: Project, command: Command) -> None:
    said = command("events", "add", "north", "subject_left", *places(ran))
    assert (said.code, "--subject S" in said.err) == (2, True)


def test_a_tenant_that_nobody_knows_is_warned_of_with_names_like_it(ran: Project, command: Command) -> None:
    said = command("events", "add", "nort", "tenant_closed", *places(ran))
    assert (said.code, "nobody knows the tenant nort" in said.err, "did you mean north?" in said.err) == (0, True, True)
    assert "tenant_closed of nort" in said.out


@pytest.mark.parametrize("tenant", ["north", "south"])
def test_a_tenant_of_settings_or_of_records_is_no_stranger(ran: Project, command: Command, tenant: str) -> None:
    said = command("events", "add", tenant, "tenant_closed", *places(ran))
    assert (said.code, said.err) == (0, "")
