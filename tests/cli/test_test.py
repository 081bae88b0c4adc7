"""`minimize test`: exit codes, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands import Command
from tests.project import Project, event

ROW = {"tenant_id": "north", "device_id": "d", "event_time": "2026-11-24T22:00:00Z", "model": "other", "latitude": 48.0}


def brings(project: Project, name: str, *records: object) -> Path:
    path = project.folder / "tests" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_what_is_as_the_fixtures_say_exits_0(project: Project, command: Command) -> None:
    brings(project, "a.pass.ndjson", event(0))
    said = command("test", project.folder)
    assert said.code == 0
    assert said.out == "1 records tried, 0 rows compared, as of 2026-11-24T22:00:00Z: all as they say\n"


def test_what_is_not_exits_1_with_file_and_line(project: Project, command: Command) -> None:
    path = brings(project, "a.fail.ndjson", event(0))
    said = command("test", project.folder)
    assert said.code == 1
    assert f"{path}:1: F002 the record leaves" in said.out


def test_values_are_shown_on_demand_alone(project: Project, command: Command) -> None:
    brings(project, "a.pass.ndjson", event(0))
    brings(project, "expect.ndjson", {**ROW, "battery": 70.25})
    without, shown = command("test", project.folder), command("test", project.folder, "--show")
    assert without.code == shown.code == 1
    assert "F006 battery: another value leaves" in without.out
    assert "70.25" not in without.out
    assert "(70.25 was expected, 0.0 leaves)" in shown.out


def test_for_machines_it_prints_failures(project: Project, command: Command) -> None:
    brings(project, "a.pass.ndjson", event(0, contacts=[]))
    said = command("test", project.folder, "--json").json
    assert said["ok"] is False
    assert [(each["code"], each["line"], each["field"]) for each in said["failures"]] == [("F001", 1, "/contacts")]


def test_without_fixtures_it_exits_2(project: Project, command: Command) -> None:
    assert command("test", project.folder).code == 2
