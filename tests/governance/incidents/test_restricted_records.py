"""Sealed records of restricted subjects in the scope and the notices of an incident."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from minimize.governance.incidents import (
    Contacts,
    NewIncident,
    declare_incident,
    draft_notices,
    open_incident,
    scope_incident,
)
from minimize.governance.incidents.contacts import Contact
from minimize.governance.incidents.incident import incident_lines
from minimize.governance.subjects import DataSubject, lift_restriction, restrict_subjects
from minimize.pages import Table
from minimize.workspace import Workspace
from tests.governance.outputs import published, scoped, tenants
from tests.project import Builds, Project, events

ASK = "privacy@example.com"
D3 = DataSubject("d3", "north")
RECORDS = events(60)
NORTH = [each for each in RECORDS if each["tenant_id"] == "north"]
OF_D3 = [each for each in NORTH if each["device_id"] == "d3"]


def places(project: Project) -> Workspace:
    return Workspace(output=project.out, keys=project.keys)


@pytest.fixture(name="sealed")
def _sealed(builds: Builds, project: Project) -> Project:
    """An output of which one subject is restricted."""
    builds.fill(project, published)
    restrict_subjects([D3], places(project), datetime.now(UTC), yes=True)
    return project


def test_sealed_records_of_an_exposed_output_are_counted_as_encrypted(sealed: Project) -> None:
    north = tenants(scoped(sealed, f"output:{sealed.out}#restricted"))["north"]
    assert (north["restricted"], north["rows"]) == ({"rows": len(OF_D3), "form": "encrypted"}, len(OF_D3))
    assert (north["form"], north["notice"], north["subjects"]) == ("encrypted", False, {"count": 1, "exact": True})


def test_sealed_records_are_readable_with_their_key(sealed: Project) -> None:
    north = tenants(scoped(sealed, f"output:{sealed.out}#restricted", "key:subject/1"))["north"]
    assert (north["restricted"]["form"], north["notice"]) == ("pseudonymized", True)
    alone = tenants(scoped(sealed, "key:subject/1"))["north"]
    assert alone["restricted"] == {"rows": len(OF_D3), "form": "pseudonymized"}


def test_other_records_of_the_tenant_keep_their_form(sealed: Project) -> None:
    north = tenants(scoped(sealed, f"output:{sealed.out}"))["north"]
    assert north["restricted"] == {"rows": len(OF_D3), "form": "encrypted"}
    assert (north["form"], north["notice"]) == ("pseudonymized", True)
    assert "restricted" not in tenants(scoped(sealed, f"output:{sealed.out}"))["south"]


def test_a_sealed_file_that_was_lifted_is_known_from_its_inventory(sealed: Project) -> None:
    lift_restriction([D3], places(sealed), datetime.now(UTC), yes=True)
    found = scoped(sealed, f"output:{sealed.out}#restricted")
    assert [each["tenants_by"] for each in found.to_json()["not_searched"]] == ["record"]
    assert tenants(found)["north"]["restricted"] == {"rows": len(OF_D3), "form": "encrypted"}


def test_the_scope_and_the_notice_name_restricted_records(sealed: Project) -> None:
    now = datetime.now(UTC)
    case = NewIncident("INC-1", "A lost disk", (now - timedelta(days=1), None), now, [f"output:{sealed.out}"])
    open_incident(case, places(sealed), now)
    found = scope_incident("INC-1", places(sealed), now)
    (table,) = (line for line in incident_lines(found.to_json(now)) if isinstance(line, Table))
    cells = [row[table.head.index("sealed")] for row in table.rows]
    assert f"{len(OF_D3)} of restricted subjects (encrypted)" in cells
    declare_incident("INC-1", places(sealed), now)
    north = Contacts(entries=(Contact(tenant_id="north", role="privacy", name="Pia", address="pia@north.example"),))
    folder = draft_notices("INC-1", sealed.folder / "notices", ASK, north, places(sealed), now, only=["north"]).folder
    (text,) = (path.read_text() for path in folder.rglob("*.md"))
    assert (
        f"These include {len(OF_D3)} records of individuals whose data was under a restriction of processing." in text
    )
    assert "To our knowledge their key was not exposed." in text
    documents = [json.loads(path.read_text()) for path in folder.rglob("*.json")]
    (facts,) = (each for each in documents if "a" in each)
    assert facts["a"]["records_under_restriction"] == len(OF_D3)
