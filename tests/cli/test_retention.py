"""`minimize events`, as a shell calls it, and `expire` after it.
`minimize expire`, as a shell calls it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

import minimize
from tests.commands import Command
from tests.project import AT, LASTING, Builds, Project, events

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
    assert command("expire", ran.out, "--due", "--at", NOW, "--keys", ran.keys).out == "no open deadlines\n"


def test_an_event_is_taken_back_by_the_beginning_of_its_name(ran: Project, command: Command) -> None:
    added = command("events", "add", "north", "tenant_closed", "--at", NOW, *places(ran), "--json").json
    back = command("events", "withdraw", added["event"][:8], *places(ran))
    assert (back.code, back.out) == (0, f"{added['event'][:8]}  tenant_closed of north at {NOW}: withdrawn\n")
    assert command("events", "list", *places(ran)).out == "no events\n"
    rows = command("events", "list", "--history", *places(ran), "--json").json["events"]
    assert [row["state"] for row in rows] == ["recorded", "withdrawn"]


def test_an_invalid_event_is_refused(ran: Project, command: Command) -> None:
    assert command("events", "add", "north", "moved", *places(ran)).code == 2
    refused = command("events", "add", "north", "reset", *places(ran))
    assert (refused.code, "needs a subject" in refused.err) == (2, True)
    assert command("events", "withdraw", "12345678", *places(ran)).code == 2


def test_an_output_that_cannot_be_looked_at_is_warned_of(ran: Project, command: Command) -> None:
    asked = ("events", "add", "north", "reset", "--subject", "d1", "--output", ran.out, "--keys", ran.keys)
    (ran.folder / "pipeline.yaml").rename(ran.folder / "elsewhere.yaml")
    done = command(*asked)
    assert (done.code, "cannot be read" in done.err) == (0, True)


def test_an_event_without_its_subject_is_refused_with_the_missing_option(ran: Project, command: Command) -> None:
    said = command("events", "add", "north", "subject_left", *places(ran))
    assert (said.code, "--subject S" in said.err) == (2, True)


def test_an_unknown_tenant_is_warned_of_with_similar_names(ran: Project, command: Command) -> None:
    said = command("events", "add", "nort", "tenant_closed", *places(ran))
    assert (said.code, "unknown tenant nort" in said.err, "Did you mean north?" in said.err) == (0, True, True)
    assert "tenant_closed of nort" in said.out


@pytest.mark.parametrize("tenant", ["north", "south"])
def test_a_tenant_of_settings_or_records_is_known(ran: Project, command: Command, tenant: str) -> None:
    said = command("events", "add", tenant, "tenant_closed", *places(ran))
    assert (said.code, said.err) == (0, "")


LATER = f"{AT + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
MUCH_LATER = f"{AT + timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}"


def test_the_plan_is_shown_and_yes_carries_it_out(project: Project, command: Command) -> None:
    project.records(events(60))
    project.run()
    shown = command("expire", project.out, "--at", LATER, "--keys", project.keys)
    assert (shown.code, "values: 30 of latitude" in shown.out, "--yes" in shown.out) == (0, True, True)
    assert any(row["latitude"] is not None for row in project.rows())
    done = command("expire", project.out, "--at", LATER, "--keys", project.keys, "--yes")
    assert (done.code, "expire" in done.out) == (0, True)
    assert all(row["latitude"] is None for row in project.rows())
    minimize.verify(project.out, keys=project.keys)


def test_nothing_due_is_nothing_to_do(project: Project, command: Command) -> None:
    project.records(events(60))
    project.run()
    assert (
        command("expire", project.out, "--at", AT, "--keys", project.keys, "--yes").out
        == "nothing to do: no data is due for removal\n"
    )


def test_due_lists_what_is_open_and_exits_with_one_when_something_is_overdue(
    project: Project, command: Command
) -> None:
    project.records(events(60))
    project.run()
    (project.folder / "happened.csv").write_text(f"tenant_id,subject,event,at\nnorth,d1,subject_left,{LATER}\n")
    asked = ("expire", project.out, "--due", "--events", project.folder / "happened.csv", "--keys", project.keys)
    early, late = command(*asked, "--at", AT), command(*asked, "--at", LATER, "--json")
    assert (early.code, late.code) == (0, 1)
    assert [each["what"] for each in late.json["open"] if each["overdue"]] == ["retention"]


def test_json_gives_plan_and_receipts(project: Project, command: Command) -> None:
    project.records(events(60))
    project.run()
    done = command(
        "expire", project.out, "--at", MUCH_LATER, "--keys", project.keys, "--yes", "--allow-shrink", "--json"
    ).json
    assert {each["output"] for each in done["partitions"]} == {"records", "per_model"}
    assert [receipt["kind"] for receipt in done["receipts"]] == ["expire"]


def test_a_clock_that_is_ahead_removes_nothing(project: Project, command: Command) -> None:
    project.records(events(60))
    project.run()
    late = ("expire", project.out, "--at", MUCH_LATER, "--keys", project.keys)
    assert command(*late).code == 0
    done = command(*late, "--yes")
    said = "nothing was removed: the time is more than 7 days after the last receipt"
    assert (done.code, "E304" in done.err, said in done.err, "--allow-shrink" in done.err) == (3, True, True, True)
    assert len(project.rows()) == 60
    assert command(*late, "--yes", "--allow-shrink").code == 0
    assert project.rows() == []


def test_nothing_due_is_nothing_to_refuse(project: Project, command: Command) -> None:
    project.policy(retention=None, features=LASTING["features"])
    project.records(events(60))
    project.run()
    assert command("expire", project.out, "--at", MUCH_LATER, "--keys", project.keys, "--yes").code == 0


def test_the_clock_of_the_database_or_store_is_asked_first(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.records(events(60))
    project.run()
    for hours, code in ((1, 3), (0, 0)):
        other = AT + timedelta(days=40, hours=hours)
        monkeypatch.setattr("minimize.runs.guards.reference_clock", lambda *_, other=other: lambda: other)
        assert command("expire", project.out, "--at", MUCH_LATER, "--keys", project.keys, "--yes").code == code
    assert project.rows() == []


def test_on_a_night_the_expiry_after_the_run_is_believed(
    project: Project, command: Command, clock: time_machine.Traveller
) -> None:
    """The run's receipt tells how late it is, though the last night was weeks ago."""
    project.records(events(60))
    project.run()
    project.records(events(60), day=f"{AT + timedelta(days=40):%Y-%m-%d}")
    words = ("--at", MUCH_LATER, "--keys", project.keys)
    clock.move_to(AT + timedelta(days=40))
    assert command("run", project.folder, "--pending", "--output", project.out, "--allow-shrink", *words).code == 0
    assert command("expire", project.out, "--yes", *words).code == 0
