"""Classes of incidents: they decide whether notices are due, and from when the deadline counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from minimize.errors import ConfigurationError, RefusedError
from minimize.governance.incidents import (
    close_incident,
    declare_incident,
    draft_notices,
    load_incident,
    reclassify_incident,
    record_measure,
    scope_incident,
)
from minimize.times import minute_text
from minimize.workspace import Workspace
from tests.governance.incidents.conftest import NOW, Acts
from tests.incidents import open_support
from tests.project import Project

LATER = NOW + timedelta(hours=73)
DAY = timedelta(days=1)


def codes(error: pytest.ExceptionInfo[RefusedError]) -> list[str]:
    return [each.code for each in error.value.findings]


@pytest.mark.usefixtures("scoped")
def test_a_declaration_is_customer_reportable_by_default(places: Workspace) -> None:
    found = declare_incident("INC-1", places, NOW)
    assert (found.incident_class, found.pending, found.is_overdue(LATER)) == (
        "customer_reportable",
        ("north", "south"),
        True,
    )


@pytest.mark.usefixtures("scoped")
def test_no_notice_is_due_for_a_security_incident(project: Project, places: Workspace) -> None:
    found = declare_incident("INC-1", places, NOW, as_="security_incident")
    assert (found.notice_deadline, found.pending, found.is_overdue(LATER)) == (None, (), False)
    assert "no notice is due: security_incident" in "\n".join(map(str, found.lines(NOW)))
    with pytest.raises(ConfigurationError, match="no notice is needed"):
        draft_notices("INC-1", project.folder / "notices", "privacy@example.com", None, places, NOW)
    assert close_incident("INC-1", None, "the disk was empty", places, NOW).incident_class == "security_incident"


@pytest.mark.usefixtures("scoped")
def test_the_deadline_counts_from_the_decision_that_makes_it_reportable(project: Project, places: Workspace) -> None:
    declare_incident("INC-1", places, NOW, as_="security_incident")
    found = reclassify_incident("INC-1", "customer_reportable", "the disk was not encrypted", places, NOW + DAY)
    assert (found.notice_deadline, found.pending) == (NOW + DAY + timedelta(hours=72), ("north", "south"))
    folder = draft_notices("INC-1", project.folder / "notices", "privacy@example.com", None, places, NOW).folder
    assert f"personal data breach on {minute_text(NOW + DAY)}" in (folder / "north.html").read_text()


@pytest.mark.usefixtures("scoped")
def test_a_class_that_comes_back_does_not_extend_the_deadline(places: Workspace, acts: Acts) -> None:
    acts("ann")
    declare_incident("INC-1", places, NOW)
    acts("bob")
    reclassify_incident("INC-1", "security_incident", "the disk was encrypted", places, NOW + DAY)
    found = reclassify_incident("INC-1", "customer_reportable", "it was not", places, NOW + 2 * DAY)
    assert found.notice_deadline == NOW + timedelta(hours=72)


@pytest.mark.usefixtures("scoped")
def test_the_person_who_declared_an_incident_cannot_alone_waive_notices(places: Workspace, acts: Acts) -> None:
    acts("ann")
    declare_incident("INC-1", places, NOW)
    with pytest.raises(RefusedError) as error:
        reclassify_incident("INC-1", "security_incident", "the disk was encrypted", places, NOW)
    assert codes(error) == ["K021"]
    acts("bob")
    found = reclassify_incident("INC-1", "security_incident", "the disk was encrypted", places, NOW)
    assert (found.pending, load_incident("INC-1", places).is_overdue(LATER)) == ((), False)
    shown = found.to_json(NOW)["classifications"]
    assert [(each["class"], each["by"], each["reason"]) for each in shown] == [
        ("customer_reportable", "ann", None),
        ("security_incident", "bob", "the disk was encrypted"),
    ]


@pytest.mark.usefixtures("scoped")
def test_a_change_of_class_has_a_reason_and_follows_a_declaration(places: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="not declared yet"):
        reclassify_incident("INC-1", "security_incident", "x", places, NOW)
    declare_incident("INC-1", places, NOW)
    with pytest.raises(ConfigurationError, match="requires a reason"):
        reclassify_incident("INC-1", "security_incident", " ", places, NOW)
    with pytest.raises(ConfigurationError, match="already has the class"):
        reclassify_incident("INC-1", "customer_reportable", "x", places, NOW)


@pytest.mark.usefixtures("scoped")
def test_an_incident_is_closed_with_the_class_of_its_declaration(places: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="closed with a class"):
        close_incident("INC-1", None, "done", places, NOW)
    declare_incident("INC-1", places, NOW, as_="security_incident")
    with pytest.raises(RefusedError) as error:
        close_incident("INC-1", "customer_reportable", "done", places, NOW)
    assert codes(error) == ["K023"]


def test_a_support_incident_is_no_breach(places: Workspace) -> None:
    open_support(places, "CASE-1", NOW, "north")
    with pytest.raises(ConfigurationError, match="support incident"):
        scope_incident("CASE-1", places, NOW)
    with pytest.raises(ConfigurationError, match="support incident"):
        declare_incident("CASE-1", places, NOW)
    with pytest.raises(ConfigurationError, match="support incident"):
        record_measure("CASE-1", "measure", "x", places, NOW)
    with pytest.raises(ConfigurationError, match="has no class"):
        close_incident("CASE-1", "security_incident", "done", places, NOW)
    assert close_incident("CASE-1", None, "done", places, NOW).state == "closed"
