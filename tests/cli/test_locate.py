"""`minimize locate`: what it prints and how it exits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from tests.commands import Command, Result
from tests.project import POLICY, Project, events

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
START = ("start", "d4711", "--tenant", "north")


@pytest.fixture(autouse=True)
def _ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Project, command: Command) -> None:
    """A tenant that lets its devices be located, in the ledger that the pipeline reads."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    project.write("policy", POLICY, features={"location": {"per_subject": True, "retention": "24h"}})
    project.pipeline(aggregates=None, settings="ledger")
    done = command("settings", "set", "north", "location", "on", "--since", "2026-11-01T00:00:00Z")
    assert done.code == 0, done.err


@pytest.fixture(autouse=True, name="clock")
def _clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def locate(command: Command, project: Project, *words: object) -> Result:
    return command("locate", *words, "--pipeline", project.folder)


def test_locate_prints_until_when_a_device_is_located(project: Project, command: Command) -> None:
    done = locate(command, project, *START, "--hours", 4)
    assert (done.code, done.out.splitlines()[0]) == (0, "a device of north is located until 2026-11-24T16:00:00Z")
    found = locate(command, project, *START, "--json").json
    assert (found["tenant"], found["since"], found["until"]) == (
        "north",
        "2026-11-24T12:00:00Z",
        "2026-11-25T12:00:00Z",
    )


def test_it_prints_the_conditions_of_the_policy(project: Project, command: Command) -> None:
    latitude = POLICY["fields"]["latitude"] | {"collect_if": {"owner_type": "corporate"}}
    fields = POLICY["fields"] | {"owner_type": {"type": "string", "do": "keep"}, "latitude": latitude}
    project.write("policy", POLICY, features={"location": {"per_subject": True}}, fields=fields)
    words = "feature location is on for the tenant and for the subject itself; owner_type is corporate"
    assert f"  latitude is released only if: {words}\n" in locate(command, project, *START).out
    assert locate(command, project, *START, "--json").json["conditions"] == {"latitude": words}


def test_the_list_shows_tokens(project: Project, command: Command) -> None:
    assert locate(command, project, "list").out == "no device is located\n"
    locate(command, project, *START)
    done = locate(command, project, "list", "--tenant", "north")
    assert done.out.startswith("north  since 2026-11-24T12:00:00Z  until 2026-11-25T12:00:00Z  subject/1:")
    assert "d4711" not in done.out
    (only,) = locate(command, project, "list", "--json").json["located"]
    assert only["until"] == "2026-11-25T12:00:00Z"


def test_locate_end_prints_whether_there_was_anything_to_end(
    project: Project, command: Command, clock: time_machine.Traveller
) -> None:
    end = ("end", "d4711", "--tenant", "north")
    nothing = command("locate", *end)
    assert (nothing.code, nothing.out.split(". ")[0]) == (0, "nothing to do: the device is not located")
    locate(command, project, *START)
    clock.shift(timedelta(hours=1))
    assert command("locate", *end).out == "a device of north is no longer located\n"
    assert command("locate", *end, "--json").json == {"tenant": "north", "ended": False}


def test_locate_end_reports_an_unknown_tenant(project: Project, command: Command) -> None:
    locate(command, project, *START)
    done = command("locate", "end", "d4711", "--tenant", "nroth")
    assert done.code == 0
    assert done.out.startswith("nothing to do: the ledger has no setting of the tenant nroth. ")
    assert "as in `locate start`" in done.out
    assert "as in `locate start`" in command("locate", "end", "d4712", "--tenant", "north").out


def test_the_audit_log_vouches_for_the_settings_of_actions(
    project: Project, command: Command, clock: time_machine.Traveller
) -> None:
    locate(command, project, *START)
    clock.shift(timedelta(hours=1))
    locate(command, project, "end", "d4711", "--tenant", "north")
    done = command("audit", "verify", "--json")
    assert [each["code"] for each in done.json["findings"] if each["severity"] == "error"] == []
    assert done.code == 0


def test_it_refuses_what_would_have_no_effect(project: Project, command: Command) -> None:
    other = locate(command, project, "start", "d4711", "--tenant", "south")
    assert (other.code, "the tenant's own setting `location` is not on" in other.err) == (3, True)
    project.write("policy", POLICY)
    assert locate(command, project, *START).code == 3


@pytest.mark.parametrize("words", [(*START, "--hours", 25), (*START, "--hours", 0), ("start", "d4711")])
def test_wrong_words_exit_2(project: Project, command: Command, words: tuple[object, ...]) -> None:
    assert locate(command, project, *words).code == 2
    assert command("locate", *START).code == 2


def test_a_run_releases_positions_of_the_device_that_is_located(
    project: Project, command: Command, clock: time_machine.Traveller
) -> None:
    rows = [event for event in events(40) if event["tenant_id"] == "north"]
    device = rows[0]["device_id"]
    times = {"event_time": "2026-11-24T13:00:00Z"}
    project.records([{**event, **times} for event in rows])
    locate(command, project, "start", device, "--tenant", "north")
    clock.shift(timedelta(hours=2))
    assert command("run", project.folder, "--output", project.out).code == 0
    located = {row["device_id"] for row in project.rows() if row["latitude"] is not None}
    assert len(located) == 1
    assert len({row["device_id"] for row in project.rows()}) > 1
    clock.shift(timedelta(hours=1))
    locate(command, project, "end", device, "--tenant", "north")
    clock.shift(timedelta(hours=1))
    assert command("run", project.folder, "--output", project.out).code == 0
    assert {row["latitude"] for row in project.rows()} == {None}


def test_it_takes_a_permission_of_its_own(project: Project, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.folder / "minimize.yaml").write_text("access: access.yaml\n")
    assignments = [
        {"role": role, "members": {"users": [user]}, "scope": {"tenants": ["north"], "datasets": "all"}}
        for role, user in (("support_engineer", "sue"), ("operator", "olga"))
    ]
    project.write("access", {"version": 1, "assignments": assignments})
    for user, code in (("olga", 3), ("sue", 0)):
        monkeypatch.setenv("MINIMIZE_ACTOR", user)
        assert [locate(command, project, *words).code for words in (START, ("list", "--tenant", "north"))] == [code] * 2
    assert locate(command, project, "start", "d1", "--tenant", "south").code == 3
