"""Lifecycle events, requests and corrections in the ledger, on each database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from minimize.keys import Keyring
from minimize.ledger.ledger import Ledger
from minimize.ledger.subject_kinds import (
    LIFECYCLE_EVENT,
    LifecycleEvent,
    RecordedCorrection,
    SubjectRequestStep,
    last_lifecycle_events,
    new_lifecycle_events,
)
from tests.acts import record_acts

NOW = datetime(2026, 11, 25, 8, 30, 15, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
TOKEN = f"subject/1:{64 * '0'}"
CLOSED = LifecycleEvent("north", None, "tenant_closed", NOW, "recorded", "{}", NOW + timedelta(hours=1), "ann")
LEFT = replace(CLOSED, subject=TOKEN, kind="subject_left", forms='{"a": ["b"]}')
WITHDRAWN = replace(LEFT, state="withdrawn", forms="{}")


def test_tenant_subject_kind_and_time_are_the_id_of_an_event() -> None:
    others = [replace(LEFT, tenant_id="south"), replace(LEFT, kind="reset"), replace(LEFT, at=NOW + DAY)]
    assert len({LEFT.id, CLOSED.id, replace(LEFT, field="user").id, *(each.id for each in others)}) == 6
    assert LEFT.id == WITHDRAWN.id == replace(LEFT, actor="bob").id


def test_an_event_that_is_repeated_is_not_new(ledger: Ledger, keys: Keyring) -> None:
    assert new_lifecycle_events(ledger, [LEFT, CLOSED, LEFT]) == [True, True, False]
    record_acts(ledger, keys, LIFECYCLE_EVENT, LEFT)
    again, south = replace(LEFT, recorded_at=NOW + DAY), replace(LEFT, tenant_id="south")
    assert new_lifecycle_events(ledger, [again]) == [False]
    assert new_lifecycle_events(ledger, [replace(LEFT, forms="{}")]) == [True]
    assert new_lifecycle_events(ledger, [again, CLOSED, south]) == [False, True, True]


def test_the_last_act_of_an_event_is_in_force(ledger: Ledger, keys: Keyring) -> None:
    record_acts(ledger, keys, LIFECYCLE_EVENT, LEFT, CLOSED, WITHDRAWN)
    assert last_lifecycle_events(ledger.find(LIFECYCLE_EVENT), ledger.now) == [WITHDRAWN, CLOSED]
    assert new_lifecycle_events(ledger, [LEFT]) == [True]
    record_acts(ledger, keys, LIFECYCLE_EVENT, LEFT)
    assert last_lifecycle_events(ledger.find(LIFECYCLE_EVENT), ledger.now) == [LEFT, CLOSED]


def test_kind_subject_and_time_are_the_id_of_a_request() -> None:
    asked = SubjectRequestStep("delete", "north", None, NOW, NOW + 180 * DAY, "open", {}, NOW, "ann")
    done = replace(asked, state="done", body={"rows": 3}, recorded_at=NOW + DAY)
    others = [replace(asked, kind="export"), replace(asked, tenant_id="south"), replace(asked, asked_at=NOW + DAY)]
    assert len({asked.id, replace(asked, subject=TOKEN).id, *(each.id for each in others)}) == 5
    assert asked.id == done.id


def test_a_sealed_value_is_not_printed() -> None:
    assert "AAAA" not in repr(RecordedCorrection("north", TOKEN, "phone", "1:AAAA", NOW, NOW, "ann"))
