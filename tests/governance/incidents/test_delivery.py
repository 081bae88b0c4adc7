"""Delivery of notices: the outbox, the operator's command, and the record of each tenant."""

from __future__ import annotations

import json
import stat
import sys
import time
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import ConfigurationError, RefusedError
from minimize.governance import notify
from minimize.governance.incidents import (
    Contacts,
    DraftedNotices,
    Incident,
    SentNotices,
    declare_incident,
    draft_notices,
    load_incident,
    record_measure,
    send_notices,
)
from minimize.governance.incidents.contacts import Contact
from minimize.governance.incidents.incident import StatementKind
from minimize.governance.incidents.notification import message_path
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.kinds import INCIDENT
from minimize.workspace import Workspace
from tests.governance.incidents.conftest import NOW, Acts
from tests.project import Project

ASK = "Pia, privacy@example.com"
LATER = NOW + timedelta(hours=73)
CONTACTS = Contacts(
    entries=(
        Contact(tenant_id="north", role="privacy", name="Nora", address="nora@north.example"),
        Contact(tenant_id="north", role="administrator", name="Adam", address="adam@north.example", suite=True),
        Contact(tenant_id="south", role="security", name="Saul", address="saul@south.example"),
    )
)
COMMAND = """import pathlib, sys
sent = pathlib.Path("sent.txt")
sent.write_text((sent.read_text() if sent.exists() else "") + sys.argv[-1] + chr(10))
sys.exit(int(pathlib.Path("code.txt").read_text()) if "south" in sys.argv[-1] else 0)
"""


