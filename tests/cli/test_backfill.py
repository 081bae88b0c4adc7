"""`minimize backfill`: what it prints and how it exits.
`minimize receive`: what a third party sends, on the command line.
"""

from __future__ import annotations

import json
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.commands import Command, Result, command
from tests.inbound import Inbound, messages, new_inbound
from tests.project import AT, BEFORE, DAY, LASTING, Project, enter, event, events
from tests.world import CONTRACT, access_file, write_configuration


@pytest.fixture(name="file")
def _file(project: Project) -> Path:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    for day in (BEFORE, DAY):
        project.records(events(3), day=day)
    file = project.folder / "backfill.yaml"
    file.write_text(json.dumps({"backfill": "b", "pipeline": ".", "reason": "r", "dates": {"from": BEFORE, "to": DAY}}))
    return file


def said(command: Command, project: Project, file: Path, *more: object) -> Result:
    return command("backfill", file, "--output", project.out, "--keys", project.keys, *more)


def test_backfill_prints_the_result_of_each_date(project: Project, command: Command, file: Path) -> None:
    first = said(command, project, file)
    assert first.code == 0
    assert first.out.startswith("backfill b of checkins: 2 run now, 0 already done, 0 without input\n")
    assert f"  {DAY}  3 read, 3 written" in first.out
    assert "2 already done" in said(command, project, file).out


def test_dates_that_were_left_alone_are_not_among_those_that_were_run(
    project: Project, command: Command, file: Path
) -> None:
    assert said(command, project, file).code == 0
    for day in (BEFORE, DAY):
        project.records(events(30), day=day)
    assert said(command, project, file).code == 0
    project.records(events(2), day=BEFORE)
    project.records(events(29), day=DAY)
    done = said(command, project, file)
    assert done.code == 1
    assert done.out.splitlines()[:2] == [
        "backfill b of checkins: 1 run now, 0 already done, 0 without input",
        "1 date skipped",
    ]


def test_a_look_runs_nothing(project: Project, command: Command, file: Path) -> None:
    shutil.rmtree(project.out)
    looked = said(command, project, file, "--dry-run")
    assert f"  {DAY}  due" in looked.out
    assert not project.out.exists()


def test_for_machines_it_prints_states_and_receipts(project: Project, command: Command, file: Path) -> None:
    done = said(command, project, file, "--json").json
    assert done["dates"] == {BEFORE: "due", DAY: "due"}
    assert [receipt["backfill"]["name"] for receipt in done["receipts"]] == ["b", "b"]


def test_a_faulty_file_exits_2_with_file_and_line(project: Project, command: Command, file: Path) -> None:
    file.write_text("backfill: b\ndates: soon\n")
    wrong = said(command, project, file)
    assert wrong.code == 2
    assert "backfill.yaml:2" in wrong.err


@pytest.fixture(name="inbound")
def _inbound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbound:
    """A project that received nothing yet, and to which north has consented."""
    enter(tmp_path, monkeypatch)
    made = new_inbound(tmp_path)
    made.policy(retention=None)
    made.vendor(contract={**CONTRACT, "until": "9999-01-01"})
    made.consent("give", "north")
    made.records(messages(10))
    return made


def receive(inbound: Inbound, *more: object, recipient: str = "vendor", function: str = "hook") -> Result:
    return command("receive", recipient, function, "--pipeline", inbound.folder, *more)


def test_it_prints_what_a_run_prints(inbound: Inbound) -> None:
    done = receive(inbound, "--date", DAY)
    assert done.code == 0, done.err
    assert "10 read = 5 written + 5 gated" in done.out
    assert "consent 5" in done.out
    assert "results in" in done.out


def test_as_json_it_is_the_receipt(inbound: Inbound) -> None:
    done = receive(inbound, "--date", DAY, "--json")
    assert (done.json["gated_by"]["consent"], done.json["received"]["recipient"]) == (5, "vendor")


def test_pending_runs_only_what_changed(inbound: Inbound) -> None:
    assert receive(inbound, "--pending").code == 0
    again = receive(inbound, "--pending")
    assert (again.code, again.out) == (0, "nothing to do\n")


