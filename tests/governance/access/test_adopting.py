from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import AccessDenied, LedgerError, PolicyError
from minimize.governance.access.adopting import adopt
from minimize.governance.access.asking import access_of, required_access
from minimize.governance.access.gate import gate
from minimize.keys import new_keyring
from minimize.ledger.asked import logged
from minimize.ledger.audit import Wanted
from minimize.switching import House
from tests.governance.access.factory import HOUR, NOW
from tests.project import write_yaml
from tests.world import access_file, assignment


def says(*more: dict[str, Any], **changes: Any) -> None:
    """The access file with some more assignments."""
    body = access_file(**changes)
    write_yaml(Path("access.yaml"), {**body, "assignments": [*body["assignments"], *more]})


@pytest.fixture(name="rob")
def _rob(home: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The role administrator acts, who has adopted the file."""
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    adopt(home, NOW, yes=True)
    return home


def rules(home: House) -> list[str]:
    with pytest.raises(AccessDenied) as caught:
        adopt(home, NOW, yes=True)
    return [each.rule for each in caught.value.reasons]


def results(home: House) -> list[tuple[str, str]]:
    with home.opened() as ledger:
        told = [json.loads(entry.event) for entry in logged(ledger, Wanted(operation="roles/assign"))]
    return [(each["actor"]["user"], each["result"]) for each in told]


def test_until_a_file_is_adopted_it_counts_as_it_is(home: House) -> None:
    says(assignment("operator", "ops"))
    found = access_of(home)
    assert found is not None
    assert [each.users for each in found.assignments][-1] == ("ops",)


def test_a_change_counts_once_it_is_adopted(rob: House, monkeypatch: pytest.MonkeyPatch) -> None:
    says(assignment("operator", "ops"))
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    with pytest.raises(AccessDenied):
        gate("settings/set", rob, NOW, tenant="north")
    monkeypatch.setenv("MINIMIZE_ACTOR", "rob")
    assert adopt(rob, NOW + HOUR, yes=True).comes == ("operator: ops (tenants all; datasets all)",)
    monkeypatch.setenv("MINIMIZE_ACTOR", "ops")
    assert gate("settings/set", rob, NOW + HOUR, tenant="north") is not None


def test_without_yes_what_would_change_is_said_and_nothing_is_changed(rob: House) -> None:
    roles = {"daily": {"copy": "analyst", "views": {"telemetry": {"event_time": {"truncate_time": {"to": "day"}}}}}}
    says(roles=roles, groups={"support": ["sam"]})
    change = adopt(rob, NOW)
    assert (change.is_needed, len(change.comes), change.goes) == (True, 1, ())
    assert "truncate_time" in change.comes[0].replace("TruncateTime", "truncate_time")
    assert "daily" not in required_access(rob).roles


def test_nobody_but_who_assigns_adopts_and_the_log_tells_of_it(rob: House, monkeypatch: pytest.MonkeyPatch) -> None:
    says(assignment("role_administrator", "eve"), assignment("operator", "ops"))
    for user in ("eve", "pia", "nemo"):
        monkeypatch.setenv("MINIMIZE_ACTOR", user)
        assert rules(rob)[0] == "nobody"
    assert results(rob) == [("rob", "success"), ("eve", "refused"), ("pia", "refused"), ("nemo", "refused")]
    assert adopt(rob, NOW).is_needed


def test_the_first_is_adopted_by_whom_it_names(home: House) -> None:
    assert rules(home) == ["nobody"]


def test_nobody_gives_a_role_to_themselves_nor_more_than_they_had(rob: House) -> None:
    more = {"more": {"copy": "role_administrator", "allow": ["settings/set"]}}
    says(assignment("more", "rob"), roles=more)
    assert rules(rob) == ["not_separate"]
    says(assignment("more", "robert"), roles=more, people={"Rob": ["rob", "robert"]})
    assert rules(rob) == ["not_separate"]
    says()
    assert not adopt(rob, NOW).is_needed


def test_what_counts_already_is_not_adopted_twice(rob: House) -> None:
    assert not adopt(rob, NOW, yes=True).is_needed
    assert results(rob) == [("rob", "success")]


def test_a_file_with_faults_is_not_adopted(rob: House) -> None:
    Path("access.yaml").write_text("version: 1\nassignments: [{role: nobody}]\n")
    with pytest.raises(PolicyError):
        adopt(rob, NOW, yes=True)


def test_what_was_adopted_under_another_key_counts_for_nothing(rob: House, tmp_path: Path) -> None:
    stranger = new_keyring(tmp_path / "other.keys", now=NOW)
    with pytest.raises(LedgerError, match="not signed"):
        access_of(House(keys=stranger))
