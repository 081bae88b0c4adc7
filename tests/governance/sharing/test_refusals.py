"""Every way in which something must not leave, each told by its rule and never with a value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from minimize.consent import current_terms
from minimize.errors import NotPermitted, RefusalReason, RefusedError
from minimize.keys import new_keyring
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.kinds import CONSENT, ConsentAct, find_disclosures
from minimize.ledger.ledger import open_ledger
from minimize.recipients.load import Subprocessor
from tests.acts import plant_acts
from tests.governance.sharing.sender import EVENT, NOW, POLICY, RECORDS, Sender, agent_of, changed
from tests.project import TIME

ONE = RECORDS.slice(0, 1)
DAY = timedelta(days=1)


def refused(sender: Sender, data: pa.Table = ONE, **asked: Any) -> dict[str, RefusalReason]:
    """The reasons by rule; and nothing was recorded but the refusal."""
    with pytest.raises(NotPermitted) as caught:
        sender.share(data, **asked)
    with open_ledger(find_ledger(sender.ledger), create=True) as ledger:
        assert find_disclosures(ledger) == []
        last = entry_event(find_entries(ledger, EntryFilter(activity="share"))[-1])
    assert last["result"] == "refused"
    assert caught.value.exit_code == 3
    assert [each.code for each in caught.value.findings] == [each.code for each in caught.value.reasons]
    return {each.rule: each for each in caught.value.reasons}


def test_it_is_a_refusal_with_a_code_of_its_own() -> None:
    assert issubclass(NotPermitted, RefusedError)
    assert NotPermitted("no").code == "E301"


def test_no_contract(sender: Sender) -> None:
    sender.consent("west", contract=False)
    found = refused(sender, RECORDS.slice(3))
    assert set(found) == {"no_contract", "nothing_left"}
    assert (found["no_contract"].code, found["no_contract"].tenants, found["no_contract"].rows) == ("N010", 1, 1)


def test_the_contract_that_a_file_offers_permits_nothing(sender: Sender) -> None:
    assert sender.recipient.contract is not None
    sender.consent("west", contract=False)
    account = sender.dry()
    assert account.tenants == {"north": 2, "south": 1}
    assert [(each.code, each.tenants, each.rows) for each in account.held] == [("N010", 1, 1)]


def test_an_agent_needs_the_contract_of_the_organization_alone(sender: Sender) -> None:
    agent = agent_of(sender)
    agent.consent("west", contract=False)
    assert set(refused(agent.vendor_with("contract", None))) == {"no_contract"}
    assert agent.share(RECORDS.slice(3)).num_rows == 1


@pytest.mark.parametrize(
    ("word", "day"), [("until", "2026-11-25"), ("until", "2026-06-01"), ("from", "2026-11-26")], ids=str
)
def test_a_contract_that_is_not_in_force(sender: Sender, word: str, day: str) -> None:
    assert set(refused(sender.contract_with(word, day))) == {"contract_not_in_force", "nothing_left"}


def test_a_contract_that_permits_no_transmission(sender: Sender) -> None:
    assert set(refused(sender.contract_with("permits_transmission", value=False))) == {
        "no_transmission",
        "nothing_left",
    }


def test_no_consent_of_an_agent_s_tenant(sender: Sender) -> None:
    agent = agent_of(sender)
    found = refused(agent, RECORDS.slice(3))
    assert (found["no_consent"].tenants, found["no_consent"].rows) == (1, 1)


def test_an_independent_without_explicit_consent(sender: Sender) -> None:
    assert set(refused(sender, RECORDS.slice(3))) == {"no_explicit_consent", "nothing_left"}


def test_a_request_is_no_consent(sender: Sender) -> None:
    sender.consent("west", "requested")
    assert "no_explicit_consent" in refused(sender, RECORDS.slice(3))


def test_a_consent_to_another_function(sender: Sender) -> None:
    assert "no_explicit_consent" in refused(sender, function="other")


def test_a_consent_to_an_old_text(sender: Sender) -> None:
    assert "other_text" in refused(sender.vendor_with("functions.sync.text_version", 3))


def test_a_consent_for_another_purpose(sender: Sender) -> None:
    assert "other_purpose" in refused(sender.vendor_with("functions.sync.purpose", "customer_support"))


def test_a_consent_to_fewer_fields(sender: Sender) -> None:
    wider = sender.vendor_with("functions.sync.fields.serial", {"role": "identifier", "do": "keep"})
    assert "other_fields" in refused(wider)


def test_a_consent_to_another_form_of_a_field(sender: Sender) -> None:
    finer = sender.vendor_with("functions.sync.fields.event_time.do", {"truncate_time": {"to": "hour"}})
    assert "other_fields" in refused(finer)


def test_a_consent_that_was_given_when_the_recipient_was_an_agent(sender: Sender) -> None:
    sender.consent("west", terms=agent_of(sender).recipient)
    assert "other_standing" in refused(sender, RECORDS.slice(3))


@pytest.mark.parametrize("state", ["withdrawn", "refused", "expired"])
def test_a_consent_that_was_ended(sender: Sender, state: str) -> None:
    sender.consent("north", state, at=NOW - timedelta(hours=1))
    assert state in refused(sender)


def test_a_consent_whose_time_is_over(sender: Sender) -> None:
    sender.consent("west", at=NOW - 2 * DAY, expires_at=NOW - DAY)
    assert "expired" in refused(sender, RECORDS.slice(3))


def test_a_consent_that_does_not_hold_yet(sender: Sender) -> None:
    sender.consent("west", at=NOW + DAY)
    assert "no_explicit_consent" in refused(sender, RECORDS.slice(3))


def test_an_agent_that_is_off_the_list(sender: Sender) -> None:
    agent = agent_of(sender).with_(listed=())
    assert "not_listed" in refused(agent)


def test_an_agent_whose_entry_has_ended(sender: Sender) -> None:
    ended = Subprocessor(name="Helper", from_=date(2026, 1, 1), until=date(2026, 11, 25))
    assert "not_listed" in refused(agent_of(sender).with_(listed=(ended,)))


def test_a_purpose_that_the_policy_does_not_list(sender: Sender) -> None:
    narrow = sender.with_(policy_=changed(POLICY, "purposes", ["customer_support"]))
    assert "purpose" in refused(narrow)


def test_a_purpose_that_the_function_is_not_for(sender: Sender) -> None:
    assert set(refused(sender, purpose="customer_support")) == {"purpose"}


def test_a_field_outside_the_contract(sender: Sender) -> None:
    narrow = sender.contract_with("permitted_fields", ["model"])
    assert refused(narrow, fields=["model", "event_time"])["outside_contract"].fields == ("event_time",)


def test_a_contract_that_permits_none_of_the_fields(sender: Sender) -> None:
    assert {"outside_contract", "nothing_left"} <= set(refused(sender.contract_with("permitted_fields", ["phone"])))


def test_a_tenant_whose_contract_permits_less_than_that_of_another_is_left_out(sender: Sender) -> None:
    narrow = sender.vendor_with("contract.permitted_fields", ["model"])
    narrow.consent("west")
    account = sender.dry()
    assert [(each.rule, each.tenants) for each in account.held] == [("outside_contract", 1)]
    assert sender.dry(fields=["model"]).tenants == {"north": 2, "south": 1, "west": 1}


def test_a_field_outside_the_manifest(sender: Sender) -> None:
    assert refused(sender, fields=["latitude"])["outside_manifest"].fields == ("latitude",)


def test_a_field_that_the_policy_drops_or_has_for_another_purpose(sender: Sender) -> None:
    fields = {"note": {"do": "redact", "role": "free_text"}, "phone": {"do": "keep"}}
    wider = sender.vendor_with("functions.sync.fields", fields)
    assert refused(wider)["outside_policy"].fields == ("phone", "note")


def test_a_tenant_whose_collection_is_off(sender: Sender) -> None:
    found = refused(_located(sender), RECORDS.select(["tenant_id", "device_id", "event_time", "latitude"]))
    assert (found["collection_off"].tenants, found["collection_off"].rows) == (2, 3)


def test_a_sibling_with_an_empty_manifest(sender: Sender) -> None:
    sibling = sender.with_(vendor={"recipient": "sibling", "standing": "independent", "functions": {}})
    assert set(refused(sibling)) == {"empty_manifest"}


def test_a_function_that_the_manifest_does_not_have(sender: Sender) -> None:
    assert set(refused(sender, function="sink")) == {"not_in_manifest"}


def test_an_inbound_function(sender: Sender) -> None:
    assert set(refused(sender.vendor_with("functions.sync.direction", "inbound"))) == {"direction"}


def test_a_function_that_requires_what_is_not_there(sender: Sender) -> None:
    wanting = sender.vendor_with("functions.sync.requires", ["an_account"])
    assert set(refused(wanting)) == {"requires", "nothing_left"}
    wanting.consent("north", at=NOW - timedelta(hours=1))
    assert wanting.share(RECORDS).num_rows == 2


def test_a_payload_above_what_it_must_be(sender: Sender) -> None:
    wide = sender.vendor_with("functions.sync.fields.serial", {"role": "identifier", "do": "keep"})
    wide.consent("north", at=NOW - timedelta(hours=1))
    assert refused(wide, must_be="pseudonymized")["category"].fields == ("serial",)
    assert wide.share(ONE).column("serial").to_pylist() == ["s-1"]


def test_rows_past_their_retention(sender: Sender) -> None:
    old = ONE.set_column(2, "event_time", pa.array([EVENT - 31 * DAY], TIME))
    assert refused(sender, old)["collection_off"].rows == 1


def test_tenants_of_which_only_some_rows_are_past_their_retention_are_counted(sender: Sender) -> None:
    times = pa.array([EVENT - 31 * DAY, EVENT, EVENT], TIME)
    account = sender.share(RECORDS.slice(0, 3).set_column(2, "event_time", times), dry_run=True)
    held = {each.rule: (each.tenants, each.rows) for each in account.held}
    assert (account.rows, held["collection_off"]) == (2, (1, 1))


def test_all_reasons_of_a_refusal_are_reported_together(sender: Sender) -> None:
    wrong = sender.contract_with("until", "2026-03-01").vendor_with("functions.sync.requires", ["an_account"])
    sender.consent("west")
    found = refused(wrong, RECORDS, purpose="customer_support")
    assert set(found) == {"contract_not_in_force", "requires", "purpose"}


def test_no_ledger_refuses_nothing_less(sender: Sender) -> None:
    sender.ledger.unlink()
    with pytest.raises(NotPermitted) as caught:
        sender.share(ONE, purpose="customer_support")
    assert [each.rule for each in caught.value.reasons] == ["purpose"]


@pytest.mark.parametrize("make", [repr, str, lambda error: str(error.to_json()), lambda error: str(error.reasons)])
def test_no_reason_names_a_tenant_or_a_value(sender: Sender, make: Callable[[NotPermitted], str]) -> None:
    sender.consent("north", "withdrawn", at=NOW - timedelta(hours=1))
    sender.consent("south", "withdrawn", at=NOW - timedelta(hours=1))
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    told_ = make(caught.value)
    assert not [word for word in ("north", "west", "d-1", "s-1", "Alice", "33612") if word in told_]


def test_a_dry_run_reports_the_same_reasons_without_raising(sender: Sender) -> None:
    account = sender.dry(purpose="customer_support")
    assert not account.permitted
    assert {each.rule for each in account.reasons} == {"purpose", "no_explicit_consent"}


def _located(sender: Sender) -> Sender:
    """Only what the feature gates is shared."""
    located = sender.vendor_with("functions.sync.fields", {"latitude": {"type": "double", "do": {"round": {"to": 1}}}})
    fields = {
        key: each
        for key, each in POLICY["fields"].items()
        if key in ("tenant_id", "device_id", "event_time", "latitude")
    }
    located = located.with_(policy_=changed(POLICY, "fields", fields))
    for tenant in ("north", "south"):
        located.consent(tenant, at=NOW - timedelta(hours=1))
    return located


@pytest.mark.parametrize("way", ["share", "dry"])
def test_a_consent_that_we_did_not_sign_permits_nothing(sender: Sender, way: str) -> None:
    """An attacker with the database, but without the keyring, records a consent."""
    stranger = new_keyring(sender.folder / "other.keys", now=NOW)
    with open_ledger(find_ledger(sender.ledger), create=True) as ledger:
        text = current_terms(sender.recipient, "sync").text
        forged = ConsentAct("west", "vendor", "sync", "given", text, "admin", EVENT, None, EVENT)
        plant_acts(ledger, stranger, CONSENT, forged)
        with pytest.raises(RefusedError, match="is not signed by a known key"):
            getattr(sender, way)()
        assert find_disclosures(ledger) == []
