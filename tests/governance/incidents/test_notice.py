"""Notices: drafted by version, addressed, sent."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from minimize.errors import ConfigurationError
from minimize.governance.incidents import (
    Contacts,
    Incident,
    NewIncident,
    approve_exemption,
    declare_incident,
    draft_notices,
    load_incidents,
    open_incident,
    record_measure,
    record_notices_sent,
    request_exemption,
    scope_incident,
)
from minimize.governance.incidents.contacts import Contact
from minimize.governance.incidents.notification import message_path
from minimize.workspace import Workspace as Places
from tests.governance.outputs import published
from tests.project import Builds, Project, events

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=73)
CONTACTS = Contacts(entries=(Contact(tenant_id="north", role="privacy", name="Pia", address="pia@north.example"),))
ASK = "privacy@example.com"


@pytest.fixture(name="places")
def _places(builds: Builds, project: Project) -> Places:
    """A project with an incident that was scoped and declared."""
    builds.fill(project, published)
    return declared(project)


def declared(project: Project) -> Places:
    """An incident that exposed the output, scoped and declared."""
    places = Places(output=project.out, keys=project.keys)
    now = datetime.now(UTC)
    case = NewIncident("INC-1", "A <lost> disk", (NOW - timedelta(days=1), None), now, [f"output:{project.out}"])
    open_incident(case, places, now)
    scope_incident("INC-1", places, NOW)
    declare_incident("INC-1", places, NOW)
    return places


def drafted(project: Project, places: Places, *only: str) -> Path:
    return draft_notices("INC-1", project.folder / "notices", ASK, CONTACTS, places, NOW, only=only).folder


def found(places: Places) -> Incident:
    return load_incidents(places)["INC-1"]


def test_each_affected_tenant_has_a_notice_in_three_forms(project: Project, places: Places) -> None:
    folder = drafted(project, places)
    names = {each.name for each in folder.iterdir()}
    forms = {f"{tenant}.{form}" for tenant in ("north", "south") for form in ("md", "html", "json")}
    assert names == forms | {"addressed.json", "north.en.eml"}
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("fold", [str, str.upper])
def test_no_tenant_has_the_file_names_of_another_one(
    builds: Builds, project: Project, fold: Callable[[str], str]
) -> None:
    unsafe = "Victim & Co"
    names = {"north": unsafe, "south": fold(sha256(unsafe.encode()).hexdigest()[:32])}

    def publish(target: Project) -> None:
        target.pipeline(aggregates=None)
        target.records([{**row, "tenant_id": names[row["tenant_id"]]} for row in events(60)])
        target.run(at=None, output=None)

    builds.fill(project, publish)
    places = declared(project)
    folder = drafted(project, places)
    files = {path.name.casefold() for path in folder.iterdir()}
    assert len(files) == 7, "three forms for each of two tenants, and the list of addresses"
    notices = [path.read_text() for path in folder.glob("*.json") if path.name != "addressed.json"]
    texts = {tenant: [text for text in notices if tenant in text] for tenant in names.values()}
    assert [len(found) for found in texts.values()] == [1, 1]
    assert message_path(folder, unsafe) != message_path(folder, names["south"])


def test_a_notice_contains_what_the_law_requires(project: Project, places: Places) -> None:
    record_measure("INC-1", "measure", "The disk was wiped.", places, NOW)
    said = json.loads((drafted(project, places) / "north.json").read_text())
    assert said["a"]["approximate_number_of_data_subjects"] == 11
    assert {kind["column"] for kind in said["a"]["categories_of_records"]} >= {"device_id", "battery"}
    assert said["b"] == {"contact": ASK}
    assert said["d"]["measures"] == ["The disk was wiped."]
    assert said["c"]["likely_consequences"]


def test_a_notice_names_no_other_tenant(project: Project, places: Places) -> None:
    folder = drafted(project, places)
    assert not any("south" in (folder / f"north.{form}").read_text() for form in ("md", "html", "json"))


def test_text_written_by_people_is_escaped(project: Project, places: Places) -> None:
    folder = drafted(project, places)
    assert "A &lt;lost&gt; disk" in (folder / "north.html").read_text()
    assert "A \\<lost\\> disk" in (folder / "north.md").read_text()


def test_the_contact_for_privacy_is_addressed_and_who_has_none_is_listed(project: Project, places: Places) -> None:
    done = draft_notices("INC-1", project.folder / "notices", ASK, CONTACTS, places, NOW)
    said = json.loads((done.folder / "addressed.json").read_text())
    assert said["north"][0]["address"] == "pia@north.example"
    assert done.without_contact == ("south",)


def test_contacts_do_not_come_into_the_ledger(project: Project, places: Places) -> None:
    drafted(project, places)
    assert not any("pia" in str(step.body).lower() for step in found(places).steps)


def test_notices_are_staged_by_version(project: Project, places: Places) -> None:
    first, second = drafted(project, places), drafted(project, places, "north")
    assert (first.name, second.name) == ("INC-1-v1", "INC-1-v2")
    assert [each["version"] for each in found(places).notices("north")] == [1, 2]


def test_a_notice_replaces_only_a_version_that_was_sent(project: Project, places: Places) -> None:
    drafted(project, places)
    assert "replaces version" not in (drafted(project, places, "north") / "north.md").read_text()
    record_notices_sent("INC-1", ["north"], places, NOW)
    third, fourth = drafted(project, places), drafted(project, places)
    for folder in (third, fourth):
        assert "This version replaces version 2." in (folder / "north.md").read_text()
        assert "replaces version" not in (folder / "south.md").read_text()


def test_a_draft_is_no_notice_and_only_what_was_sent_stops_the_clock(project: Project, places: Places) -> None:
    drafted(project, places)
    assert found(places).is_overdue(LATER)
    assert record_notices_sent("INC-1", ["north"], places, NOW).pending == ("south",)
    assert not record_notices_sent("INC-1", ["south"], places, NOW).is_overdue(LATER)


def test_an_exempt_tenant_gets_no_notice(project: Project, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    request_exemption("INC-1", "south", "its data was public", places, NOW)
    monkeypatch.setenv("MINIMIZE_ACTOR", "bob")
    approve_exemption("INC-1", "south", places, NOW)
    assert {each.stem for each in drafted(project, places).glob("*.md")} == {"north"}
    with pytest.raises(ConfigurationError):
        drafted(project, places, "south")


def test_nothing_is_sent_that_was_not_drafted(places: Places) -> None:
    with pytest.raises(ConfigurationError, match="no notice has been drafted"):
        record_notices_sent("INC-1", ["north"], places, NOW)


def test_each_tenant_whose_notice_was_sent_by_hand_is_named(project: Project, places: Places) -> None:
    drafted(project, places)
    with pytest.raises(ConfigurationError, match="tenants"):
        record_notices_sent("INC-1", [], places, NOW)
    assert found(places).pending == ("north", "south")
