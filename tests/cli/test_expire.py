"""`minimize expire`, as a shell calls it."""

from __future__ import annotations

from datetime import timedelta

import minimize
from tests.commands import Command
from tests.project import AT, Project, events

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
    done = command("expire", project.out, "--at", MUCH_LATER, "--keys", project.keys, "--yes", "--json").json
    assert {each["output"] for each in done["partitions"]} == {"records", "per_model"}
    assert [receipt["kind"] for receipt in done["receipts"]] == ["expire"]
