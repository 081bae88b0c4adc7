from __future__ import annotations

from datetime import timedelta

import pytest

from minimize.report.facts import FunctionFacts, RecipientFacts
from tests.governance.sharing.sender import OUTPUT_VENDOR, published, shared
from tests.project import AT, Builds, Project, events, write_yaml
from tests.report.telling import facts


@pytest.fixture(name="home")
def _home(builds: Builds, project: Project) -> Project:
    """A pipeline that has run, a vendor, and the consent of north."""
    contract = {**OUTPUT_VENDOR["contract"], "until": "2027-06-01"}
    write_yaml(project.folder / "recipients" / "vendor.yaml", {**OUTPUT_VENDOR, "contract": contract})
    return builds.fill(project, published)


def vendor(home: Project, **asked: object) -> RecipientFacts:
    places = {"ledger": home.out / "ledger.db", "recipients": home.folder / "recipients"}
    (found,) = facts(home, **{**places, **asked}).sharing or ()
    return found


def sync(home: Project, **asked: object) -> FunctionFacts:
    return vendor(home, **asked).functions[0]


def test_permitted_recipients_are_listed_with_contract_and_functions(home: Project) -> None:
    found = vendor(home)
    assert (found.name, found.standing, found.may_act) == ("vendor", "independent_controller", True)
    assert found.contract == "C-1, from 2026-01-01 until 2027-06-01; the recipient may keep the data for 30d"
    assert (found.functions[0].name, found.functions[0].fields, found.functions[0].consented) == ("sync", 5, 1)


def test_acts_of_sharing_are_counted_with_rounded_rows(home: Project) -> None:
    assert sync(home).acts == 0
    shared(home, home.out)
    found = sync(home)
    assert (found.acts, str(found.rows), found.last) == (1, "20", AT)


def test_due_recalls_are_counted_by_state(home: Project) -> None:
    shared(home, home.out)
    assert dict(sync(home).recalls) == {}
    assert dict(sync(home, at=AT + timedelta(days=60)).recalls) == {"due": 1}


def test_after_its_contract_nothing_may_go_there(home: Project) -> None:
    assert not vendor(home, at=AT + timedelta(days=400)).may_act


def test_without_a_ledger_disclosures_and_consents_are_unknown_and_listed(home: Project) -> None:
    found = sync(home, ledger=home.folder / "nowhere.db")
    assert (found.acts, found.rows, found.consented) == (None, None, None)
    hidden = facts(home, ledger=home.folder / "nowhere.db", recipients=home.folder / "recipients").hidden
    assert ("disclosures and consents", "the ledger is not available") in {(each.what, each.why) for each in hidden}


def test_a_recipient_with_a_faulty_file_is_left_out_and_listed(home: Project) -> None:
    (home.folder / "recipients" / "broken.yaml").write_text("nonsense: true")
    found = facts(home, ledger=home.out / "ledger.db", recipients=home.folder / "recipients")
    assert [each.name for each in found.sharing or ()] == ["vendor"]
    assert "recipient broken" in {each.what for each in found.hidden}


def test_without_recipients_there_is_no_sharing(project: Project) -> None:
    project.records(events(20))
    project.run()
    assert facts(project).sharing is None


def test_a_missing_recipient_folder_is_listed(project: Project) -> None:
    project.records(events(20))
    project.run()
    assert "sharing" in {each.what for each in facts(project, recipients=project.folder / "nowhere").hidden}
