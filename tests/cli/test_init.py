from __future__ import annotations

from tests.commands import Command
from tests.project import Project, events


def test_what_is_proposed_is_accepted_field_by_field_and_runs(project: Project, command: Command) -> None:
    data = project.records(events(120))
    assert command("init", data, "first").code == 0
    said = command("init", "first", "--accept", "tenant_id", "--accept", "event_time", "--json")
    assert said.json == {"files": [], "accepted": ["tenant_id", "event_time"]}
    ran = command("run", "first", "--keys", project.keys, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"]["written"] == 120
    assert {name for name, field in ran.json["fields"].items() if field["did"] != "drop"} == {"tenant_id", "event_time"}


def test_a_policy_may_be_written_and_accepted_at_once(project: Project, command: Command) -> None:
    said = command("init", project.records(events(120)), "first", "--accept", "all")
    assert said.code == 0, said.err
    assert "accepted tenant, subject, time, record, event_id" in said.out
    assert command("plan", "first").code == 0


def test_a_field_that_has_no_proposal_is_a_mistake(project: Project, command: Command) -> None:
    command("init", project.records(events(20)), "first")
    said = command("init", "first", "--accept", "modell")
    assert said.code == 2
    assert "did you mean `model`?" in said.err


def test_data_without_a_folder_is_a_mistake(project: Project, command: Command) -> None:
    assert command("init", project.records(events(2))).code == 2
