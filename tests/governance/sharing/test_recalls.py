"""What was sent is called back: withdrawn, expired, the contract over, its time there over; requested, then confirmed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from minimize.errors import ConfigurationError
from minimize.governance.sharing import Recall, confirm_recalls, disclosure_token, list_recalls, request_recalls
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import NOW, RECORDS, Sender, agent_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def found(sender: Sender, after: timedelta = HOUR, *, all_: bool = False) -> list[Recall]:
    return list_recalls(sender.places, sender.recipients, NOW + after, with_confirmed=all_)


def causes(sender: Sender, after: timedelta = HOUR) -> dict[str, str]:
    return {each.tenant: each.cause for each in found(sender, after)}


def test_nothing_has_to_go_while_all_holds(shared: Sender) -> None:
    assert found(shared) == []


@pytest.mark.parametrize("state", ["withdrawn", "refused", "expired"])
def test_an_ended_consent_calls_back_what_was_sent_of_its_tenant(shared: Sender, state: str) -> None:
    shared.consent("north", state, at=NOW + timedelta(minutes=1))
    assert causes(shared) == {"north": state}


def test_a_new_consent_does_not_undo_what_a_withdrawal_called_back(shared: Sender) -> None:
    shared.consent("north", "withdrawn", at=NOW + timedelta(minutes=1))
    shared.consent("north", "given", at=NOW + timedelta(minutes=2))
    assert causes(shared) == {"north": "withdrawn"}


def test_a_withdrawal_before_the_act_calls_nothing_back(sender: Sender) -> None:
    sender.write()
    sender.consent("north", "withdrawn", at=NOW - 2 * HOUR)
    sender.consent("north", "given", at=NOW - HOUR)
    sender.share()
    assert found(sender) == []


def test_a_consent_to_another_function_calls_nothing_back(shared: Sender) -> None:
    shared.consent("north", "withdrawn", function="other", at=NOW + timedelta(minutes=1))
    assert found(shared) == []


def test_a_consent_whose_time_is_over_calls_back(sender: Sender) -> None:
    sender.write()
    sender.consent("west", expires_at=NOW + 2 * HOUR)
    sender.share()
    assert causes(sender) == {}
    assert causes(sender, 3 * HOUR) == {"west": "expired"}
    sender.consent("west", "renewed", at=NOW + HOUR)
    assert causes(sender, 3 * HOUR) == {}


def test_the_end_of_a_contract_calls_back_what_was_sent_of_its_tenant(shared: Sender) -> None:
    shared.vendor_with("contract.until", "2026-11-26").consent("north")
    assert causes(shared) == {}
    assert causes(shared, DAY) == {"north": "contract_ended"}


def test_the_end_of_the_contract_with_an_agent_calls_everything_back(sender: Sender) -> None:
    sender = agent_of(sender)
    sender.write()
    sender.share()
    sender.vendor_with("contract.until", "2026-11-26").write()
    assert causes(sender) == {}
    assert causes(sender, DAY) == {"north": "contract_ended", "south": "contract_ended"}


def test_a_tenant_that_never_had_a_contract_has_none_that_ended(sender: Sender) -> None:
    agent = agent_of(sender)
    agent.consent("west", contract=False)
    agent.write()
    agent.share(RECORDS.slice(3))
    sender.write()
    assert causes(sender, DAY) == {}


def test_a_recipient_without_a_file_has_no_contract(shared: Sender) -> None:
    (shared.folder / "recipients" / "vendor.yaml").unlink()
    assert set(causes(shared).values()) == {"contract_ended"}


def test_the_end_of_its_time_at_the_recipient_calls_everything_back(shared: Sender) -> None:
    assert causes(shared, 30 * DAY - HOUR) == {}
    assert set(causes(shared, 30 * DAY).values()) == {"retention_due"}


def test_the_list_states_what_was_sent_when_and_about_which_subjects(shared: Sender) -> None:
    shared.consent("north", "withdrawn", at=NOW + timedelta(minutes=1))
    (recall,) = found(shared)
    assert (recall.rows, recall.sent_at, recall.fields) == (2, NOW, ("device_id", "event_time", "model"))
    assert set(recall.subjects) == {disclosure_token(shared.keys, "north", name) for name in ("d-1", "d-3")}
    assert recall.digest.startswith("blake3:")


def test_a_recall_is_due_then_requested_then_confirmed(shared: Sender) -> None:
    shared.consent("north", "withdrawn", at=NOW + timedelta(minutes=1))
    asked = request_recalls(shared.places, shared.recipients, NOW + HOUR, recipient="vendor")
    assert [each.tenant for each in asked] == ["north"]
    assert [each.state for each in found(shared)] == ["requested"]
    assert request_recalls(shared.places, shared.recipients, NOW + HOUR, recipient="vendor") == []
    confirm_recalls(shared.places, shared.recipients, NOW + 2 * HOUR, recipient="vendor")
    assert found(shared) == []
    assert [each.state for each in found(shared, all_=True)] == ["confirmed"]


def test_one_tenant_or_one_act_may_be_confirmed_alone(shared: Sender) -> None:
    request_recalls(shared.places, shared.recipients, NOW + 31 * DAY, recipient="vendor")
    confirm_recalls(shared.places, shared.recipients, NOW + 31 * DAY, recipient="vendor", tenant="south")
    assert [(each.tenant, each.state) for each in found(shared, 31 * DAY)] == [("north", "requested")]


def test_a_recall_that_was_not_requested_cannot_be_confirmed(shared: Sender) -> None:
    with pytest.raises(ConfigurationError, match="no matching recall was requested"):
        confirm_recalls(shared.places, shared.recipients, NOW, recipient="vendor")


def test_a_requested_recall_keeps_its_cause(shared: Sender) -> None:
    shared.consent("north", "withdrawn", at=NOW + timedelta(minutes=1))
    request_recalls(shared.places, shared.recipients, NOW + HOUR, recipient="vendor")
    assert causes(shared, 31 * DAY)["north"] == "withdrawn"


def test_each_recall_step_is_in_the_audit_log(shared: Sender) -> None:
    request_recalls(shared.places, shared.recipients, NOW + 31 * DAY, recipient="vendor")
    with open_ledger(find_ledger(shared.ledger)) as ledger:
        last = entry_event(find_entries(ledger, EntryFilter(operation="recall"))[-1])
    assert last["resources"][0]["id"] == "recipients/vendor"
