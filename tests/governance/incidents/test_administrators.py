"""Administrators of tenants, from published records, as contacts and as customers of the suite."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import PolicyError
from minimize.governance.incidents import (
    Contacts,
    DraftedNotices,
    NewIncident,
    declare_incident,
    draft_notices,
    open_incident,
    scope_incident,
)
from minimize.governance.incidents.contacts import Contact, administrator_contacts
from minimize.workspace import Workspace
from tests.governance.outputs import published
from tests.project import BEFORE, DAY, Builds, Project, write_lines, write_yaml

NOW = datetime.now(UTC)
POLICY: dict[str, Any] = {
    "policy": "administrators",
    "version": 1,
    "purposes": ["customer_support"],
    "tenant": "tenant_id",
    "subject": "user_principal_name",
    "fields": {
        "tenant_id": {"type": "string", "role": "plain", "do": "keep"},
        "user_principal_name": {"type": "string", "role": "identifier", "do": "keep"},
    },
}
PIPELINE: dict[str, Any] = {
    "pipeline": "administrators",
    "policy": "policy.yaml",
    "purpose": "customer_support",
    "source": {"path": "data/{date}/*.ndjson", "format": "ndjson"},
    "output": "out",
    "records": {"must_be": "identified", "encrypt": "identified"},
}


@pytest.fixture(name="workspace")
def _workspace(builds: Builds, project: Project) -> Workspace:
    """An incident of north and south; the records of administrators are of north, south and west."""
    builds.fill(project, published)
    folder = project.folder / "administrators"
    write_yaml(folder / "policy.yaml", POLICY)
    write_yaml(folder / "pipeline.yaml", PIPELINE)
    for day, names in (
        (BEFORE, ("gone@north.example", "ann@south.example")),
        (DAY, ("ann@north.example", "no address")),
    ):
        rows = [
            {"tenant_id": name.partition("@")[2].partition(".")[0] or "north", "user_principal_name": name}
            for name in names
        ]
        write_lines(folder / "data" / day / "a.ndjson", map(json.dumps, rows))
    write_lines(
        folder / "data" / DAY / "b.ndjson", ['{"tenant_id": "west", "user_principal_name": "wes@west.example"}']
    )
    Project(folder, keyring=project.keys).run(at=NOW)
    (project.folder / "minimize.yaml").write_text("administrators: administrators\n")
    workspace = Workspace(output=project.out, keys=project.keys)
    now = datetime.now(UTC)
    case = NewIncident("INC-1", "A lost disk", (NOW - timedelta(days=1), None), now, [f"output:{project.out}"])
    open_incident(case, workspace, now)
    scope_incident("INC-1", workspace, NOW)
    declare_incident("INC-1", workspace, NOW)
    return workspace


def draft(workspace: Workspace, contacts: Contacts | None = None) -> DraftedNotices:
    return draft_notices("INC-1", Path("notices"), "privacy@example.com", contacts, workspace, NOW)


def partners(drafted: DraftedNotices) -> dict[str, Any]:
    return dict(json.loads((drafted.folder / "partner_team.json").read_text()))


def test_the_administrators_of_the_newest_records_of_each_tenant_are_its_contacts(workspace: Workspace) -> None:
    found = administrator_contacts(workspace)
    assert [(each.tenant_id, each.address) for each in found.entries] == [
        ("north", "ann@north.example"),
        ("south", "ann@south.example"),
        ("west", "wes@west.example"),
    ]


def test_they_are_notified_if_no_contacts_file_names_their_tenant(workspace: Workspace) -> None:
    drafted = draft(workspace)
    assert drafted.without_contact == ()
    assert (drafted.folder / "south.en.eml").exists()


def test_all_customers_of_the_suite_are_on_the_list_for_the_partner_team(workspace: Workspace) -> None:
    listed = partners(draft(workspace))
    assert [each["tenant_id"] for each in listed["tenants"]] == ["north", "south"]
    assert listed["customers"] == [
        {"tenant_id": "west", "contacts": [{"role": "administrator", "address": "wes@west.example"}]}
    ]


def test_a_contacts_file_decides_for_the_tenants_that_it_names(workspace: Workspace) -> None:
    named = Contacts(
        entries=tuple(
            Contact(tenant_id=tenant, role="privacy", address=f"pia@{tenant}.example") for tenant in ("north", "west")
        )
    )
    drafted = draft(workspace, named)
    assert drafted.suite == ("south",)
    assert drafted.customers == ()
    addressed = json.loads((drafted.folder / "addressed.json").read_text())
    assert [each["address"] for each in addressed["north"]] == ["pia@north.example"]


def test_a_pipeline_without_addresses_is_refused(workspace: Workspace) -> None:
    Path("minimize.yaml").write_text("administrators: .\n")
    with pytest.raises(PolicyError):
        administrator_contacts(replace(workspace))


def test_without_published_records_there_are_none(workspace: Workspace, tmp_path: Path) -> None:
    write_yaml(tmp_path / "administrators" / "pipeline.yaml", {**PIPELINE, "output": "elsewhere"})
    assert administrator_contacts(workspace).entries == ()
