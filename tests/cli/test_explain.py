"""`minimize explain`: what it prints, and how it fails."""

from __future__ import annotations

from tests.commands import Command
from tests.project import Project, events

WHEN = ("--at", "2026-11-25T00:00:00Z")


def test_it_says_what_becomes_of_a_field_step_by_step(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("explain", project.folder, "latitude", "--tenant", "north", *WHEN)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "latitude in checkins for tenant north, as of 2026-11-25T00:00:00Z: generalized"
    assert any("✓ gate: collected where feature location is on: it is so" in line for line in lines)
    assert "    location on, said by admin for the tenant, from 2026-01-01T00:00:00Z on" in said.out
    assert lines[-1].startswith("so: ")


def test_for_machines_it_prints_the_steps(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("explain", project.folder, "latitude", "--tenant", "south", *WHEN, "--json").json
    assert said["outcome"] == "dropped"
    assert [step["what"] for step in said["steps"] if step["verdict"] == "stops"] == ["gate"]


def test_of_a_record_it_tells_outcomes(project: Project, command: Command) -> None:
    path = project.records(events(3))
    said = command("explain", project.folder, "battery", "--record", f"{path}:2", *WHEN, "--keys", project.keys)
    assert said.code == 0
    assert said.out.splitlines()[-1] == "so: 1 made coarser"
    assert "7.3" not in said.out


def test_of_what_no_rule_names_it_says_so(project: Project, command: Command) -> None:
    project.records(events(3))
    said = command("explain", project.folder, "batery")
    assert (said.code, said.out) == (2, "")
    assert "did you mean `battery`?" in said.err


def test_a_record_that_is_not_there_exits_2(project: Project, command: Command) -> None:
    path = project.records(events(3))
    assert (
        command("explain", project.folder, "battery", "--record", f"{path}:9", *WHEN, "--keys", project.keys).code == 2
    )


def test_a_tenant_that_the_settings_do_not_name_is_told_last(project: Project, command: Command) -> None:
    words = ("explain", project.folder, "latitude", "--tenant")
    said = command(*words, "norht")
    told = f"no tenant norht is named by the settings {project.folder / 'settings.csv'}: did you mean north?"
    assert (said.code, said.out.splitlines()[-1]) == (0, told)
    assert command(*words, "norht", "--json").json["tenant_known"] is False
    assert command(*words, "north", "--json").json["tenant_known"] is True