def test_another_input_is_read(inbound: Inbound) -> None:
    path = inbound.records(messages(4), BEFORE, root="elsewhere")
    done = receive(inbound, "--date", BEFORE, "--input", path, "--json")
    assert done.json["rows"]["read"] == 4


def test_a_prerequisite_is_not_taken_from_the_caller_s_word(inbound: Inbound) -> None:
    assert receive(inbound, "--having", "connection").code == 2


def test_another_folder_of_recipients_counts(inbound: Inbound, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = receive(inbound, "--recipients", tmp_path / "none")
    assert (done.code, "no recipient `vendor`" in done.err) == (2, True)


@pytest.mark.parametrize(("recipient", "function"), [("other", "hook"), ("vendor", "sync")])
def test_it_is_the_pipelines_own_third_party_and_function(inbound: Inbound, recipient: str, function: str) -> None:
    done = receive(inbound, recipient=recipient, function=function)
    assert done.code == 2
    assert f"reads hook of vendor, not {function} of {recipient}" in done.err


def test_the_error_names_every_reason(inbound: Inbound) -> None:
    inbound.vendor(functions={})
    done = receive(inbound, "--json")
    assert done.code == 3
    assert [each["code"] for each in done.error["faults"]] == ["N001"]


def test_records_in_quarantine_above_the_limit_exit_with_4(inbound: Inbound) -> None:
    inbound.pipeline(quarantine={"fail_above": 0.1})
    inbound.records([*messages(4), "no JSON"])
    assert receive(inbound).code == 4


def test_an_account_without_the_permission_cannot_receive_data(
    inbound: Inbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_configuration(inbound.folder.parent, access=access_file(), keys=("device",))
    monkeypatch.setenv("MINIMIZE_ACTOR", "otto")
    refused = receive(inbound)
    assert (refused.code, "otto lacks the permission" in refused.err) == (3, True)
    assert re.search(
        r"roles? [a-z_, ]*privacy_officer[a-z_, ]* ha(s|ve) it\. An account .* sets MINIMIZE_ACTOR=", refused.err
    )
    assert "auditor" not in refused.err, "a role without the permission is not named"
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    assert receive(inbound).code == 0


def test_run_asks_the_same_of_manifest_and_consent(inbound: Inbound) -> None:
    assert command("run", inbound.folder, "--json").json["gated_by"]["consent"] == 5
    inbound.vendor(functions={})
    assert command("run", inbound.folder).code == 3


def test_lint_names_the_faults_of_what_is_received(inbound: Inbound) -> None:
    inbound.policy({"surprise": {"type": "string", "do": "keep"}}, retention=None)
    done = command("lint", inbound.folder, "--json")
    assert done.code == 1
    assert "T032" in [each["code"] for each in done.json["findings"]]


def test_a_preview_shows_only_what_tenants_agreed_to(inbound: Inbound) -> None:
    done = command("plan", inbound.folder, "--preview", 10)
    assert done.code == 0, done.err
    assert "north" in done.out
    assert "south" not in done.out


def test_explain_reports_that_no_consent_covers_a_record(inbound: Inbound) -> None:
    file = inbound.lines("one.ndjson", messages(2))
    done = command("explain", inbound.folder, "os_version", "--record", f"{file}:2", "--at", AT + timedelta(hours=1))
    assert done.code == 0, done.err
    assert "its tenant's consent did not cover" in done.out


@pytest.mark.parametrize("verb", ["withdraw", "refuse"])
def test_the_end_of_a_consent_names_the_command_that_removes_received_data(inbound: Inbound, verb: str) -> None:
    places = ("--pipeline", inbound.folder)
    done = command("consent", verb, "north", "vendor", "hook", "--reference", "FORM-1", *places)
    assert done.code == 0, done.err
    assert "minimize retract OUTPUT --received --yes" in done.out
    again = command("consent", verb, "north", "vendor", "hook", "--reference", "FORM-1", *places, "--json")
    assert again.json["received"] is True


def test_the_end_of_a_contract_names_the_command_that_removes_received_data(inbound: Inbound) -> None:
    places = ("--pipeline", inbound.folder)
    done = command("contract", "end", "north", "vendor", "--json", *places)
    assert (done.code, done.json["received"]) == (0, True)
    (inbound.folder / "signed.txt").write_text("A signed contract.")
    signed = ("--reference", "C-9", "--document", inbound.folder / "signed.txt")
    assert command("contract", "record", "north", "vendor", *signed, *places).code == 0
    done = command("contract", "end", "north", "vendor", *places)
    assert "minimize retract OUTPUT --received --yes" in done.out


def test_retract_takes_out_what_a_tenant_that_withdrew_sent(inbound: Inbound) -> None:
    receive(inbound)
    command("consent", "withdraw", "north", "vendor", "hook", "--reference", "FORM-1", "--pipeline", inbound.folder)
    done = command("retract", inbound.out, "--yes", "--json")
    assert [each["gated_by"]["consent"] for each in done.json["receipts"]] == [10]
    assert inbound.tenants() == []


WHEN, LATER = "2026-11-25T00:00:00Z", "2026-11-25T01:00:00Z"


def prepared(project: Project, command: Command, limit: float | None = None) -> None:
    """A run with five in quarantine, of which two pass under the policy of today."""
    limits = {} if limit is None else {"fail_above": limit}
    project.pipeline(aggregates=None, quarantine=limits)
    project.records([*events(30), "broken", event(31, storage="much"), event(32, storage="little")])
    project.records([*events(30), "broken", "too"], day=BEFORE)
    command("run", project.folder, "--at", WHEN, "--output", project.out, "--keys", project.keys)
    project.policy({"storage": None})


def test_replay_prints_how_many_records_pass_and_which_run_it_made(project: Project, command: Command) -> None:
    prepared(project, command)
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys)
    assert said.code == 0
    assert f"{BEFORE}: 0 of 2 quarantined records now pass" in said.out
    assert f"{DAY}: 2 of 3 quarantined records now pass" in said.out
    assert "checkins: replay " in said.out


def test_for_machines_it_gives_counts_and_receipts(project: Project, command: Command) -> None:
    prepared(project, command)
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys, "--json").json
    assert said["dates"] == [
        {"date": BEFORE, "quarantined": 2, "passing": 0},
        {"date": DAY, "quarantined": 3, "passing": 2},
    ]
    assert [(receipt["kind"], receipt["dates"]) for receipt in said["receipts"]] == [("replay", [DAY])]


