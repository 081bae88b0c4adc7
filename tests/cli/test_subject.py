"""`minimize subject`: what it prints and how it exits."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

import minimize
from minimize.checkpoints import at_checkpoint
from minimize.errors import CheckFailed
from minimize.governance.subjects import DataSubject, SubjectRemoval, requests
from minimize.linting.rules import ALLOWABLE_CODES
from tests.commands import Command, Result
from tests.project import AGGREGATES, DAY, LASTING, Project, events, write_yaml
from tests.world import access_file, assignment, write_configuration

RECORDS = events(60)
OF_D3 = sum(each["device_id"] == "d3" for each in RECORDS)


def test_subject_view_gives_the_same_facts_as_text_and_as_json(project: Project, command: Command) -> None:
    project.records(RECORDS)
    project.run()
    said = command("subject", "view", "d3", "--output", project.out, "--keys", project.keys, "--json")
    assert (said.code, said.json["subjects"][0]["rows"]) == (0, OF_D3)
    text = command("subject", "view", "d3", "--output", project.out, "--keys", project.keys).out
    assert f"d3: {OF_D3} records in 1 file\n" in text
    assert str(project.out) not in text
    assert len(text.splitlines()) < 12, "a table, and no wall of text"
    more = command("subject", "view", "d3", "--output", project.out, "--keys", project.keys, "--verbose").out
    assert str(project.out) in more
    assert re.search(r"device_id +pseudonymize", more)


def test_several_subjects_can_be_given_by_a_file(project: Project, command: Command) -> None:
    project.records(RECORDS)
    project.run()
    (project.folder / "who.csv").write_text("subject,tenant_id\nd3,north\n,south\n")
    said = command("subject", "view", "--file", "who.csv", "--also", project.out, "--keys", project.keys, "--json")
    assert [each["subject"]["id"] for each in said.json["subjects"]] == ["d3", None]


def test_an_export_prints_its_folder_and_counts(project: Project, command: Command) -> None:
    project.records(RECORDS)
    project.run()
    words = ("--also", project.out, "--keys", project.keys, "--to", "export", "--format", "csv")
    said = command("subject", "export", "d3", *words)
    assert said.out == f"export: {OF_D3} records, 4 files\n"
    assert json.loads((project.folder / "export/view.json").read_text())["rows"] == OF_D3


def test_a_deletion_names_tables_of_outputs_that_have_no_records(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    ledger = project.folder / "organization.db"
    project.records(RECORDS)
    project.pipeline(aggregates=None)
    project.run(at=None, output=None, ledger=ledger)
    table = {**AGGREGATES["per_model"], "measures": {"devices": {"count_distinct": "device_id"}}}
    tables = {**project.base_pipeline, "pipeline": "bills", "records": False, "aggregates": {"invoice": table}}
    paths = {"policy": "../policy.yaml", "source": {"path": "../data/{date}/*.ndjson.gz", "format": "ndjson"}}
    bills = write_yaml(
        project.folder / "bills/pipeline.yaml", {**tables, **paths, "settings": "../settings.csv"}
    ).parent
    minimize.run(bills, keys=project.keys, ledger=ledger, allow=ALLOWABLE_CODES)
    words = ("subject", "delete", "d3", "--tenant", "north", "--keys", project.keys, "--ledger", ledger)
    named = command(*words, "--json").json["tables_without_records"]
    assert named == {str(bills / "out"): {"invoice": [DAY]}}
    for end in ((), ("--yes",)):
        said = command(*words, *end)
        assert said.code == 0, said.err
        assert f"invoice in {bills / 'out'} keeps statistics for {DAY}; may count 1 subject" in said.out
        assert str(project.out) not in said.out.partition("invoice in")[2], "an output with records is searched"


def test_a_view_without_a_subject_is_a_usage_error(project: Project, command: Command) -> None:
    assert command("subject", "view").code == 2


def test_a_deletion_is_shown_before_it_is_done(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    words = ("d3", "--tenant", "north", "--output", project.out, "--keys", project.keys)
    shown = command("subject", "delete", *words)
    assert "would be removed" in shown.out
    assert "nothing was changed. Pass --yes to apply the plan." in shown.out
    done = command("subject", "delete", *words, "--yes", "--json")
    assert (done.code, len(done.json["receipts"])) == (0, 1)
    status = command("subject", "status", "--output", project.out)
    assert (status.code, "deletion of a subject of north" in status.out) == (0, True)
    assert "d3" not in status.out.replace(done.json["requests"][0], "")
    assert command("subject", "view", *words, "--json").json["subjects"][0]["rows"] == 0


def test_a_restriction_seals_until_it_is_lifted(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    words = ("d3", "--tenant", "north", "--output", project.out, "--keys", project.keys)
    plan = command("subject", "restrict", *words).out
    assert plan.startswith("3 records of 1 subject would be restricted\n")
    assert f"  {project.out}: 3 records of {DAY} in 1 file\n" in plan
    done = command("subject", "restrict", *words, "--yes", "--json").json
    (view,) = command("subject", "view", *words, "--json").json["subjects"]
    assert (view["rows"], view["restricted"]["rows"], "held" in view["restricted"]) == (0, done["rows"], False)
    assert command("subject", "view", *words).out.startswith("d3 of north: 3 sealed records, and no other records\n")
    (shown,) = command("subject", "view", *words, "--restricted", "--json").json["subjects"]
    assert [each["rows"] for each in shown["restricted"]["held"]] == [done["rows"]]
    status = ("subject", "status", "--output", project.out)
    assert f"done; {done['rows']} records sealed" in command(*status).out
    assert "in force" in command(*status).out
    assert "would be published again" in command("subject", "lift", *words).out
    assert command("subject", "lift", *words, "--yes", "--json").json["rows"] == done["rows"]
    assert "lifted on" in command(*status).out
    assert command("subject", "lift", *words, "--yes").code == 2
    (view,) = command("subject", "view", *words, "--json").json["subjects"]
    assert (view["rows"], "restricted" in view) == (done["rows"], False)


def test_an_export_can_delete_then(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    words = ("d3", "--tenant", "north", "--output", project.out, "--keys", project.keys, "--to", "export")
    assert command("subject", "export", *words, "--then-delete").code == 0
    assert not (project.folder / "export").exists()
    assert "removed" in command("subject", "export", *words, "--then-delete", "--yes").out
    assert command("subject", "export", *words, "--yes").code == 2
    assert (project.folder / "export/view.json").exists()


def test_a_key_that_no_rule_finds_fails_lint_and_coverage(project: Project, command: Command) -> None:
    user = {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}}
    project.policy({"user": user, "device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    project.records([{**each, "user": "u1"} for each in RECORDS])
    project.run(allow=["L072"])
    project.policy({"user": user})
    said = command("lint", ".", "--keys", project.keys, "--json")
    assert [each["code"] for each in said.json["findings"] if each["severity"] == "error"] == ["Q003"]
    assert said.code == 1
    told = command("subject", "coverage", "--output", project.out)
    assert (told.code, "NO RULE" in told.out) == (1, True)
    project.run()
    assert command("subject", "coverage", "--output", project.out).code == 0
    assert "Q003" not in command("lint", ".", "--keys", project.keys).out


def test_a_view_is_a_page_too(project: Project, command: Command) -> None:
    project.records(RECORDS)
    project.run()
    page = project.folder / "view.html"
    said = command("subject", "view", "d3", "--html", page, "--output", project.out, "--keys", project.keys)
    assert said.out == f"wrote {page}\n"
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")


def test_a_deletion_of_an_unknown_subject_reports_that_nothing_is_stored(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    places = ("--output", project.out, "--keys", project.keys)
    done = command("subject", "delete", "d99", "--tenant", "north", *places, "--yes")
    assert (done.code, "no data is held" in done.out, "0 records of 1 subject removed" in done.out) == (0, True, True)
    wrong = command("subject", "delete", "d3", "--tenant", "nroth", *places)
    assert (wrong.code, "Check the spelling" in wrong.err) == (2, True)
    whole = command("subject", "delete", "--tenant", "north", "--whole-tenant", *places)
    assert "of 1 tenant would be removed" in whole.out


def test_a_correction_cites_its_source_or_a_request(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    places = ("--output", project.out, "--keys", project.keys)
    words = ("subject", "correct", "d3", "--tenant", "north", "--set", "battery=42", *places)
    for cited in (
        (),
        ("--source-correction", "CMDB-1", "--request", "CASE-7"),
        ("--origin", "request", "--evidence", " "),
    ):
        assert command(*words, *cited, "--yes").code == 2
    assert command(*words, "--origin", "source", "--evidence", "CMDB-1", "--yes").code == 0
    (request,) = command("subject", "status", *places[:2], "--json").json["requests"]
    assert (request["basis"], request["reference"]) == ("source_correction", "CMDB-1")


def test_a_privacy_officer_proposes_a_correction_and_another_approves_it(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    rules = access_file(
        assignment("operator", "ann"), assignment("privacy_officer", "pia"), assignment("privacy_officer", "paul")
    )
    write_configuration(project.folder, access=rules, ledger="out/ledger.db")
    words = (
        "subject",
        "correct",
        "d3",
        "--tenant",
        "north",
        "--set",
        "battery=42",
        "--origin",
        "request",
        "--evidence",
        "CASE-7",
        "--yes",
    )
    before = project.rows()

    def run_as(actor: str, *arguments: str) -> Result:
        monkeypatch.setenv("MINIMIZE_ACTOR", actor)
        return command(*arguments)

    assert run_as("ann", *words).code == 3
    proposed = run_as("pia", *words, "--json").json
    assert (proposed["proposed"], proposed["receipts"]) == (True, [])
    approve = ("subject", "approve", proposed["request"])
    assert "battery=42" in run_as("paul", *approve).out
    assert run_as("ann", *approve, "--yes").code == 3
    assert run_as("pia", *approve, "--yes").code == 3
    assert project.rows() == before
    assert run_as("paul", *approve, "--yes").code == 0
    assert project.rows() != before
    assert run_as("paul", *approve, "--yes").code == 2


def test_an_overdue_request_makes_subject_status_exit_with_1(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    places = ("--output", project.out, "--keys", project.keys)

    def fails(*_: object) -> None:
        raise CheckFailed("interrupted")

    with monkeypatch.context() as patched, at_checkpoint("removal.execute", fails):
        patched.setattr(requests, "REQUEST_DEADLINE", -timedelta(days=1))
        assert command("subject", "delete", "d3", "--tenant", "north", *places, "--yes").code == 1
    said = command("subject", "status", *places[:2])
    assert (said.code, "failed" in said.out, "OVERDUE" in said.out) == (1, True, True)
    assert command("subject", "delete", "d3", "--tenant", "north", *places, "--yes").code == 0
    assert command("subject", "status", *places[:2]).code == 0


def test_an_interrupted_deletion_with_nothing_left_reports_it() -> None:
    text = "\n".join(map(str, SubjectRemoval((DataSubject("d1", "north"),), {}, resumed=1, applied=True).lines()))
    assert "an earlier deletion of 1 subject was not complete; it is continued" in text
    assert "spelled" not in text
    empty = map(str, SubjectRemoval((DataSubject("d1", "north"),), {}, applied=True).lines())
    assert "Check the spelling of the ids." in "\n".join(empty)


def test_a_file_of_subjects_without_their_columns_names_the_columns(project: Project, command: Command) -> None:
    project.records(RECORDS)
    project.run()
    (project.folder / "who.csv").write_text("device,tenant\nd3,north\n")
    words = ("--file", "who.csv", "--output", project.out, "--keys", project.keys)
    failed = command("subject", "view", *words)
    assert (failed.code, "The columns are subject, tenant_id and field." in failed.err) == (2, True)


def test_status_is_one_sentence_per_request_without_fractions_of_seconds(project: Project, command: Command) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    words = ("d3", "--tenant", "north", "--output", project.out, "--keys", project.keys)
    command("subject", "restrict", *words, "--yes")
    (line,) = command("subject", "status", "--output", project.out).out.splitlines()
    asked = r"\w{12}  restriction of a subject of north, requested on [-0-9]{10} [:0-9]{5} UTC by \S+"
    assert re.fullmatch(f"{asked}: done; 3 records sealed; in force", line)
    (request,) = command("subject", "status", "--output", project.out, "--json").json["requests"]
    assert ("by" in request, bool(request["actor"])) == (False, True)


def test_help_of_confirm_names_restrictions(command: Command) -> None:
    assert "restricted its copy" in command("subject", "confirm", "--help").out


def test_a_tenant_without_an_id_is_a_usage_error_and_removes_nothing(project: Project, command: Command) -> None:
    places = held(project)
    for verb in ("delete", "restrict", "lift", "export"):
        options = ("--to", project.folder / "export") if verb == "export" else ("--yes",)
        refused = command("subject", verb, "--tenant", "north", *options, *places)
        assert (refused.code, "no subject was given" in refused.err) == (2, True)
    assert command("subject", "correct", "--tenant", "north", "--set", "battery=42", *places).code == 2
    assert len(project.rows()) == len(RECORDS)


def test_a_whole_tenant_is_deleted_with_the_number_of_records_that_the_plan_printed(
    project: Project, command: Command
) -> None:
    places = held(project)
    words = ("subject", "delete", "--tenant", "north", "--whole-tenant", *places)
    planned = command(*words, "--json").json["rows"]
    assert planned == len([each for each in RECORDS if each["tenant_id"] == "north"]) > 0
    unconfirmed = command(*words, "--yes")
    assert (unconfirmed.code, "--records N" in unconfirmed.err) == (2, True)
    other = command(*words, "--yes", "--records", planned + 1)
    assert (other.code, f"has {planned} records, not" in other.err, len(project.rows())) == (3, True, len(RECORDS))
    assert command(*words, "--yes", "--records", planned).code == 0
    assert len(project.rows()) == len(RECORDS) - planned


def test_a_whole_tenant_is_restricted_and_lifted_with_its_number_of_records(project: Project, command: Command) -> None:
    places = held(project)
    for verb in ("restrict", "lift"):
        words = ("subject", verb, "--tenant", "north", "--whole-tenant", *places)
        planned = command(*words, "--json").json["rows"]
        assert command(*words, "--yes", "--records", planned + 1).code == 3
        assert command(*words, "--yes", "--records", planned).code == 0
    assert len(project.rows()) == len(RECORDS)


def held(project: Project) -> tuple[Any, ...]:
    """Publishes the records; gives the options that find them."""
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(RECORDS)
    project.run(at=None, output=None)
    return ("--output", project.out, "--keys", project.keys)


def test_a_field_that_identifies_nothing_names_a_similar_one(project: Project, command: Command) -> None:
    project.records(events(20))
    project.run()
    refused = command(
        "subject", "view", "device-1", "--id-field", "device_idd", "--output", project.out, "--keys", project.keys
    )
    assert refused.code == 2
    assert "no output has a policy with the field `device_idd` (hint: Did you mean `device_id`?)" in refused.err


def test_a_correction_without_an_equals_sign_is_refused_and_not_named(project: Project, command: Command) -> None:
    words = ("--tenant", "north", "--set", "battery", "--origin", "request", "--evidence", "C-1")
    refused = command("subject", "correct", "d3", *words, "--output", project.out, "--keys", project.keys)
    assert refused.code == 2
    assert "`--set` needs a field and its value (hint: Pass FIELD=VALUE, or FIELD= for null.)" in refused.err
    assert "battery" not in refused.err
