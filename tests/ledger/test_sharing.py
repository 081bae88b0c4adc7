"""Consents, disclosures and recalls in the ledger, on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from minimize.keys import Keyring
from minimize.ledger.kinds import (
    CONSENT,
    DISCLOSURE,
    RECALL,
    ConsentAct,
    Disclosure,
    RecallStep,
    TenantShare,
    distinct_consent_acts,
    find_consents,
    find_disclosures,
    find_recall_steps,
    new_recall_steps,
)
from minimize.ledger.ledger import Ledger
from tests.acts import record_acts

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
GIVEN = ConsentAct("north", "apple", "push", "given", "{}", "ann", NOW, NOW + timedelta(days=30), NOW)
TICK = timedelta(microseconds=1)
BODY: dict[str, Any] = {"recipient": "vendor", "rows": 3}
SENT = Disclosure("d-1", NOW, "vendor", "sync", 3, "sha256:" + "0" * 64, None, BODY)
STEP = RecallStep("d-1", "north", "vendor", "withdrawn", "requested", NOW, "ann")


def test_consents_are_found_by_tenant_and_recipient(ledger: Ledger, keys: Keyring) -> None:
    acts = [GIVEN, replace(GIVEN, tenant_id="south"), replace(GIVEN, recipient="apple2"), replace(GIVEN, state="x")]
    record_acts(ledger, keys, CONSENT, *acts)
    assert find_consents(ledger) == acts
    assert find_consents(ledger, tenant="south") == [acts[1]]
    assert find_consents(ledger, recipient="apple") == [acts[0], acts[1], acts[3]]
    assert find_consents(ledger, tenant="north", recipient="apple2") == [acts[2]]


def test_the_content_of_a_consent_act_is_its_id() -> None:
    changed = [replace(GIVEN, state="renewed"), replace(GIVEN, by="bob"), replace(GIVEN, expires_at=None)]
    assert len({GIVEN.id, *(each.id for each in changed)}) == 4
    assert replace(GIVEN).id == GIVEN.id


def test_a_consent_act_that_is_repeated_in_the_same_microsecond_is_another_act(ledger: Ledger, keys: Keyring) -> None:
    first = distinct_consent_acts(ledger, [GIVEN, GIVEN])
    assert first == [GIVEN, replace(GIVEN, recorded_at=NOW + TICK)]
    record_acts(ledger, keys, CONSENT, *first)
    assert distinct_consent_acts(ledger, [GIVEN]) == [replace(GIVEN, recorded_at=NOW + 2 * TICK)]
    other = replace(GIVEN, tenant_id="south")
    assert distinct_consent_acts(ledger, [other]) == [other]


def test_a_disclosure_that_was_changed_is_not_signed(ledger: Ledger, keys: Keyring) -> None:
    record_acts(ledger, keys, DISCLOSURE, SENT.signed_by(keys), replace(SENT, recipient="vendor2").signed_by(keys))
    (found,) = find_disclosures(ledger, "vendor")
    assert replace(found, key="", signature="") == SENT
    assert found.is_signed(keys)
    assert not replace(found, body={**BODY, "rows": 2}).is_signed(keys)
    assert not replace(found, signature="?").is_signed(keys)
    assert len(find_disclosures(ledger)) == 2


def test_the_subjects_of_a_share_are_counted_by_their_tokens() -> None:
    share = TenantShare("d-1", "north", 2, "c-1", 1, bytes(32))
    assert share.subjects == len(share.token_texts()) == 2
    assert TenantShare("d-1", "south", 1, "c-2").subjects == 0
    assert "x00" not in repr(share)


def test_each_state_of_a_recall_is_recorded_once(ledger: Ledger, keys: Keyring) -> None:
    record_acts(ledger, keys, RECALL, STEP)
    confirmed, south = replace(STEP, state="confirmed"), replace(STEP, tenant_id="south")
    elsewhere = replace(STEP, recipient="other", disclosure="d-2")
    again = replace(STEP, recorded_at=NOW + TICK, cause="erased")
    assert new_recall_steps(ledger, [again, confirmed, south, elsewhere]) == [confirmed, south, elsewhere]
    record_acts(ledger, keys, RECALL, confirmed, elsewhere)
    assert find_recall_steps(ledger, "vendor") == [STEP, confirmed]
    assert find_recall_steps(ledger, "vend") == []
    assert find_recall_steps(ledger) == [STEP, confirmed, elsewhere]
