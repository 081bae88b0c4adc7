"""`minimize expire`, as a shell calls it."""

from __future__ import annotations

from datetime import timedelta

import pytest

import minimize
from tests.commands import Command
from tests.project import AT, LASTING, Project, events

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
        == "nothing to do: nothing is due\n"
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
        monkeypatch.setattr(
            "minimize.governance.retention.execute.reference_clock", lambda *_, other=other: lambda: other
        )
        assert command("expire", project.out, "--at", MUCH_LATER, "--keys", project.keys, "--yes").code == code
    assert project.rows() == []


def test_on_a_night_the_expiry_after_the_run_is_believed(project: Project, command: Command) -> None:
    """The run's receipt tells how late it is, though the last night was weeks ago."""
    project.records(events(60))
    project.run()
    project.records(events(60), day=f"{AT + timedelta(days=40):%Y-%m-%d}")
    words = ("--at", MUCH_LATER, "--keys", project.keys)
    assert command("run", project.folder, "--pending", "--output", project.out, "--allow-shrink", *words).code == 0
    assert command("expire", project.out, "--yes", *words).code == 0
