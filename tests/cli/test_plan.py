"""`minimize plan`: the plan for people and machines, one tenant's plan, and a preview."""

from __future__ import annotations

import shutil

from tests.commands import Command
from tests.project import Project, events


def test_a_plan_needs_no_keyring_no_data_and_no_settings(project: Project, command: Command) -> None:
    (project.folder / "settings.csv").unlink()
    said = command("plan", project.folder)
    assert said.code == 0
    assert "records: pseudonymized" in said.out
    assert "per_model: aggregated" in said.out


def test_for_machines_each_field_has_action_technique_reason_and_rest(project: Project, command: Command) -> None:
    body = command("plan", project.folder, "--json").json
    assert list(body["fields"]) == [
        "event_id",
        "tenant_id",
        "device_id",
        "event_time",
        "model",
        "battery",
        "storage",
        "latitude",
    ]
    assert all({"action", "technique", "why", "leaves"} <= set(field) for field in body["fields"].values())
    assert {key: field["action"] for key, field in body["fields"].items() if key in ("event_id", "tenant_id")} == {
        "event_id": "drop",
        "tenant_id": "keep",
    }
    assert body["fields"]["latitude"]["action"] == "gate"
    assert body["fields"]["device_id"]["technique"] == "pseudonymize"
    assert body["fields"]["device_id"]["leaves"] == "linkable"
    assert body["outputs"]["records"]["category"] == "pseudonymized"
    assert body["outputs"]["per_model"]["category"] == "aggregated"


def test_a_chain_is_a_list_of_techniques(project: Project, command: Command) -> None:
    chain = [{"clip": {"min": 0, "max": 100}}, {"bin": {"width": 10}}]
    project.policy({"battery": {"type": "double", "do": chain, "in_aggregates": {"clip": {"min": 0, "max": 100}}}})
    assert command("plan", project.folder, "--json").json["fields"]["battery"]["technique"] == ["clip", "bin"]


def test_a_plan_of_one_tenant_says_what_is_off(project: Project, command: Command) -> None:
    asked = ("--at", "2026-11-25T00:00:00Z", "--json")
    north = command("plan", project.folder, "--tenant", "north", *asked).json["fields"]["latitude"]
    south = command("plan", project.folder, "--tenant", "south", *asked).json["fields"]["latitude"]
    assert north["action"] != "drop"
    assert south["action"] == "drop"
    assert "feature location is off" in south["why"]


def test_a_plan_of_one_tenant_is_as_of_the_time_that_is_given(project: Project, command: Command) -> None:
    asked = ("plan", project.folder, "--tenant", "north", "--json", "--at")
    assert command(*asked, "2025-12-31T23:59:59Z").json["fields"]["latitude"]["action"] == "drop"
    assert command(*asked, "2026-01-01T00:00:00Z").json["fields"]["latitude"]["action"] != "drop"


def test_a_preview_shows_rows_as_they_would_leave(project: Project, command: Command) -> None:
    shutil.rmtree(project.out)
    project.records(events(40))
    said = command(
        "plan", project.folder, "--preview", 3, "--keys", project.keys, "--at", "2026-11-25T00:00:00Z", "--json"
    )
    assert said.code == 0
    assert len(said.json["preview"]) == 3
    assert all("event_id" not in row and not row["device_id"].startswith("d1") for row in said.json["preview"])
    assert not project.out.exists()


def test_a_preview_for_people_is_a_table(project: Project, command: Command) -> None:
    project.records(events(4))
    said = command("plan", project.folder, "--preview", 3, "--keys", project.keys, "--at", "2026-11-25T00:00:00Z")
    assert "as they would leave" in said.out
    assert "d1" not in said.out.split("as they would leave")[1]


def test_a_preview_without_the_key_that_it_needs_is_a_mistake(project: Project, command: Command) -> None:
    project.records(events(4))
    said = command("plan", project.folder, "--preview", 3)
    assert said.code == 2
    assert "device" in said.err


def test_a_preview_of_a_policy_without_keys_needs_no_keyring(project: Project, command: Command) -> None:
    project.policy({"device_id": {"type": "string", "do": "drop"}})
    project.records(events(4))
    assert (
        len(command("plan", project.folder, "--preview", 9, "--json", "--at", "2026-11-25T00:00:00Z").json["preview"])
        == 4
    )


def test_a_category_above_the_promise_is_refused_with_3(project: Project, command: Command) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    said = command("plan", project.folder)
    assert said.code == 3
    assert "device_id" in said.err


def test_the_rows_of_a_preview_can_come_from_elsewhere(project: Project, command: Command) -> None:
    project.records(events(2), root="other")
    asked = (
        "--preview",
        9,
        "--input",
        project.folder / "other",
        "--keys",
        project.keys,
        "--at",
        "2026-11-25T00:00:00Z",
    )
    assert len(command("plan", project.folder, *asked, "--json").json["preview"]) == 2


def test_a_tenant_that_the_settings_do_not_name_is_told_below_its_plan(project: Project, command: Command) -> None:
    said = command("plan", project.folder, "--tenant", "norht")
    told = f"no tenant norht is named by the settings {project.folder / 'settings.csv'}: did you mean north?\n"
    assert (said.code, said.out.endswith(told)) == (0, True)
    assert "is named by" not in command("plan", project.folder, "--tenant", "north").out


def test_machines_are_told_whether_the_tenant_is_known(project: Project, command: Command) -> None:
    known = ("tenant_known", "tenants_like_it")
    unknown, north = (command("plan", project.folder, "--tenant", name, "--json").json for name in ("norht", "north"))
    assert [unknown[key] for key in known] == [False, ["north"]]
    assert [north[key] for key in known] == [True, []]
    assert "tenant_known" not in command("plan", project.folder, "--json").json
