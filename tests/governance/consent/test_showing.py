from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import PolicyError
from minimize.governance.consent import NewConsent, explain_consent, list_consents, record_consent
from minimize.governance.workspace import Workspace
from tests.consent.factory import NOW, hours
from tests.project import write_yaml
from tests.world import sync, vendor_file

WISH = NewConsent("north", "vendor", "sync")
SOUTH = replace(WISH, tenant="south")


def told(configuration: Workspace, at: float, **asked: Any) -> list[tuple[str, str, str | None]]:
    return [(one.act.tenant_id, one.act.state, one.why) for one in list_consents(configuration, hours(at), **asked)]


def test_what_decides_is_shown_for_each_tenant(home: Workspace) -> None:
    record_consent("request", WISH, home, NOW)
    record_consent("give", WISH, home, hours(1))
    record_consent("request", SOUTH, home, hours(1))
    assert told(home, 2) == [("north", "given", None), ("south", "requested", "requested")]
    assert told(home, 2, tenant="south") == [("south", "requested", "requested")]
    assert told(home, 2, recipient="other") == []


def test_what_is_shown_is_as_it_was_at_a_time(home: Workspace) -> None:
    record_consent("give", WISH, home, hours(1))
    record_consent("withdraw", WISH, home, hours(3))
    assert [told(home, at) for at in (0, 2, 3)] == [
        [],
        [("north", "given", None)],
        [("north", "withdrawn", "withdrawn")],
    ]


def test_a_consent_to_an_old_text_is_shown_as_none(home: Workspace, tmp_path: Path) -> None:
    record_consent("give", WISH, home, NOW)
    write_yaml(tmp_path / "recipients" / "vendor.yaml", vendor_file(functions=sync(text_version=2)))
    assert told(home, 1) == [("north", "given", "other_text")]


def test_where_the_file_is_gone_there_is_no_consent(home: Workspace, tmp_path: Path) -> None:
    record_consent("give", WISH, home, NOW)
    (tmp_path / "recipients" / "vendor.yaml").unlink()
    assert told(home, 1) == [("north", "given", "no_function")]


def test_the_history_is_every_act(home: Workspace) -> None:
    done = [record_consent("give", WISH, home, NOW), record_consent("withdraw", WISH, home, hours(1))]
    assert [one.act for one in list_consents(home, hours(2), history=True)] == done


def test_an_act_for_machines_has_the_vocabularys_word(home: Workspace) -> None:
    record_consent("give", replace(WISH, expires_at=hours(24)), home, NOW)
    (one,) = [one.as_json() for one in list_consents(home, hours(1))]
    assert (one["dpv"], one["valid"], one["why"]) == ("ConsentGiven", True, None)
    assert one["fields"] == ["app_id", "device_id", "token"]
    assert one["expires_at"] == "2026-11-26T08:00:00Z"


def test_why_tells_the_act_that_decides_at_each_time(home: Workspace) -> None:
    given = record_consent("give", WISH, home, NOW)
    withdrawn = record_consent("withdraw", WISH, home, hours(5))
    found = explain_consent("north", "vendor", "sync", home, run=hours(6), event=hours(2))
    assert (found.valid, found.reason) == (False, "withdrawn")
    assert found.deciding == ((hours(6), withdrawn), (hours(2), given))


def test_why_there_is_nothing(home: Workspace) -> None:
    record_consent("give", SOUTH, home, NOW)
    found = explain_consent("north", "vendor", "sync", home, run=hours(1))
    assert (found.reason, found.deciding) == ("none", ((hours(1), None),))


def test_a_function_that_is_not_there_is_no_consent_and_a_recipient_is_an_error(home: Workspace) -> None:
    record_consent("give", WISH, home, NOW)
    assert explain_consent("north", "vendor", "nothing", home, run=hours(1)).reason == "no_function"
    with pytest.raises(PolicyError):
        explain_consent("north", "vendro", "sync", home, run=hours(1))


def test_why_names_a_consent_that_was_recorded_after_the_time_of_sharing(home: Workspace) -> None:
    given = record_consent("give", replace(WISH, valid_from=NOW), home, hours(3))
    before = explain_consent("north", "vendor", "sync", home, run=hours(1))
    assert (before.reason, before.deciding, before.recorded_later) == ("none", ((hours(1), None),), (given,))
    assert before.as_json()["recorded_later"][0]["recorded_at"] == "2026-11-25T11:00:00Z"


def test_why_names_no_act_as_recorded_later_that_the_time_of_sharing_knows(home: Workspace) -> None:
    record_consent("give", replace(WISH, valid_from=NOW), home, hours(3))
    after = explain_consent("north", "vendor", "sync", home, run=hours(3), event=hours(1))
    assert (after.valid, after.recorded_later) == (True, ())
    assert "recorded_later" not in after.as_json()


def test_why_names_no_consent_as_recorded_later_that_is_valid_from_a_later_time(home: Workspace) -> None:
    record_consent("give", replace(WISH, valid_from=hours(2)), home, hours(3))
    assert explain_consent("north", "vendor", "sync", home, run=hours(1)).recorded_later == ()
