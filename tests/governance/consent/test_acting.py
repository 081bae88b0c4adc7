from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from minimize.consent import load_consents
from minimize.errors import KeyringError, MinimizeError, PolicyError, RefusedError
from minimize.governance.consent import Wish, act, expire, why
from minimize.governance.consent.acting import Verb
from minimize.ledger import Actor, Resource
from minimize.ledger.asked import logged
from minimize.ledger.audit import Wanted
from minimize.ledger.consents import Act
from minimize.switching import House
from tests.consent.factory import NOW, TERMS, hours
from tests.project import write_yaml
from tests.world import sync, vendor_file

WISH = Wish("north", "vendor", "sync")


def acts(configuration: House) -> list[Act]:
    with configuration.opened() as ledger:
        return list(load_consents(ledger).acts)


def test_a_consent_is_recorded_with_what_was_agreed_to_and_by_whom(home: House) -> None:
    done = act("give", WISH, home, NOW)
    assert (done.state, done.terms, done.by) == ("given", TERMS, "ann@contoso.example")
    assert (done.valid_from, done.recorded_at, done.expires_at) == (NOW, NOW, None)
    assert acts(home) == [done]


@pytest.mark.parametrize(
    ("verb", "state"), [("request", "requested"), ("refuse", "refused"), ("withdraw", "withdrawn")]
)
def test_each_verb_brings_its_state(home: House, verb: Verb, state: str) -> None:
    assert act(verb, WISH, home, NOW).state == state


def test_what_is_given_once_more_is_renewed(home: House) -> None:
    states = [
        act("give", WISH, home, hours(0)),
        act("withdraw", WISH, home, hours(1)),
        act("give", WISH, home, hours(2)),
    ]
    assert [each.state for each in states] == ["given", "withdrawn", "renewed"]


def test_the_audit_log_is_told(home: House) -> None:
    act("request", WISH, home, NOW)
    act("give", replace(WISH, expires_at=hours(48)), home, hours(1))
    with home.opened() as ledger:
        events = [json.loads(entry.event) for entry in logged(ledger, Wanted(activity="consent"))]
    assert [each["operation"] for each in events] == ["request", "give"]
    (resource,) = events[1]["resources"]
    assert resource["id"] == "consents/north/vendor/sync"
    state, version, *_, ends = resource["changed_properties"]
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
def test_what_cannot_be_agreed_to_is_not_recorded(home: House, wish: Wish) -> None:
    act("request", WISH, home, NOW)
    with pytest.raises(PolicyError):
        act("give", wish, home, NOW)
    assert len(acts(home)) == 1


def test_only_what_is_given_expires(home: House) -> None:
    with pytest.raises(PolicyError):
        act("withdraw", replace(WISH, expires_at=hours(1)), home, NOW)


def test_the_text_that_counts_can_be_named(home: House) -> None:
    assert act("give", replace(WISH, text_version=1), home, NOW).state == "given"


@pytest.mark.parametrize("left", [None, vendor_file(functions={}), vendor_file(functions=sync(fields={"a": "md5"}))])
def test_a_consent_can_be_withdrawn_whatever_became_of_the_file(
    home: House, tmp_path: Path, left: dict[str, object] | None
) -> None:
    act("give", WISH, home, NOW)
    path = tmp_path / "recipients" / "vendor.yaml"
    path.unlink() if left is None else write_yaml(tmp_path / "recipients" / "vendor.yaml", left)
    done = act("withdraw", WISH, home, hours(1))
    assert (done.state, done.terms) == ("withdrawn", TERMS)


def test_nobody_withdraws_from_a_recipient_that_never_was(home: House) -> None:
    with pytest.raises(PolicyError):
        act("withdraw", replace(WISH, recipient="vendro"), home, NOW)


def test_whoever_may_not_is_refused_and_nothing_is_recorded(home: House) -> None:
    def nobody(actor: Actor, resource: Resource) -> None:
        raise RefusedError(f"{actor.user} may not touch {resource.id}")

    with pytest.raises(RefusedError, match="consents/north/vendor/sync"):
        act("give", WISH, home, NOW, allowed=nobody)
    assert acts(home) == []


def test_without_a_keyring_nothing_is_recorded(home: House) -> None:
    with pytest.raises(KeyringError):
        act("give", WISH, replace(home, keys=None), NOW)
    with pytest.raises(MinimizeError):
        acts(home)


def test_a_clock_that_was_put_back_does_not_undo_a_withdrawal(home: House) -> None:
    act("give", WISH, home, NOW)
    done = act("withdraw", WISH, home, hours(-5))
    assert [each.state for each in acts(home)] == ["given", "withdrawn"]
    assert (done.valid_from, why("north", "vendor", "sync", home, run=hours(1)).reason) == (hours(-5), "withdrawn")


def test_what_has_run_out_is_marked_once(home: House) -> None:
    act("give", replace(WISH, expires_at=hours(2)), home, NOW)
    act("give", Wish("south", "vendor", "sync"), home, NOW)
    assert expire(home, hours(1)) == []
    (done,) = expire(home, hours(3))
    assert (done.tenant_id, done.state, done.valid_from, done.expires_at) == ("north", "expired", hours(2), None)
    assert expire(home, hours(4)) == []


def test_what_was_renewed_is_not_marked(home: House) -> None:
    act("give", replace(WISH, expires_at=hours(2)), home, NOW)
    act("give", replace(WISH, expires_at=hours(9)), home, hours(1))
    assert expire(home, hours(3)) == []
