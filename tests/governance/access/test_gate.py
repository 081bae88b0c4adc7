from __future__ import annotations

import json
from pathlib import Path

import pytest

from minimize.errors import AccessDenied, KeyringError, PolicyError
from minimize.governance.access.enforcement import require_permission
from minimize.governance.workspace import Workspace
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from tests.governance.access.factory import NOW
from tests.project import write_yaml
from tests.world import access_file, assignment


def told(home: Workspace) -> list[tuple[str, str, str]]:
    with home.open_ledger() as ledger:
        events = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="decision"))]
    return [(each["actor"]["user"], each["operation"], each["result"]) for each in events]


def test_who_has_the_permission_goes_through_and_the_log_tells_of_it(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    decision = require_permission("settings/set", home, NOW, tenant="north")
    assert decision is not None
    assert decision.allowed
    assert told(home) == [("pia", "settings/set", "success")]


def test_who_has_not_is_refused_and_the_log_tells_of_it(home: Workspace) -> None:
    with pytest.raises(AccessDenied) as caught:
        require_permission("settings/set", home, NOW, tenant="north")
    assert (caught.value.exit_code, [each.rule for each in caught.value.reasons]) == (3, ["nobody"])
    assert told(home) == [("sam", "settings/set", "refused")]


def test_the_scope_counts(home: Workspace) -> None:
    write_yaml(Path("access.yaml"), access_file(assignment("operator", "sam", tenants=["north"])))
    assert require_permission("settings/set", home, NOW, tenant="north") is not None
    for tenant in ("south", None):
        with pytest.raises(AccessDenied) as caught:
            require_permission("settings/set", home, NOW, tenant=tenant)
        assert [each.rule for each in caught.value.reasons] == ["out_of_scope"]


def test_without_an_access_file_nobody_is_asked_and_nothing_is_told(home: Workspace) -> None:
    Path("minimize.yaml").write_text("ledger: ledger.db\n")
    assert require_permission("settings/set", home, NOW) is None
    assert not Path("ledger.db").exists()


def test_an_access_file_that_is_gone_or_faulty_lets_nobody_through(home: Workspace) -> None:
    Path("access.yaml").write_text("version: 3\n")
    with pytest.raises(PolicyError):
        require_permission("settings/set", home, NOW)
    Path("access.yaml").unlink()
    with pytest.raises(PolicyError):
        require_permission("settings/set", home, NOW)


def test_a_decision_that_cannot_be_told_of_is_none(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "pia")
    with pytest.raises(KeyringError):
        require_permission("settings/set", Workspace(), NOW)