@pytest.fixture(name="declared")
def _declared(project: Project, places: Workspace, scoped: Incident, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A declared incident, and a command that fails for one tenant."""
    monkeypatch.chdir(project.folder)
    (project.folder / "deliver.py").write_text(COMMAND)
    (project.folder / "code.txt").write_text("7")
    (project.folder / "minimize.yaml").write_text(f"notify: [{sys.executable}, deliver.py]\n")
    configured = replace(places)
    declare_incident("INC-1", configured, NOW)
    record_measure("INC-1", "measure", "The disk was wiped.", configured, NOW)
    record_measure("INC-1", "action", "Look at your log.", configured, NOW)
    return configured


def drafted(places: Workspace, contacts: Contacts = CONTACTS) -> DraftedNotices:
    return draft_notices("INC-1", "outbox", ASK, contacts, places, NOW)


def sent(places: Workspace, *only: str, yes: bool = True) -> SentNotices:
    return send_notices("INC-1", "outbox", places, NOW, only=only, yes=yes)


def results(found: SentNotices) -> list[tuple[str, str, int | None]]:
    return [(each.tenant_id, each.result, each.exit_code) for each in found.deliveries]


def called() -> list[str]:
    """The names of the messages that the command got."""
    return [Path(line).name for line in Path("sent.txt").read_text().splitlines()]


def test_the_message_to_a_tenant_has_the_notice_and_the_addresses_of_its_contacts(declared: Workspace) -> None:
    path = drafted(declared).folder / "north.en.eml"
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert (message["To"], message["From"]) == ("nora@north.example", "privacy@example.com")
    assert message["Subject"] == "Notice of a data incident: A lost disk"
    body = message.get_body(("plain",))
    assert body is not None
    assert "Who is affected" in body.get_content()
    assert "Nora" not in path.read_text()
    assert "south" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_security_contacts_are_notified_if_there_is_none_for_privacy(declared: Workspace) -> None:
    message = message_from_bytes((drafted(declared).folder / "south.en.eml").read_bytes(), policy=policy.default)
    assert message["To"] == "saul@south.example"


def test_the_partner_team_gets_the_concerned_tenants_of_the_suite(declared: Workspace) -> None:
    done = drafted(declared)
    body = json.loads((done.folder / "partner_team.json").read_text())
    notified = [{"role": "privacy", "address": "nora@north.example"}]
    assert body["tenants"] == [{"tenant_id": "north", "notified": notified}]
    assert done.suite == ("north",)
    shown = load_incident("INC-1", declared)
    assert {tenant: shown.notices(tenant)[0]["suite"] for tenant in ("north", "south")} == {
        "north": True,
        "south": False,
    }
    assert "\n".join(map(str, shown.lines(NOW))).count("the suite") == 1


def test_each_delivery_is_recorded_for_its_tenant(declared: Workspace, acts: Acts) -> None:
    drafted(declared)
    acts("pia")
    done = sent(declared)
    assert (results(done), done.exit_code) == ([("north", "sent", 0), ("south", "failed", 7)], 1)
    found = load_incident("INC-1", declared)
    assert (found.pending, found.is_overdue(LATER)) == (("south",), True)
    (failed,) = found.notices("south")[0]["deliveries"]
    assert (failed["result"], failed["exit_code"], failed["via"], failed["by"]) == ("failed", 7, "command", "pia")
    assert "delivery failed" in "\n".join(map(str, found.lines(NOW)))
    with declared.open_ledger() as ledger:
        assert [each.step for each in ledger.find(INCIDENT, tenant="north")] == ["delivered"]
        events = [json.loads(each.event) for each in find_entries(ledger, EntryFilter(operation="delivered"))]
    assert [tenants(each) for each in events] == [["north"], ["south"]]
    assert "example" not in json.dumps([dict(each.body) for each in found.steps if each.step == "delivered"])


def tenants(event: dict[str, Any]) -> list[str]:
    return [each["new"] for each in event["resources"][0]["changed_properties"] if each["name"] == "tenants"]


def test_a_repeated_call_sends_only_what_was_not_delivered(declared: Workspace) -> None:
    drafted(declared)
    sent(declared)
    Path("code.txt").write_text("0")
    done = sent(declared)
    assert (results(done), done.exit_code) == ([("south", "sent", 0)], 0)
    assert called() == ["north.en.eml", "south.en.eml", "south.en.eml"]
    assert list(sent(declared).lines()) == ["nothing to do: no notice is waiting for delivery"]
    assert not load_incident("INC-1", declared).is_overdue(LATER)


def test_a_later_version_is_delivered_instead_of_an_earlier_one(declared: Workspace) -> None:
    drafted(declared)
    drafted(declared)
    assert [each.version for each in sent(declared).deliveries] == [2, 2]
    assert "INC-1-v2" in Path("sent.txt").read_text()


def test_without_yes_nothing_is_sent(declared: Workspace) -> None:
    drafted(declared)
    plan = sent(declared, "north", yes=False)
    assert (results(plan), plan.exit_code) == ([("north", "planned", None)], 0)
    assert not Path("sent.txt").exists()
    assert load_incident("INC-1", declared).notices("north")[0]["deliveries"] == []


def test_a_message_that_was_changed_stops_all_of_them(declared: Workspace) -> None:
    message = drafted(declared).folder / "south.en.eml"
    message.write_text(message.read_text().replace("Who is affected", "Who is not affected"))
    with pytest.raises(RefusedError) as error:
        sent(declared)
    assert [each.code for each in error.value.findings] == ["K024"]
    assert not Path("sent.txt").exists()


def test_an_address_may_be_corrected_in_the_outbox(declared: Workspace) -> None:
    message = drafted(declared).folder / "north.en.eml"
    message.write_text(message.read_text().replace("nora@north.example", "privacy@north.example"))
    assert results(sent(declared, "north")) == [("north", "sent", 0)]


def test_a_tenant_without_a_contact_stays_to_be_notified(declared: Workspace) -> None:
    drafted(declared, Contacts(entries=CONTACTS.entries[:2]))
    done = sent(declared)
    assert (results(done), done.exit_code) == ([("north", "sent", 0), ("south", "planned", None)], 1)
    assert "  south: no contact" in list(done.lines())
    assert load_incident("INC-1", declared).pending == ("south",)


def test_a_command_that_does_not_end_has_failed(declared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("deliver").write_text("#!/bin/sh\n(sleep 3; touch late.txt) &\nwait\n")
    Path("deliver").chmod(0o700)
    Path("minimize.yaml").write_text("notify: [./deliver]\n")
    monkeypatch.setattr(notify, "NOTIFY_TIMEOUT", timedelta(seconds=0.5))
    configured = replace(declared)
    drafted(configured)
    assert results(sent(configured, "north")) == [("north", "failed", None)]
    time.sleep(3)
    assert not Path("late.txt").exists()


@pytest.mark.parametrize("configuration", ["", "notify: []\n", "notify: [no-such-command]\n", "notify: deliver\n"])
def test_a_command_that_is_missing_sends_nothing(declared: Workspace, configuration: str) -> None:
    drafted(declared)
    Path("minimize.yaml").write_text(configuration)
    with pytest.raises(ConfigurationError):
        sent(replace(declared))
    assert load_incident("INC-1", declared).pending == ("north", "south")


@pytest.mark.parametrize("address", ["a@x.example,b@y.example", "a..b@x.example", "<a@x.example>"])
def test_an_address_names_one_recipient(address: str) -> None:
    with pytest.raises(ValueError, match="email address"):
        Contact(tenant_id="north", role="privacy", address=address)


@pytest.mark.parametrize("tenant", ["addressed", "partner_team", "Addressed"])
def test_the_message_to_a_tenant_with_the_name_of_a_list_has_a_hash_as_its_name(tmp_path: Path, tenant: str) -> None:
    assert len(message_path(tmp_path, tenant).name) == len(".en.eml") + 32
    assert message_path(tmp_path, "north").name == "north.en.eml"


@pytest.mark.parametrize("missing", ["measure", "action"])
def test_a_notice_with_an_empty_section_is_not_sent(
    project: Project, places: Workspace, scoped: Incident, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.chdir(project.folder)
    (project.folder / "minimize.yaml").write_text("notify: ['true']\n")
    places = replace(places)
    declare_incident("INC-1", places, NOW)
    other: StatementKind = "action" if missing == "measure" else "measure"
    record_measure("INC-1", other, "Done.", places, NOW)
    drafted(places)
    with pytest.raises(RefusedError, match=f"have no {missing}") as refused:
        sent(places)
    assert refused.value.code == "E326"
    record_measure("INC-1", "action" if missing == "action" else "measure", "Also done.", places, NOW)
    with pytest.raises(RefusedError):  # the old draft still lacks it
        sent(places)
    drafted(places)
    assert [each.result for each in sent(places, "north").deliveries] == ["sent"]
