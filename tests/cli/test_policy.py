"""`minimize lint`: what it prints, and when it fails.
`minimize plan`: the plan for people and machines, one tenant's plan, and a preview.
"""

from __future__ import annotations

import shutil

import pytest

from tests.commands import Command
from tests.project import AGGREGATES, DAY, Project, event, events, without_none


def test_no_drift_exits_0(project: Project, command: Command) -> None:
    project.records(events(30))
    said = command("drift", project.folder)
    assert (said.code, said.out) == (0, f"checkins version 3, 30 records of {DAY}\nno drift\n")


def test_drift_lists_a_new_column_and_exits_0_or_1_as_requested(project: Project, command: Command) -> None:
    project.records([event(number, theme="dark") for number in range(30)])
    said = command("drift", project.folder)
    assert said.code == 0
    assert "+ D001 /theme (string): not declared, so dropped from 30 of 30 records" in said.out
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


def test_drift_lists_undeclared_paths_of_earlier_runs(project: Project, command: Command) -> None:
    project.records([event(number, theme="dark") for number in range(30)])
    project.run()
    assert f"undeclared in earlier runs: /theme 30 ({DAY})" in command("drift", project.folder).out


def test_proposals_are_accepted_by_field_and_the_policy_runs(project: Project, command: Command) -> None:
    data = project.records(events(120))
    assert command("init", data, "first").code == 0
    said = command("init", "first", "--accept", "tenant_id", "--accept", "event_time", "--json")
    assert said.json == {"files": [], "accepted": ["tenant_id", "event_time"]}
    ran = command("run", "first", "--keys", project.keys, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["rows"]["written"] == 120
    assert {name for name, field in ran.json["fields"].items() if field["did"] != "drop"} == {"tenant_id", "event_time"}


def test_init_may_write_and_accept_a_policy_in_one_step(project: Project, command: Command) -> None:
    said = command("init", project.records(events(120)), "first", "--accept", "all")
    assert said.code == 0, said.err
    assert "accepted tenant, subject, time, record, event_id" in said.out
    assert command("plan", "first").code == 0


def test_a_field_that_has_no_proposal_is_a_mistake(project: Project, command: Command) -> None:
    command("init", project.records(events(20)), "first")
    said = command("init", "first", "--accept", "modell")
    assert said.code == 2
    assert "Did you mean `model`?" in said.err


def test_data_without_a_folder_is_a_mistake(project: Project, command: Command) -> None:
    assert command("init", project.records(events(2))).code == 2


def test_only_warnings_exit_0(project: Project, command: Command) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    said = command("lint", project.folder)
    assert said.code == 0
    assert "warning L001 model:" in said.out
    assert "no errors" in said.out


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1), ("never", 0)])
def test_the_failing_severity_can_be_chosen(project: Project, command: Command, fail_on: str, code: int) -> None:
    project.policy({"model": {"type": "string", "role": "quasi", "do": "keep"}})
    assert command("lint", project.folder, "--fail-on", fail_on).code == code


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_an_error_fails_unless_nothing_does(project: Project, command: Command, fail_on: str, code: int) -> None:
    project.policy({"note": {"type": "string", "role": "free_text", "do": "keep"}})
    assert command("lint", project.folder, "--fail-on", fail_on).code == code


def test_faults_of_a_file_exit_1_and_are_findings(project: Project, command: Command) -> None:
    project.policy({"battery": {"type": "strnig"}})
    said = command("lint", project.folder, "--json")
    assert said.code == 1
    (finding,) = [each for each in said.json["findings"] if each["severity"] == "error"]
    assert set(finding) == {"code", "severity", "file", "line", "field", "message", "hint"}
    assert (finding["severity"], finding["field"]) == ("error", "battery")
    assert finding["file"].endswith("policy.yaml")


def test_yaml_that_cannot_be_parsed_exits_1(project: Project, command: Command) -> None:
    (project.folder / "policy.yaml").write_text("fields: [")
    assert command("lint", project.folder).code == 1


