"""Copies at third parties, from disclosures and recalls."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from minimize.governance.incidents import Exposure, scope_of
from minimize.governance.incidents.copies import Copy, copies
from minimize.ledger import find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.ledger.recalls import Recalled, State, record_recalls
from minimize.switching import House as Places
from tests.governance.sharing.house import NOW, House
from tests.ledger.house import event

HOUR = timedelta(hours=1)


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> House:
    shop = House(tmp_path).agree("north", "south")
    shop.share()
    return shop


def out(shop: House, *, since: timedelta = HOUR, until: timedelta = 2 * HOUR) -> list[Copy]:
    with open_ledger(find_ledger(shop.ledger)) as ledger:
        return list(copies(ledger, (NOW + since, NOW + until)))


def recalled(shop: House, state: State) -> None:
    (first, *_) = out(shop)
    step = Recalled(first.act.disclosure, "north", "vendor", "asked", state, NOW + HOUR / 2, "ann")
    with open_ledger(find_ledger(shop.ledger)) as ledger:
        record_recalls(ledger, [step], event(), shop.keys)


def test_whose_records_were_sent_has_copies_there(shop: House) -> None:
    assert [(each.tenant, each.recipient, each.policy) for each in out(shop)] == [
        ("north", "vendor", "devices"),
        ("south", "vendor", "devices"),
    ]


def test_what_is_sent_after_the_window_was_not_out(shop: House) -> None:
    assert out(shop, since=-2 * HOUR, until=-HOUR) == []


def test_a_copy_is_out_until_it_is_confirmed_to_be_gone(shop: House) -> None:
    recalled(shop, "requested")
    assert len(out(shop)) == 2
    recalled(shop, "confirmed")
    assert [each.tenant for each in out(shop)] == ["south"]


def test_a_recipient_that_leaks_affects_whose_records_it_got(shop: House) -> None:
    places = Places(shop.ledger, keys=shop.keys)
    found = scope_of(Exposure.of(["recipient:vendor"]), (NOW, NOW + HOUR), places, NOW + HOUR).as_json()
    assert [(each["tenant_id"], each["subjects"]) for each in found["tenants"]] == [
        ("north", {"count": 2, "exact": True}),
        ("south", {"count": 1, "exact": True}),
    ]
    assert {kind["column"] for kind in found["tenants"][0]["kinds"]} == {"device_id", "event_time", "model"}
    assert not scope_of(Exposure.of(["recipient:other"]), (NOW, NOW + HOUR), places, NOW + HOUR).tenants


def test_a_recipients_pseudonyms_are_opened_by_the_key_that_they_come_from(shop: House) -> None:
    first = out(shop)[0]
    forms = [{each.name: each.form for each in first.columns(frozenset(keys))} for keys in ((), ("device/1",))]
    assert [form["device_id"] for form in forms] == ["pseudonymized", "identified"]
