from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import AccessDenied, LedgerError, PolicyError
from minimize.governance.access.enforcement import configured_access, require_permission, required_access
from minimize.governance.access.workflow import adopt_access
from minimize.governance.workspace import Workspace
from minimize.keys import new_keyring
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter
from tests.governance.access.factory import HOUR, NOW
from tests.project import write_yaml
from tests.world import access_file, assignment


def says(*more: dict[str, Any], **changes: Any) -> None:
    """The access file with some more assignments."""
    body = access_file(**changes)
    write_yaml(Path("access.yaml"), {**body, "assignments": [*body["assignments"], *more]})


@pytest.fixture(name="rob")
def _rob(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The role administrator acts, who has adopted the file."""
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    adopt_access(home, NOW, yes=True)
    return home


def rules(home: Workspace) -> list[str]:
    with pytest.raises(AccessDenied) as caught:
        adopt_access(home, NOW, yes=True)
    return [each.rule for each in caught.value.reasons]


def results(home: Workspace) -> list[tuple[str, str]]:
    with home.open_ledger() as ledger:
        told = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(operation="roles/assign"))]
    return [(each["actor"]["user"], each["result"]) for each in told]


def test_until_a_file_is_adopted_it_counts_as_it_is(home: Workspace) -> None:
    says(assignment("operator", "ops"))
    found = configured_access(home)
    assert found is not None
    assert [each.users for each in found.assignments][-1] == ("ops",)


def test_a_change_counts_once_it_is_adopted(rob: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    says(assignment("operator", "ops"))
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    with pytest.raises(AccessDenied):
        require_permission("settings/set", rob, NOW, tenant="north")
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    assert adopt_access(rob, NOW + HOUR, yes=True).added == ("operator: ops (tenants all; datasets all)",)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    assert require_permission("settings/set", rob, NOW + HOUR, tenant="north") is not None


def test_without_yes_what_would_change_is_said_and_nothing_is_changed(rob: Workspace) -> None:
    roles = {"daily": {"copy": "analyst", "views": {"telemetry": {"event_time": {"truncate_time": {"to": "day"}}}}}}
    says(roles=roles, groups={"support": ["sam"]})
    change = adopt_access(rob, NOW)
    assert (change.is_needed, len(change.added), change.removed) == (True, 1, ())
    assert "truncate_time" in change.added[0].replace("TruncateTime", "truncate_time")
    assert "daily" not in required_access(rob).roles


def test_nobody_but_who_assigns_adopts_and_the_log_tells_of_it(rob: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    says(assignment("role_administrator", "eve"), assignment("operator", "ops"))
    for user in ("eve", "pia", "nemo"):
        monkeypatch.setenv("MINIMIZE_ACTOR", user)
        assert rules(rob)[0] == "nobody"
    assert results(rob) == [("rob", "success"), ("eve", "refused"), ("pia", "refused"), ("nemo", "refused")]
    assert adopt_access(rob, NOW).is_needed


def test_the_first_is_adopted_by_whom_it_names(home: Workspace) -> None:
    assert rules(home) == ["nobody"]


def test_nobody_gives_a_role_to_themselves_nor_more_than_they_had(rob: Workspace) -> None:
    more = {"more": {"copy": "role_administrator", "allow": ["settings/set"]}}
    says(assignment("more", "rob"), roles=more)
    assert rules(rob) == ["not_separate"]
    says(assignment("more", "robert"), roles=more, people={"Rob": ["rob", "robert"]})
    assert rules(rob) == ["not_separate"]
    says()
    assert not adopt_access(rob, NOW).is_needed


def test_what_counts_already_is_not_adopted_twice(rob: Workspace) -> None:
    assert not adopt_access(rob, NOW, yes=True).is_needed
    assert results(rob) == [("rob", "success")]


def test_a_file_with_faults_is_not_adopted(rob: Workspace) -> None:
    Path("access.yaml").write_text("version: 1\nassignments: [{role: nobody}]\n")
    with pytest.raises(PolicyError):
        adopt_access(rob, NOW, yes=True)


def test_what_was_adopted_under_another_key_counts_for_nothing(rob: Workspace, tmp_path: Path) -> None:
    stranger = new_keyring(tmp_path / "other.keys", now=NOW)
    with pytest.raises(LedgerError, match="not signed"):
        configured_access(Workspace(keys=stranger))
