"""The log of disclosures, and why a recipient may or may not get anything."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from minimize.errors import ConfigurationError
from minimize.governance.sharing import (
    ShareExplanation,
    explain_share,
    find_disclosure,
    list_disclosures,
)
from tests.governance.sharing.sender import NOW, Sender


def asked(sender: Sender, tenant: str | None = "north") -> ShareExplanation:
    sender.write()
    return explain_share("vendor", "sync", sender.places, sender.recipients, NOW, tenant=tenant)


def test_a_tenant_that_agreed_is_covered_by_its_consent(sender: Sender) -> None:
    found = asked(sender)
    assert found.permitted
    assert found.consent is not None
    assert found.fields == ("device_id", "event_time", "model")


def test_every_rule_that_it_breaks_is_reported(sender: Sender) -> None:
    sender.consent("north", "withdrawn", at=NOW - timedelta(hours=1))
    found = asked(sender.vendor_with("functions.sync.direction", "inbound"))
    assert [each.rule for each in found.reasons] == ["direction"]
    found = asked(sender)
    assert [each.rule for each in found.reasons] == ["withdrawn"]
    assert json.loads(json.dumps(found.to_json()))["permitted"] is False


def test_a_tenant_without_contract_or_prerequisite_is_not_covered(sender: Sender) -> None:
    ended = asked(sender.contract_with("until", "2026-02-01"))
    assert [(each.rule, each.code) for each in ended.reasons] == [("contract_not_in_force", "N011")]
    sender.contract_with("until", "9999-01-01")
    wanting = asked(sender.vendor_with("functions.sync.requires", ["an_account"]))
    assert [(each.rule, each.code) for each in wanting.reasons] == [("requires", "N015")]


def test_without_a_tenant_no_consent_is_checked(sender: Sender) -> None:
    sender.ledger.unlink()
    assert asked(sender, None).permitted


def test_disclosures_are_listed_by_recipient_and_tenant(sender: Sender) -> None:
    sender.share()
    sender.consent("south", "withdrawn", at=NOW - timedelta(minutes=1))
    sender.share()
    assert [each.rows for each in list_disclosures(sender.places).disclosures] == [3, 2]
    assert [each.rows for each in list_disclosures(sender.places, tenant="south").disclosures] == [3]
    assert list_disclosures(sender.places, recipient="nobody").disclosures == []
    assert list_disclosures(sender.places).not_signed == []


def test_one_is_found_by_its_id(sender: Sender) -> None:
    sender.share()
    (act,) = list_disclosures(sender.places).disclosures
    assert find_disclosure(sender.places, act.disclosure) == act
    with pytest.raises(ConfigurationError, match="no disclosure"):
        find_disclosure(sender.places, "x")
