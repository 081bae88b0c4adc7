"""Whose rows go, and up to which event time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from minimize.governance.retention.clock import Moments
from minimize.governance.retention.events import Event
from minimize.governance.retention.recompute import AsItComes
from minimize.governance.retention.whose import Found, Named, Whose
from minimize.pointer import Pointer
from minimize.settings.rows import microseconds_of

AT = datetime(2026, 5, 1, tzinfo=UTC)
TENANT, SUBJECT = (Named(Pointer((name,)), AsItComes()) for name in ("tenant", "subject"))
BATCH = pa.record_batch(
    {"tenant": ["north", "north", "south", None, "north"], "subject": ["d1", "d2", "d1", "d1", None]}
)
EARLY = np.full(5, microseconds_of(AT) - 1)
LEFT = Event("north", "subject_left", AT, "d1")
CLOSED = Event("north", "tenant_closed", AT)


def concerned(whose: Whose, oldest: Moments = EARLY) -> list[bool]:
    return [bool(each) for each in whose.concerns(BATCH, oldest)]


def test_a_subject_goes_from_its_own_tenant_and_a_tenant_whole() -> None:
    assert concerned(Whose.of([LEFT], TENANT, SUBJECT)) == [True, False, False, False, False]
    assert concerned(Whose.of([CLOSED], TENANT, SUBJECT)) == [True, True, False, False, True]
    assert concerned(Whose.of([], TENANT, SUBJECT)) == [False] * 5


def test_where_tenants_are_not_shown_a_subject_goes_from_all() -> None:
    assert concerned(Whose.of([LEFT], None, SUBJECT)) == [True, False, True, True, False]


def test_what_happened_after_the_event_stays() -> None:
    late = EARLY + np.array([2, 0, 0, 0, 0])
    assert concerned(Whose.of([LEFT], TENANT, SUBJECT), late) == [False] * 5
    exactly = EARLY + np.array([1, 0, 0, 0, 0])
    assert concerned(Whose.of([LEFT], TENANT, SUBJECT), exactly)[0]


def test_of_two_events_the_later_counts() -> None:
    sooner = Event("north", "reset", datetime(2026, 4, 1, tzinfo=UTC), "d1")
    assert concerned(Whose.of([LEFT, sooner], TENANT, SUBJECT))[0]


def test_a_subject_goes_by_its_own_event_or_its_tenants_whichever_reaches_further() -> None:
    sooner = Event("north", "tenant_closed", datetime(2026, 4, 1, tzinfo=UTC))
    assert concerned(Whose.of([LEFT, sooner], TENANT, SUBJECT)) == [True, False, False, False, False]
    before = Event("north", "subject_left", datetime(2026, 4, 1, tzinfo=UTC), "d1")
    assert concerned(Whose.of([before, CLOSED], TENANT, SUBJECT)) == [True, True, False, False, True]


def test_texts_and_their_dictionaries_are_judged_alike() -> None:
    coded = pa.record_batch([column.dictionary_encode() for column in BATCH.columns], names=BATCH.schema.names)
    for events in ([LEFT], [CLOSED], [LEFT, CLOSED]):
        whose = Whose.of(events, TENANT, SUBJECT)
        assert whose.concerns(coded, EARLY).tolist() == concerned(whose)


def test_who_cannot_be_found_is_lost_and_who_can_is_named() -> None:
    whose = Whose.of([LEFT, CLOSED], None, SUBJECT)
    assert (whose.lost, whose.named) == ((CLOSED,), (LEFT,))
    assert Whose.of([LEFT], TENANT, None).lost == (LEFT,)


def test_a_subject_of_the_ledger_goes_in_the_forms_in_which_it_was_recognized() -> None:
    event = Event("north", "subject_left", AT, token="subject/1:0")
    whose = Whose.of([event], TENANT, SUBJECT, {event: Found(frozenset({"d2"}))})
    assert concerned(whose) == [False, True, False, False, False]
    assert (whose.unsure, whose.named, whose.values) == ((event,), (event,), ["d2"])
    sure = Whose.of([event], TENANT, SUBJECT, {event: Found(whole=True)})
    assert (sure.unsure, sure.named, sure.lost) == ((), (), ())


def test_a_record_with_several_subjects_goes_with_any_of_them() -> None:
    batch = pa.record_batch({"tenant": ["north", "north"], "subject": [["d2", "d1"], ["d2"]]})
    listed = Named(Pointer.parse("/subject/*"), AsItComes())
    assert Whose.of([LEFT], TENANT, listed).concerns(batch, EARLY[:2]).tolist() == [True, False]
