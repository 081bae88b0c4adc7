"""The log of disclosures, and why a recipient may or may not get anything."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from minimize.errors import ConfigurationError
from minimize.governance.sharing import Why, disclosure, logged, unsigned, why
from minimize.switching import House as Places
from tests.governance.sharing.house import NOW, House


def places(house: House) -> Places:
    return Places(ledger=house.ledger, keys=house.keys)


def asked(house: House, tenant: str | None = "north") -> Why:
    house.write()
    return why("vendor", "sync", places(house), house.recipients, NOW, tenant=tenant)


def test_a_tenant_that_agreed_is_covered_by_its_consent(house: House) -> None:
    found = asked(house)
    assert found.permitted
    assert found.consent is not None
    assert found.fields == ("device_id", "event_time", "model")


def test_every_rule_against_it_is_told(house: House) -> None:
    house.says("north", "withdrawn", at=NOW - timedelta(hours=1))
    found = asked(
        house.vendor_with("contract.until", "2026-02-01").vendor_with("functions.sync.requires", ["an_account"])
    )
    assert [each.rule for each in found.reasons] == ["contract_not_in_force", "requires", "withdrawn"]
    assert json.loads(json.dumps(found.as_json()))["permitted"] is False


def test_without_a_tenant_nobody_is_asked(house: House) -> None:
    house.ledger.unlink()
    assert asked(house, None).permitted


def test_disclosures_are_listed_by_recipient_and_tenant(house: House) -> None:
    house.share()
    house.says("south", "withdrawn", at=NOW - timedelta(minutes=1))
    house.share()
    assert [each.rows for each in logged(places(house))] == [3, 2]
    assert [each.rows for each in logged(places(house), tenant="south")] == [3]
    assert logged(places(house), recipient="nobody") == []
    assert unsigned(places(house), logged(places(house))) == []


def test_one_is_found_by_its_id(house: House) -> None:
    house.share()
    (act,) = logged(places(house))
    assert disclosure(places(house), act.disclosure) == act
    with pytest.raises(ConfigurationError, match="no disclosure"):
        disclosure(places(house), "x")