def test_refusals_exit_1_too(project: Project, command: Command) -> None:
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "keep"}})
    assert command("lint", project.folder).code == 1


@pytest.mark.parametrize("gone", ["policy.yaml", "pipeline.yaml"])
def test_a_file_that_cannot_be_read_at_all_exits_2(project: Project, command: Command, gone: str) -> None:
    (project.folder / gone).unlink()
    said = command("lint", project.folder, "--json")
    assert said.code == 2
    assert said.error["faults"][0]["file"].endswith(gone)


def test_settings_without_effect_are_found(project: Project, command: Command) -> None:
    row = "north,,loction,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    said = command("lint", project.folder)
    assert "L035" in said.out
    assert "Did you mean `location`" in said.out


def test_faulty_settings_are_findings(project: Project, command: Command) -> None:
    row = "north,,location,on,admin,yesterday,2026-01-01T00:00:00Z\n"
    (project.folder / "settings.csv").write_text((project.folder / "settings.csv").read_text() + row)
    said = command("lint", project.folder, "--json")
    assert said.code == 1
    (error,) = [finding for finding in said.json["findings"] if finding["severity"] == "error"]
    assert (error["line"], error["field"]) == (3, "valid_from")
    assert error["file"].endswith("settings.csv")


def test_a_path_that_the_source_spells_otherwise_is_found(project: Project, command: Command) -> None:
    project.policy({"battery": None, "Battery": {"type": "double", "do": {"bin": {"width": 10}}}})
    project.pipeline(aggregates=None)
    project.records(events(5))
    said = command("lint", project.folder)
    assert said.code == 1
    assert "L021" in said.out
    assert "Did you mean `battery`" in said.out


def test_the_gravest_come_first(project: Project, command: Command) -> None:
    project.policy(
        {
            "model": {"type": "string", "role": "quasi", "do": "keep"},
            "note": {"type": "string", "role": "free_text", "do": "keep"},
        }
    )
    severities = [finding["severity"] for finding in command("lint", project.folder, "--json").json["findings"]]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "warning"}


def test_a_damaged_source_is_a_warning_of_lint(project: Project, command: Command) -> None:
    project.records(events(5))
    (file,) = (project.folder / "data").glob("*/*")
    file.write_bytes(file.read_bytes()[:40])
    said = command("lint", project.folder, "--json")
    assert said.code == 0
    assert "L023" in {finding["code"] for finding in said.json["findings"]}


def test_a_key_that_the_keyring_lacks_is_a_warning(project: Project, command: Command) -> None:
    command("keys", "new", "other.keys", "--name", "user")
    said = command("lint", project.folder, "--keys", "other.keys", "--json")
    (finding,) = [finding for finding in said.json["findings"] if finding["code"] == "L012"]
    assert (said.code, finding["field"], finding["line"] is not None) == (0, "device_id", True)
    assert "L012" not in command("lint", project.folder, "--keys", project.keys).out
    assert "L012" not in command("lint", project.folder).out


def test_a_keyring_that_cannot_be_used_is_a_warning_of_lint(project: Project, command: Command) -> None:
    said = command("lint", project.folder, "--keys", "nowhere.keys")
    assert (said.code, "L012" in said.out) == (0, True)


def test_the_codes_are_listed_as_text_or_as_json(command: Command) -> None:
    from minimize.codes import CODES

    said = command("lint", "--codes")
    assert said.code == 0
    assert [line.split("  ")[0] for line in said.out.splitlines()] == list(CODES)
    for words in (("--codes", "--json"), ("--json", "--codes")):
        assert command("lint", *words).json == {"codes": dict(CODES)}


