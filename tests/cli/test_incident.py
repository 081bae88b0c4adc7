"""`minimize incident`: what it prints and how it exits."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial

import pytest
import time_machine

from minimize.governance.access_file import create_access_file
from minimize.governance.incidents.incident import incident_lines
from minimize.pages import Table
from tests.commands import Command, Result, command
from tests.project import LASTING, Builds, Project, events

TITLE = "a lost disk"


def published(project: Project) -> None:
    project.policy(**LASTING)
    project.pipeline(aggregates=None)
    project.records(events(60))
    project.run(at=None, output=None)


@pytest.fixture(name="incident")
def _incident(builds: Builds, project: Project, command: Command) -> Command:
    builds.fill(project, published)
    return partial(_called, command, project)


def _called(command: Command, project: Project, verb: object, *words: object) -> Result:
    return command("incident", verb, *words, "--output", project.out, "--keys", project.keys)


def opened(incident: Command, project: Project, *more: object) -> None:
    words = ("INC-1", "--title", TITLE, "--since", "2026-11-20T00:00Z", "--exposed", f"output:{project.out}")
    assert incident("open", *words, *more).code == 0


def test_an_incident_is_opened_scoped_and_shown(project: Project, incident: Command) -> None:
    opened(incident, project)
    found = incident("scope", "INC-1", "--json")
    assert [each["tenant_id"] for each in found.json["scope"]["tenants"]] == ["north", "south"]
    text = incident("show", "INC-1", "--verbose").out
    assert "INC-1  a lost disk: scoped, 2 tenants" in text
    assert re.search(r"pseudonymized: .*device ID", text)
    assert "to be notified" in text


def test_an_exposure_that_matches_nothing_is_reported_when_it_is_recorded(project: Project, incident: Command) -> None:
    words = ("--title", TITLE, "--since", "2026-11-20T00:00Z", "--exposed")
    said = incident("open", "INC-1", *words, "date:2026-11-30", "--exposed", f"output:{project.out}#recrods")
    asked = "Check the spelling and the time of the incident."
    assert said.code == 0
    assert said.out.splitlines()[-2:] == [
        f"  NOTHING MATCHES date:2026-11-30. {asked}",
        f"  NOTHING MATCHES output:{project.out}#recrods. {asked}",
    ]
    right = incident("open", "INC-2", *words, f"output:{project.out}", "--json")
    assert (right.code, right.json["nothing_matches"]) == (0, [])


def test_an_incident_known_only_in_the_future_is_refused(project: Project, incident: Command) -> None:
    words = ("INC-1", "--title", TITLE, "--since", "2026-11-20T00:00Z", "--exposed", f"output:{project.out}")
    said = incident("open", *words, "--known-at", "2999-01-01T00:00Z")
    assert (said.code, "Pass --until and --known-at times that are not in the future." in said.err) == (2, True)
    assert incident("list").out == "no incidents\n"


def test_a_support_incident_names_its_tenant_and_ticket_and_no_exposed_items(incident: Command) -> None:
    words = ("open", "CASE-1", "--kind", "support", "--title", "No check-in")
    assert incident(*words, "--tenant", "north").code == 2
    assert incident(*words, "--reference", "TICKET-1").code == 2
    named = (*words, "--tenant", "north", "--reference", "TICKET-1")
    assert incident(*named, "--exposed", "date:2026-11-24").code == 2
    body = incident(*named, "--json").json
    assert (body["kind"], body["tenants"], body["reference"]) == ("support", ["north"], "TICKET-1")
    assert "CASE-1  No check-in: open, support for north" in incident("list").out
    assert "closed by" in incident("close", "CASE-1", "--reason", "done").out


def test_a_privacy_incident_names_its_start_and_its_exposed_items(incident: Command) -> None:
    assert incident("open", "INC-1", "--title", TITLE, "--exposed", "date:2026-11-24").code == 2
    said = incident("open", "INC-1", "--title", TITLE, "--since", "2026-11-20T00:00Z")
    assert (said.code, "--kind support" in said.err) == (2, True)


def test_the_class_of_an_incident_is_declared_and_changed_with_a_reason(
    project: Project, incident: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(incident, project)
    incident("scope", "INC-1")
    assert "declared as security_incident" in incident("declare", "INC-1", "--as", "security_incident").out
    change = ("reclassify", "INC-1", "--as", "customer_reportable")
    assert incident(*change).code == 2
    assert "2 tenants to notify" in incident(*change, "--because", "the disk was not encrypted").out
    monkeypatch.setenv("MINIMIZE_ACTOR", "bob")
    lowered = incident("reclassify", "INC-1", "--as", "security_incident", "--because", "it was", "--json")
    assert (lowered.json["class"], lowered.json["due"], lowered.json["pending"]) == ("security_incident", None, [])
    assert incident("declare", "INC-1", "--as", "false_positive").code == 2


def test_data_that_tenants_have_in_common_is_printed_once(project: Project, incident: Command) -> None:
    opened(incident, project)
    body = incident("scope", "INC-1", "--json").json
    (north, south) = body["scope"]["tenants"]
    alike = {**body, "scope": {**body["scope"], "tenants": [north, {**south, "kinds": north["kinds"]}]}}
    different, same = (
        [line for line in incident_lines(each, verbose=True) if isinstance(line, str)] for each in (body, alike)
    )
    assert [sum("device ID" in line for line in lines) for lines in (different, same)] == [2, 1]
    assert next(line for line in same if "device ID" in line).startswith("  north, south: pseudonymized: ")


def test_a_scope_is_a_table_and_all_columns_need_verbose(project: Project, incident: Command) -> None:
    opened(incident, project)
    text = incident("scope", "INC-1").out
    assert re.search(r"tenant +subjects +records +form +from +to +notice", text)
    assert re.search(r"data: pseudonymized: \d+ columns\. Pass --verbose to see all columns\.", text)
    assert "device ID" not in text
    assert "device ID" in incident("show", "INC-1", "--verbose").out


def test_40_tenants_are_one_row_each(project: Project, incident: Command) -> None:
    opened(incident, project)
    body = incident("scope", "INC-1", "--json").json
    north = body["scope"]["tenants"][0]
    tenants = [{**north, "tenant_id": f"<t>{number}"} for number in range(40)]
    notices: dict[str, list[str]] = {each["tenant_id"]: [] for each in tenants}
    lines = [*incident_lines({**body, "scope": {**body["scope"], "tenants": tenants}, "notices": notices})]
    (table,) = [line for line in lines if isinstance(line, Table)]
    assert len(table.rows) == 40
    assert len(lines) < 8


def test_a_step_prints_what_it_recorded(project: Project, incident: Command) -> None:
    opened(incident, project)
    incident("scope", "INC-1")
    declared = incident("declare", "INC-1").out
    assert ("2 tenants to notify" in declared, "customer_reportable since" in declared) == (True, True)
    measured = incident("measure", "INC-1", "the disk was found").out
    assert measured.splitlines()[-1] == "  measure: the disk was found"
    assert "device_id" not in declared + measured
    assert incident("measure", "INC-1", "x", "--json").json["measures"] == ["the disk was found", "x"]


def test_the_list_exits_with_zero_while_nothing_is_overdue(project: Project, incident: Command) -> None:
    assert incident("list").out == "no incidents\n"
    opened(incident, project)
    incident("declare", "INC-1")
    said = incident("list")
    assert (said.code, "INC-1" in said.out, "OVERDUE" in said.out) == (0, True, False)


def test_an_exception_takes_a_second_person(
    project: Project, incident: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(incident, project)
    incident("scope", "INC-1")
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    assert incident("exempt", "INC-1", "north", "--reason", "its data was public").code == 0
    assert incident("exempt", "INC-1", "north", "--agree").code == 3
    monkeypatch.setenv("MINIMIZE_ACTOR", "bob")
    assert "exempt" in incident("exempt", "INC-1", "north", "--agree").out


def test_an_invalid_exposure_exits_with_2(project: Project, incident: Command) -> None:
    words = ("INC-1", "--title", TITLE, "--since", "2026-11-20T00:00Z", "--exposed", "everything")
    assert incident("open", *words).code == 2


def test_a_declared_incident_cannot_be_closed_before_all_tenants_are_notified(
    project: Project, incident: Command
) -> None:
    opened(incident, project)
    incident("scope", "INC-1")
    incident("declare", "INC-1")
    incident("measure", "INC-1", "the disk was wiped")
    assert incident("close", "INC-1", "--as", "customer_reportable", "--reason", "done").code == 3
    assert "measure: the disk was wiped" in incident("show", "INC-1").out


def test_notices_are_drafted_and_sent(project: Project, incident: Command) -> None:
    opened(incident, project)
    incident("scope", "INC-1")
    incident("declare", "INC-1")
    (project.folder / "contacts.csv").write_text("tenant_id,role,name,address\nnorth,privacy,Pia,pia@north.example\n")
    words = ("--to", "notices", "--contact", "privacy@example.com", "--contacts", "contacts.csv")
    done = incident("notice", "INC-1", *words)
    assert "version 1 for 2 tenants" in done.out
    assert "no contact for south" in done.out
    assert (project.folder / "notices/INC-1-v1/north.md").exists()
    assert incident("notice", "INC-1", "--sent").code == 2
    assert "1 tenant to notify" in incident("notice", "INC-1", "--sent", "--tenant", "north").out
    assert "0 tenants to notify" in incident("notice", "INC-1", "--sent", "--tenant", "south").out
    assert incident("close", "INC-1", "--as", "customer_reportable", "--reason", "done").code == 0


def test_notices_are_sent_by_the_command_of_the_configuration(project: Project, incident: Command) -> None:
    opened(incident, project)
    incident("scope", "INC-1")
    incident("declare", "INC-1")
    rows = "north,privacy,pia@north.example\nsouth,security,sam@south.example\n"
    (project.folder / "contacts.csv").write_text(f"tenant_id,role,address\n{rows}")
    words = ("--to", "notices", "--contact", "privacy@example.com", "--contacts", "contacts.csv")
    incident("notice", "INC-1", *words)
    assert incident("send", "INC-1", "--outbox", "notices", "--yes").code == 2
    (project.folder / "minimize.yaml").write_text("notify: ['true']\n")
    assert "nothing was changed" in incident("send", "INC-1", "--outbox", "notices").out
    refused = incident("send", "INC-1", "--outbox", "notices", "--yes")
    assert (refused.code, "--as action" in refused.err) == (3, True)
    incident("measure", "INC-1", "The disk was wiped.")
    incident("measure", "INC-1", "Look at your log.", "--as", "action")
    incident("notice", "INC-1", *words)
    done = incident("send", "INC-1", "--outbox", "notices", "--yes")
    assert (done.code, "north: version 2 to privacy, sent" in done.out) == (0, True)
    assert "0 tenants to notify" in incident("show", "INC-1").out
    (project.folder / "minimize.yaml").write_text("notify: ['false']\n")
    incident("notice", "INC-1", *words)
    assert incident("send", "INC-1", "--outbox", "notices", "--yes").code == 1


def test_a_notice_requires_a_contact(project: Project, incident: Command) -> None:
    opened(incident, project)
    assert incident("notice", "INC-1", "--to", "notices").code == 2


def test_contacts_are_linted(project: Project, command: Command) -> None:
    (project.folder / "contacts.csv").write_text("tenant_id,role,name,address\nnorth,boss,Pia,nowhere\n")
    said = command("incident", "lint", "contacts.csv", "--json")
    assert said.code == 1
    assert [each["code"] for each in said.json["findings"]] == ["K003", "K004"]


def test_an_incident_without_a_scope_is_shown_as_such_and_becomes_overdue(project: Project, incident: Command) -> None:
    opened(incident, project)
    assert "INC-1  a lost disk: open, scope unknown\n" in incident("list").out
    declared = incident("declare", "INC-1", "--json").json
    assert (declared["scope"], declared["pending"]) == (None, [])
    text = incident("show", "INC-1").out
    assert ("scope unknown" in text, "0 tenants to notify" in text) == (True, True)
    with time_machine.travel(datetime.fromisoformat(declared["due"]) + timedelta(seconds=1), tick=False):
        late = incident("list")
        assert (late.code, "scope unknown" in late.out, "OVERDUE" in late.out) == (1, True, True)
    assert incident("scope", "INC-1").code == 0
    text = incident("show", "INC-1").out
    assert ("scope unknown" in text, "2 tenants to notify" in text) == (False, True)


@pytest.mark.parametrize(
    ("named", "reach", "line"),
    [
        ((), "0 tenants", "  subject/view by privacy-officer@example.com at "),
        (("--tenant", "north"), "1 tenant", " north   at most 11  at most 30 "),
    ],
)
def test_a_search_that_named_no_tenant_is_listed_with_unknown_tenants(
    project: Project,
    incident: Command,
    monkeypatch: pytest.MonkeyPatch,
    named: tuple[str, ...],
    reach: str,
    line: str,
) -> None:
    create_access_file(project.folder / "access.yaml", "operator@example.com", ("north", "south"))
    (project.folder / "minimize.yaml").write_text("access: access.yaml\nencrypt: off\n")
    monkeypatch.setenv("MINIMIZE_ACTOR", "privacy-officer@example.com")
    assert command("subject", "view", "d3", *named, "--output", project.out, "--keys", project.keys).code == 0
    exposed = ("--since", "2026-11-20T00:00Z", "--exposed", "actor:privacy-officer@example.com")
    assert incident("open", "INC-1", "--title", TITLE, *exposed).code == 0
    text = incident("scope", "INC-1").out
    assert (f"scoped, {reach}\n" in text, line in text) == (True, True)
    assert (": tenants unknown" in text) is not bool(named)
