from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minimize.consent import load_consents
from minimize.errors import KeyringError, MinimizeError, PolicyError
from minimize.governance.consent import (
    ConsentVerb,
    NewConsent,
    explain_consent,
    list_consents,
    mark_expired_consents,
    record_consent,
)
from minimize.governance.evidence import TenantEvidence
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter
from minimize.ledger.kinds import ConsentAct
from minimize.workspace import Workspace
from tests.consent.factory import NOW, TERMS, hours
from tests.project import write_yaml
from tests.world import sync, vendor_file

WISH = NewConsent("north", "vendor", "sync", evidence=TenantEvidence("token", "0123456789abcdef"))


def acts(configuration: Workspace) -> list[ConsentAct]:
    with configuration.open_ledger() as ledger:
        return list(load_consents(ledger, None).acts)


def test_a_consent_is_recorded_with_what_was_agreed_to_and_by_whom(home: Workspace) -> None:
    done = record_consent("give", WISH, home, NOW).act
    assert (done.state, done.terms, done.by) == ("given", TERMS, "ann@contoso.example")
    assert (done.valid_from, done.recorded_at, done.expires_at) == (NOW, NOW, None)
    assert acts(home) == [done]


@pytest.mark.parametrize(
    ("verb", "state"), [("request", "requested"), ("refuse", "refused"), ("withdraw", "withdrawn")]
)
def test_each_verb_brings_its_state(home: Workspace, verb: ConsentVerb, state: str) -> None:
    assert record_consent(verb, WISH, home, NOW).act.state == state


def test_a_consent_given_again_is_renewed(home: Workspace) -> None:
    states = [
        record_consent("give", WISH, home, hours(0)).act,
        record_consent("withdraw", WISH, home, hours(1)).act,
        record_consent("give", WISH, home, hours(2)).act,
    ]
    assert [each.state for each in states] == ["given", "withdrawn", "renewed"]


def test_each_consent_act_is_in_the_audit_log(home: Workspace) -> None:
    record_consent("request", WISH, home, NOW)
    record_consent("give", replace(WISH, expires_at=hours(48)), home, hours(1))
    with home.open_ledger() as ledger:
        events = [json.loads(entry.event) for entry in find_entries(ledger, EntryFilter(activity="consent"))]
    assert [each["operation"] for each in events] == ["request", "give"]
    (resource,) = events[1]["resources"]
    assert resource["id"] == "consents/north/vendor/sync"
    state, version, *_, ends, proof = resource["changed_properties"]
    assert proof == {"name": "evidence", "old": None, "new": "token"}
    assert state == {"name": "state", "old": "requested", "new": "given"}
    assert (version["new"], ends["new"]) == (1, "2026-11-27T08:00:00Z")


@pytest.mark.parametrize(
    "wish",
    [
        replace(WISH, recipient="vendro"),
        replace(WISH, function="snyc"),
        replace(WISH, tenant=""),
        replace(WISH, text_version=2),
        replace(WISH, expires_at=NOW),
        replace(WISH, valid_from=hours(2), expires_at=hours(1)),
    ],
)
def test_an_invalid_consent_is_not_recorded(home: Workspace, wish: NewConsent) -> None:
    record_consent("request", WISH, home, NOW)
    with pytest.raises(PolicyError):
        record_consent("give", wish, home, NOW)
    assert len(acts(home)) == 1


def test_only_what_is_given_expires(home: Workspace) -> None:
    with pytest.raises(PolicyError):
        record_consent("withdraw", replace(WISH, expires_at=hours(1)), home, NOW)


def test_the_text_that_counts_can_be_named(home: Workspace) -> None:
    assert record_consent("give", replace(WISH, text_version=1), home, NOW).act.state == "given"


@pytest.mark.parametrize("left", [None, vendor_file(functions={}), vendor_file(functions=sync(fields={"a": "md5"}))])
def test_a_consent_can_be_withdrawn_after_any_change_of_the_recipient_file(
    home: Workspace, tmp_path: Path, left: dict[str, object] | None
) -> None:
    record_consent("give", WISH, home, NOW)
    path = tmp_path / "recipients" / "vendor.yaml"
    path.unlink() if left is None else write_yaml(tmp_path / "recipients" / "vendor.yaml", left)
    done = record_consent("withdraw", WISH, home, hours(1)).act
    assert (done.state, done.terms) == ("withdrawn", TERMS)


