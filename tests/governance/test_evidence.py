"""Evidence of a tenant's decision where an access file tells the tenant's staff from the operator's."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.errors import RefusedError
from minimize.governance.consent import NewConsent, RecordedConsent, add_consent, confirm_consent
from minimize.governance.evidence import TenantEvidence, document_evidence
from minimize.governance.functions import confirm_prerequisite
from minimize.workspace import Workspace
from tests.consent.factory import NOW
from tests.project import enter
from tests.world import ASSIGNMENTS, access_file, assignment, sync, vendor_file, write_configuration

TOKEN = TenantEvidence("token", "0123456789abcdef")
PEOPLE = {"Pia": ["pia", "pia-admin"]}


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Tess is an administrator of north; Pia (with two accounts) and Pit are privacy officers of the operator."""
    enter(tmp_path, monkeypatch)
    tess = assignment("tenant_administrator", "tess", tenants=["north"])
    admin = assignment("privacy_officer", "pia-admin")
    access = access_file(*ASSIGNMENTS, tess, admin, people=PEOPLE)
    write_configuration(tmp_path, access=access, vendor=vendor_file(functions=sync(requires=["account"])))
    return Workspace(keys=tmp_path / "test.keys", ledger="ledger.db")


def give(
    home: Workspace, user: str, tenant: str, evidence: TenantEvidence, patch: pytest.MonkeyPatch
) -> RecordedConsent:
    patch.setenv("MINIMIZE_ACTOR", user)
    return add_consent("give", NewConsent(tenant, "vendor", "sync", evidence=evidence), home, NOW)


def test_the_token_of_the_tenants_administrator_is_a_consent(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    done = give(home, "tess", "north", TOKEN, monkeypatch)
    assert (done.act.state, done.act.evidence_kind) == ("given", "token")


@pytest.mark.parametrize(("user", "tenant"), [("pia", "north"), ("tess", "south"), ("otto", "north"), ("eve", "north")])
def test_a_token_of_another_account_is_no_consent(
    home: Workspace, user: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError) as caught:
        give(home, user, tenant, TOKEN, monkeypatch)
    assert caught.value.code == "N063"
    assert not Path("ledger.db").exists()


@pytest.mark.parametrize(("user", "code"), [("pia", "N065"), ("pia-admin", "N065"), ("pit", None)])
def test_a_second_person_and_not_a_second_account_confirms(
    home: Workspace, user: str, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(home, "pia", "north", document_evidence("signed.txt"), monkeypatch)
    monkeypatch.setenv("MINIMIZE_ACTOR", user)
    if code is None:
        done = confirm_consent("north", "vendor", "sync", home, NOW, document="signed.txt")
        assert (done.act.state, done.act.by, done.act.confirmed_by) == ("given", "pia", "pit")
        return
    with pytest.raises(RefusedError) as caught:
        confirm_consent("north", "vendor", "sync", home, NOW, document="signed.txt")
    assert caught.value.code == code


def test_the_administrator_of_a_tenant_confirms_its_prerequisites_with_a_token(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "tess")
    done = confirm_prerequisite("north", "vendor", "account", home, NOW, evidence=TOKEN)
    assert (done.state, done.by) == ("confirmed", "tess")
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    with pytest.raises(RefusedError) as caught:
        confirm_prerequisite("north", "vendor", "account", home, NOW, evidence=TOKEN)
    assert caught.value.code == "N063"