def test_a_replay_without_quarantined_records_reports_it(project: Project, command: Command) -> None:
    project.records(events(30))
    project.run()
    said = command("replay", project.out, "--keys", project.keys)
    assert (said.code, said.out) == (0, "nothing to do: no records are quarantined\n")


def test_a_replay_without_passing_records_reports_it(project: Project, command: Command) -> None:
    project.records([*events(30), "broken"])
    project.run()
    said = command("replay", project.out, "--keys", project.keys)
    assert said.code == 0
    assert "nothing to do: no quarantined record passes" in said.out


def test_a_replay_above_fail_above_exits_with_4(project: Project, command: Command) -> None:
    prepared(project, command, limit=0.01)
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys)
    assert said.code == 4
    assert "more than 1.00%" in said.err


def test_a_changed_source_exits_3_with_both_digests(project: Project, command: Command) -> None:
    prepared(project, command)
    project.records(events(3))
    said = command("replay", project.out, "--at", LATER, "--keys", project.keys, "--json")
    assert said.code == 3
    (fault,) = said.error["faults"]
    assert (fault["code"], fault["message"].count("blake3:")) == ("R011", 2)


def test_a_folder_without_an_output_exits_2(project: Project, command: Command) -> None:
    assert command("replay", project.folder / "nowhere", "--keys", project.keys).code == 2


def test_a_missing_pipeline_is_reported(project: Project, command: Command) -> None:
    prepared(project, command)
    done = command("replay", project.out, "--pipeline", project.folder / "elsewhere", "--keys", project.keys)
    assert (done.code, "the file does not exist" in done.err, "not known" in done.err) == (2, True, False)
