"""A withdrawal has two sides, and both are done at once: nothing is shared here, and the recipient is told to delete."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import LedgerError, NotPermitted
from minimize.governance.consent import NewConsent
from minimize.governance.sharing import (
    EndedConsent,
    confirm_recalls,
    disclosure_token,
    end_consent,
    expire_consents,
    list_recalls,
)
from minimize.ledger import find_ledger
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.kinds import CONSENT, find_consents
from minimize.ledger.ledger import open_ledger
from tests.governance.sharing.sender import NOW, RECORDS, Sender
from tests.inbound import TOKEN

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def ended(
    sender: Sender,
    verb: Literal["withdraw", "refuse"] = "withdraw",
    *,
    tenant: str = "north",
    after: timedelta = MINUTE,
) -> EndedConsent:
    return end_consent(
        verb,
        NewConsent(tenant, "vendor", "sync", evidence=TOKEN),
        sender.places,
        NOW + after,
        recipients=sender.folder / "recipients",
    )


@pytest.mark.parametrize(("verb", "cause"), [("withdraw", "withdrawn"), ("refuse", "refused")])
def test_the_recall_is_requested_in_the_same_act(
    shared: Sender, verb: Literal["withdraw", "refuse"], cause: str
) -> None:
    (recall,) = ended(shared, verb).recalls
    assert (recall.tenant, recall.state, recall.cause) == ("north", "requested", cause)
    listed = list_recalls(shared.places, shared.recipients, NOW + HOUR)
    assert [(each.tenant, each.state, each.cause) for each in listed] == [("north", "requested", cause)]


def test_a_recall_lists_time_rows_digest_and_subjects_of_the_disclosure(shared: Sender) -> None:
    (recall,) = ended(shared).recalls
    assert (recall.sent_at, recall.rows) == (NOW, 2)
    assert recall.digest.startswith("blake3:")
    assert set(recall.subjects) == {disclosure_token(shared.keys, "north", name) for name in ("d-1", "d-3")}


def test_sharing_stops_immediately(shared: Sender) -> None:
    ended(shared)
    with pytest.raises(NotPermitted):
        shared.share(RECORDS.slice(0, 1), clock=NOW + HOUR)
    assert shared.share(clock=NOW + HOUR).num_rows == 1


def test_data_shared_by_another_tenant_is_not_recalled(shared: Sender) -> None:
    assert [each.tenant for each in ended(shared, tenant="south").recalls] == ["south"]


def test_a_tenant_without_disclosures_has_no_recall(shared: Sender) -> None:
    assert ended(shared, tenant="west").recalls == []


def test_a_requested_recall_is_not_requested_again(shared: Sender) -> None:
    ended(shared)
    assert ended(shared, after=2 * MINUTE).recalls == []


def test_a_withdrawal_from_a_later_time_calls_back_when_it_has_come(shared: Sender) -> None:
    wish = NewConsent("north", "vendor", "sync", valid_from=NOW + DAY, evidence=TOKEN)
    assert (
        end_consent("withdraw", wish, shared.places, NOW + MINUTE, recipients=shared.folder / "recipients").recalls
        == []
    )
    assert list_recalls(shared.places, shared.recipients, NOW + HOUR) == []
    assert [each.state for each in list_recalls(shared.places, shared.recipients, NOW + DAY)] == ["due"]


def test_a_withdrawal_from_a_later_time_calls_back_what_was_sent_in_between(shared: Sender) -> None:
    wish = NewConsent("north", "vendor", "sync", valid_from=NOW + DAY, evidence=TOKEN)
    end_consent("withdraw", wish, shared.places, NOW + MINUTE, recipients=shared.folder / "recipients")
    shared.share(RECORDS.slice(0, 1), clock=NOW + HOUR)
    listed = list_recalls(shared.places, shared.recipients, NOW + DAY)
    assert [(each.sent_at, each.cause, each.state) for each in listed] == [
        (NOW, "withdrawn", "due"),
        (NOW + HOUR, "withdrawn", "due"),
    ]


def test_without_the_recall_there_is_no_withdrawal(shared: Sender) -> None:
    def fails(*_: object) -> None:
        raise LedgerError("the disk is full")

    with at_checkpoint("ledger.before", fails), pytest.raises(LedgerError, match="full"):
        ended(shared)
    with open_ledger(find_ledger(shared.ledger)) as ledger:
        assert [act.state for act in ledger.find(CONSENT, tenant="north")] == ["given"]


def test_withdrawal_and_recall_are_in_the_audit_log(shared: Sender) -> None:
    ended(shared)
    with open_ledger(find_ledger(shared.ledger)) as ledger:
        last = [entry_event(each)["operation"] for each in find_entries(ledger, EntryFilter())][-2:]
    assert last == ["withdraw", "recall"]


def test_the_manual_steps_of_an_ending_are_reported(shared: Sender) -> None:
    two = shared.with_(vendor={**shared.vendor, "ending": "the token is disabled here, the account deleted there"})
    two.write()
    assert ended(two).ending == "the token is disabled here, the account deleted there"


def test_a_consent_that_ran_out_calls_back_when_it_is_marked(sender: Sender) -> None:
    sender.write()
    sender.consent("west", expires_at=NOW + HOUR)
    sender.share()
    assert expire_consents(sender.places, NOW + MINUTE).recalls == []
    found = expire_consents(sender.places, NOW + 2 * HOUR)
    assert [(each.tenant, each.cause, each.state) for each in found.recalls] == [("west", "expired", "requested")]
    assert [act.tenant_id for act in found.acts] == ["west"]


def test_a_recall_without_confirmation_in_time_is_overdue(shared: Sender) -> None:
    ended(shared)
    for after, overdue in ((29 * DAY, False), (31 * DAY, True)):
        (recall,) = (
            each for each in list_recalls(shared.places, shared.recipients, NOW + after) if each.tenant == "north"
        )
        assert (recall.overdue, recall.is_late) == (overdue, overdue)
    confirm_recalls(shared.places, shared.recipients, NOW + 31 * DAY, recipient="vendor", tenant="north")
    listed = list_recalls(shared.places, shared.recipients, NOW + 32 * DAY, with_confirmed=True)
    assert [each.overdue for each in listed if each.tenant == "north"] == [False]


def test_the_contract_sets_the_deadline_of_the_confirmation(shared: Sender) -> None:
    shared.contract_with("deletes_within", "2d")
    ended(shared)
    (recall,) = list_recalls(shared.places, shared.recipients, NOW + 3 * DAY)
    assert (recall.overdue, recall.confirm_by) == (True, NOW + MINUTE + 2 * DAY)


@pytest.mark.parametrize("state", ["renewed", "expired"])
def test_a_consent_that_another_process_recorded_in_the_meantime_is_not_marked_as_expired(
    sender: Sender, state: str
) -> None:
    """The other process is as late as possible: it records right before the lock is taken."""
    sender.consent("west", expires_at=NOW + HOUR)
    late, passed = NOW + 2 * HOUR, list[str]()

    def other_first(name: str) -> None:
        passed.append(name)
        if len(passed) == 1:
            sender.consent("west", state, at=late)

    with at_checkpoint("ledger.record", other_first):
        assert expire_consents(sender.places, late).acts == []
    with open_ledger(find_ledger(sender.ledger)) as ledger:
        assert [act.state for act in find_consents(ledger, tenant="west")] == ["given", state]
