"""Whose rows go, and up to which event time."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from minimize.arrow.pointers import Pointer
from minimize.datasets.affected_subjects import AffectedSubjects, RecognizedForms
from minimize.datasets.event_times import Moments
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.stages.identifier_forms import LookupColumn
from minimize.times import epoch_microseconds
from tests.governance.columns import PlainColumn

AT = datetime(2026, 5, 1, tzinfo=UTC)
TENANT, SUBJECT = (LookupColumn(Pointer((name,)), PlainColumn()) for name in ("tenant", "subject"))
BATCH = pa.record_batch(
    {"tenant": ["north", "north", "south", None, "north"], "subject": ["d1", "d2", "d1", "d1", None]}
)
EARLY = np.full(5, epoch_microseconds(AT) - 1)
LEFT = RetentionEvent("north", "subject_left", AT, "d1")
CLOSED = RetentionEvent("north", "tenant_closed", AT)


def concerned(whose: AffectedSubjects, oldest: Moments = EARLY) -> list[bool]:
    return [bool(each) for each in whose.affects(BATCH, oldest)]


def test_a_subject_goes_from_its_own_tenant_and_a_tenant_whole() -> None:
    assert concerned(AffectedSubjects.for_file([LEFT], TENANT, SUBJECT)) == [True, False, False, False, False]
    assert concerned(AffectedSubjects.for_file([CLOSED], TENANT, SUBJECT)) == [True, True, False, False, True]
    assert concerned(AffectedSubjects.for_file([], TENANT, SUBJECT)) == [False] * 5


def test_where_tenants_are_not_shown_a_subject_goes_from_all() -> None:
    assert concerned(AffectedSubjects.for_file([LEFT], None, SUBJECT)) == [True, False, True, True, False]


def test_what_happened_after_the_event_stays() -> None:
    late = EARLY + np.array([2, 0, 0, 0, 0])
    assert concerned(AffectedSubjects.for_file([LEFT], TENANT, SUBJECT), late) == [False] * 5
    exactly = EARLY + np.array([1, 0, 0, 0, 0])
    assert concerned(AffectedSubjects.for_file([LEFT], TENANT, SUBJECT), exactly)[0]


def test_of_two_events_the_later_counts() -> None:
    sooner = RetentionEvent("north", "reset", datetime(2026, 4, 1, tzinfo=UTC), "d1")
    assert concerned(AffectedSubjects.for_file([LEFT, sooner], TENANT, SUBJECT))[0]


def test_a_subject_goes_by_its_own_event_or_its_tenants_whichever_reaches_further() -> None:
    sooner = RetentionEvent("north", "tenant_closed", datetime(2026, 4, 1, tzinfo=UTC))
    assert concerned(AffectedSubjects.for_file([LEFT, sooner], TENANT, SUBJECT)) == [True, False, False, False, False]
    before = RetentionEvent("north", "subject_left", datetime(2026, 4, 1, tzinfo=UTC), "d1")
    assert concerned(AffectedSubjects.for_file([before, CLOSED], TENANT, SUBJECT)) == [True, True, False, False, True]


def test_texts_and_their_dictionaries_are_judged_alike() -> None:
    coded = pa.record_batch([column.dictionary_encode() for column in BATCH.columns], names=BATCH.schema.names)
    for events in ([LEFT], [CLOSED], [LEFT, CLOSED]):
        whose = AffectedSubjects.for_file(events, TENANT, SUBJECT)
        assert whose.affects(coded, EARLY).tolist() == concerned(whose)


def test_who_cannot_be_found_is_lost_and_who_can_is_named() -> None:
    whose = AffectedSubjects.for_file([LEFT, CLOSED], None, SUBJECT)
    assert (whose.unfindable, whose.findable) == ((CLOSED,), (LEFT,))
    assert AffectedSubjects.for_file([LEFT], TENANT, None).unfindable == (LEFT,)


def test_a_subject_of_the_ledger_goes_in_the_forms_in_which_it_was_recognized() -> None:
    event = RetentionEvent("north", "subject_left", AT, token="subject/1:0")
    whose = AffectedSubjects.for_file([event], TENANT, SUBJECT, {event: RecognizedForms(frozenset({"d2"}))})
    assert concerned(whose) == [False, True, False, False, False]
    assert (whose.uncertain, whose.findable, whose.subject_values) == ((event,), (event,), ["d2"])
    sure = AffectedSubjects.for_file([event], TENANT, SUBJECT, {event: RecognizedForms(is_complete=True)})
    assert (sure.uncertain, sure.findable, sure.unfindable) == ((), (), ())


def test_a_record_with_several_subjects_goes_with_any_of_them() -> None:
    batch = pa.record_batch({"tenant": ["north", "north"], "subject": [["d2", "d1"], ["d2"]]})
    listed = LookupColumn(Pointer.parse("/subject/*"), PlainColumn())
    assert AffectedSubjects.for_file([LEFT], TENANT, listed).affects(batch, EARLY[:2]).tolist() == [True, False]