def test_without_a_pipeline_lint_is_used_wrongly(command: Command) -> None:
    assert command("lint").code == 2


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
    assert all({"action", "technique", "why", "residual", "leaves"} <= set(field) for field in body["fields"].values())
    assert {key: field["action"] for key, field in body["fields"].items() if key in ("event_id", "tenant_id")} == {
        "event_id": "drop",
        "tenant_id": "keep",
    }
    assert body["fields"]["latitude"]["action"] == "gate"
    assert body["fields"]["device_id"]["technique"] == "pseudonymize"
    assert (body["fields"]["device_id"]["residual"], body["fields"]["device_id"]["leaves"]) == ("linkable", "linkable")
    assert body["outputs"]["records"]["category"] == "pseudonymized"
    assert body["outputs"]["per_model"]["category"] == "aggregated"


def test_a_chain_is_a_list_of_techniques(project: Project, command: Command) -> None:
    chain = [{"clip": {"min": 0, "max": 100}}, {"bin": {"width": 10}}]
    project.policy({"battery": {"type": "double", "do": chain, "in_aggregates": {"clip": {"min": 0, "max": 100}}}})
    assert command("plan", project.folder, "--json").json["fields"]["battery"]["technique"] == ["clip", "bin"]


def test_a_plan_of_one_tenant_shows_which_features_are_off(project: Project, command: Command) -> None:
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
    assert "released rows" in said.out
    assert "d1" not in said.out.split("released rows")[1]


AS_OF = ("--at", "2026-11-25T00:00:00Z")
NOISY = {"per_model": without_none({**AGGREGATES["per_model"], "exact": None})}


def test_a_preview_of_a_file_shows_what_to_expect_of_the_tables(project: Project, command: Command) -> None:
    shutil.rmtree(project.out)
    project.pipeline(aggregates=NOISY)
    file = project.records([event(number, device_id=f"d{number % 80}", model="A") for number in range(160)], root="new")
    said = command("plan", project.folder, "--preview", file, "--keys", project.keys, *AS_OF)
    assert said.code == 0
    text = " ".join(said.out.split("\ntables\n")[1].split())
    assert "per_model: about 1 of 1 row would be shown (100% of subjects)" in text.replace("over 99%", "100%")
    assert "a number of subjects is off by" in text
    assert "a subject has up to 2 rows: state how many count" in text
    assert "d1" not in said.out.split("\ntables\n")[1]
    assert not project.out.exists()


def test_a_preview_of_small_groups_shows_none_of_them(project: Project, command: Command) -> None:
    project.pipeline(aggregates=NOISY)
    few = [event(number, device_id=f"d{number % 2}", model="A") for number in range(9)]
    file = project.records(few, root="new")
    asked = ("plan", project.folder, "--preview", file.parent, "--keys", project.keys, "--json", *AS_OF)
    (table,) = command(*asked).json["tables"]
    assert (table["shown"], table["subjects"]) == (0, 0)


def test_a_preview_of_an_empty_folder_is_a_mistake(project: Project, command: Command) -> None:
    (project.folder / "empty").mkdir()
    said = command("plan", project.folder, "--preview", project.folder / "empty", "--keys", project.keys)
    assert said.code == 2
    assert "no files to preview" in said.err


@pytest.mark.parametrize("preview", ["0", "nowhere"])
def test_a_preview_is_a_number_or_a_file(project: Project, command: Command, preview: str) -> None:
    assert command("plan", project.folder, "--preview", preview).code == 2


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


def test_the_plan_of_a_tenant_without_settings_ends_with_a_hint(project: Project, command: Command) -> None:
    said = command("plan", project.folder, "--tenant", "norht")
    told = f"the tenant norht is not in the settings {project.folder / 'settings.csv'}. Did you mean north?\n"
    assert (said.code, said.out.endswith(told)) == (0, True)
    assert "is not in the settings" not in command("plan", project.folder, "--tenant", "north").out


def test_plan_json_states_whether_the_tenant_is_known(project: Project, command: Command) -> None:
    known = ("tenant_known", "tenants_like_it")
    unknown, north = (command("plan", project.folder, "--tenant", name, "--json").json for name in ("norht", "north"))
    assert [unknown[key] for key in known] == [False, ["north"]]
    assert [north[key] for key in known] == [True, []]
    assert "tenant_known" not in command("plan", project.folder, "--json").json
