from __future__ import annotations

from tests.commands import Command
from tests.project import DAY, Project, event, events


def test_no_drift_exits_0(project: Project, command: Command) -> None:
    project.records(events(30))
    said = command("drift", project.folder)
    assert (said.code, said.out) == (0, f"checkins version 3, 30 records of {DAY}\nno drift\n")


def test_a_new_column_is_told_and_exits_0_or_1_as_asked(project: Project, command: Command) -> None:
    project.records([event(number, theme="dark") for number in range(30)])
    said = command("drift", project.folder)
    assert said.code == 0
    assert "+ D001 /theme (string): nobody declared it: dropped from 30 of 30 records" in said.out
    assert "  theme: {type: string, do: drop}" in said.out
    assert command("drift", project.folder, "--fail-on", "warning").code == 1


def test_a_retyped_column_exits_1(project: Project, command: Command) -> None:
    project.records([event(number, storage="12") for number in range(30)])
    said = command("drift", project.folder)
    assert said.code == 1
    assert "~ D003 /storage (integer → string)" in said.out
    assert command("drift", project.folder, "--fail-on", "never").code == 0


def test_for_machines_it_gives_changes_and_counts(project: Project, command: Command) -> None:
    project.records([event(number, theme="dark") for number in range(30)])
    project.run()
    said = command("drift", project.folder, "--json").json
    assert said["policy"] == {"name": "checkins", "version": 3}
    assert (said["dates"], said["records"]) == ([DAY], 30)
    assert [(each["code"], each["kind"], each["field"], each["is"]) for each in said["drift"]] == [
        ("D001", "new", "/theme", "string")
    ]
    assert [each["records"] for each in said["unknown"]["/theme"]] == [30]
    assert said["edit"] == "fields:\n  theme: {type: string, do: drop}\n"


def test_undeclared_paths_over_time_are_told(project: Project, command: Command) -> None:
    project.records([event(number, theme="dark") for number in range(30)])
    project.run()
    assert f"undeclared before: /theme 30 ({DAY})" in command("drift", project.folder).out
