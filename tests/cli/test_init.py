from __future__ import annotations

from tests.cli.command import Command
from tests.job.house import House, events


def test_what_is_proposed_is_accepted_field_by_field_and_runs(house: House, command: Command) -> None:
    data = house.brings(events(120))
    assert command("init", data, "first").code == 0
    said = command("init", "first", "--accept", "tenant_id", "--accept", "event_time", "--json")
    assert said.json == {"files": [], "accepted": ["tenant_id", "event_time"]}
    ran = command("run", "first", "--keys", house.keys, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"]["written"] == 120
    assert {name for name, field in ran.json["fields"].items() if field["did"] != "drop"} == {"tenant_id", "event_time"}


def test_a_policy_may_be_written_and_accepted_at_once(house: House, command: Command) -> None:
    said = command("init", house.brings(events(120)), "first", "--accept", "all")
    assert said.code == 0, said.err
    assert "accepted tenant, subject, time, record, event_id" in said.out
    assert command("plan", "first").code == 0


def test_a_field_that_has_no_proposal_is_a_mistake(house: House, command: Command) -> None:
    command("init", house.brings(events(20)), "first")
    said = command("init", "first", "--accept", "modell")
    assert said.code == 2
    assert "did you mean `model`?" in said.err


def test_data_without_a_folder_is_a_mistake(house: House, command: Command) -> None:
    assert command("init", house.brings(events(2))).code == 2