def test_a_consent_for_a_recipient_that_never_existed_cannot_be_withdrawn(home: Workspace) -> None:
    with pytest.raises(PolicyError):
        record_consent("withdraw", replace(WISH, recipient="vendro"), home, NOW)


def test_without_a_keyring_nothing_is_recorded(home: Workspace) -> None:
    with pytest.raises(KeyringError):
        record_consent("give", WISH, replace(home, keys=None), NOW)
    with pytest.raises(MinimizeError):
        acts(home)


def test_a_clock_that_was_put_back_does_not_undo_a_withdrawal(home: Workspace) -> None:
    record_consent("give", WISH, home, NOW)
    done = record_consent("withdraw", WISH, home, hours(-5)).act
    assert [each.state for each in acts(home)] == ["given", "withdrawn"]
    assert (done.valid_from, explain_consent("north", "vendor", "sync", home, run=hours(1)).reason) == (
        hours(-5),
        "withdrawn",
    )


def test_an_expired_consent_is_marked_once(home: Workspace) -> None:
    record_consent("give", replace(WISH, expires_at=hours(2)), home, NOW)
    record_consent("give", replace(WISH, tenant="south"), home, NOW)
    assert mark_expired_consents(home, hours(1)) == []
    (done,) = mark_expired_consents(home, hours(3))
    assert (done.tenant_id, done.state, done.valid_from, done.expires_at) == ("north", "expired", hours(2), None)
    assert mark_expired_consents(home, hours(4)) == []


def test_a_renewed_consent_is_not_marked(home: Workspace) -> None:
    record_consent("give", replace(WISH, expires_at=hours(2)), home, NOW)
    record_consent("give", replace(WISH, expires_at=hours(9)), home, hours(1))
    assert mark_expired_consents(home, hours(3)) == []


SOUTH = replace(WISH, tenant="south")


def told(configuration: Workspace, at: float, **asked: Any) -> list[tuple[str, str, str | None]]:
    return [(one.act.tenant_id, one.act.state, one.reason) for one in list_consents(configuration, hours(at), **asked)]


def test_the_deciding_act_is_shown_for_each_tenant(home: Workspace) -> None:
    record_consent("request", WISH, home, NOW)
    record_consent("give", WISH, home, hours(1))
    record_consent("request", SOUTH, home, hours(1))
    assert told(home, 2) == [("north", "given", None), ("south", "requested", "requested")]
    assert told(home, 2, tenant="south") == [("south", "requested", "requested")]
    assert told(home, 2, recipient="other") == []


def test_consents_are_shown_as_of_a_given_time(home: Workspace) -> None:
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
    done = [record_consent("give", WISH, home, NOW).act, record_consent("withdraw", WISH, home, hours(1)).act]
    assert [one.act for one in list_consents(home, hours(2), history=True)] == done


def test_an_act_for_machines_has_the_vocabularys_word(home: Workspace) -> None:
    record_consent("give", replace(WISH, expires_at=hours(24)), home, NOW)
    (one,) = [one.to_json() for one in list_consents(home, hours(1))]
    assert (one["dpv"], one["valid"], one["why"]) == ("ConsentGiven", True, None)
    assert one["fields"] == ["app_id", "device_id", "token"]
    assert one["expires_at"] == "2026-11-26T08:00:00Z"


def test_explain_consent_lists_the_deciding_act_at_each_time(home: Workspace) -> None:
    given = record_consent("give", WISH, home, NOW).act
    withdrawn = record_consent("withdraw", WISH, home, hours(5)).act
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
    given = record_consent("give", replace(WISH, valid_from=NOW), home, hours(3)).act
    before = explain_consent("north", "vendor", "sync", home, run=hours(1))
    assert (before.reason, before.deciding, before.recorded_later) == ("none", ((hours(1), None),), (given,))
    assert before.to_json()["recorded_later"][0]["recorded_at"] == "2026-11-25T11:00:00Z"


def test_why_names_no_act_as_recorded_later_that_the_time_of_sharing_knows(home: Workspace) -> None:
    record_consent("give", replace(WISH, valid_from=NOW), home, hours(3))
    after = explain_consent("north", "vendor", "sync", home, run=hours(3), event=hours(1))
    assert (after.valid, after.recorded_later) == (True, ())
    assert "recorded_later" not in after.to_json()


def test_why_names_no_consent_as_recorded_later_that_is_valid_from_a_later_time(home: Workspace) -> None:
    record_consent("give", replace(WISH, valid_from=hours(2)), home, hours(3))
    assert explain_consent("north", "vendor", "sync", home, run=hours(1)).recorded_later == ()
