"""Subjects of the ledger recognized in batches, and the event time up to which their rows are removed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.datasets.affected_subjects import (
    AffectedSubjects,
    RecognizedForms,
    _forms_in_file,
    form_tokens,
    recognize_tokens,
)
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.datasets.record_age import Moments
from minimize.keys import Keyring, add_key, new_keyring
from minimize.stages.identifier_forms import AS_RECEIVED, LookupColumn
from minimize.times import epoch_microseconds
from tests.governance.columns import PlainColumn

AT = datetime(2026, 5, 1, tzinfo=UTC)

TENANT, SUBJECT = (LookupColumn(Pointer((name,)), PlainColumn()) for name in ("tenant", "subject"))


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "test.keys", now=AT)


def left(keys: Keyring, tenant: str, subject: str, way: str = AS_RECEIVED) -> RetentionEvent:
    return RetentionEvent(tenant, "subject_left", AT, token=subject, forms={way: form_tokens(keys, tenant, [subject])})


def batches(*rows: tuple[Any, Any], type_: pa.DataType | None = None) -> Any:
    tenants, subjects = pa.array([row[0] for row in rows]), pa.array([row[1] for row in rows], type_)
    batch = pa.record_batch({"tenant": tenants, "subject": subjects})

    def read(columns: Collection[str]) -> list[pa.RecordBatch]:
        return [batch.slice(0, 1), batch.slice(1)]

    return read


def test_a_form_is_recognized_by_its_token_only_under_its_own_tenant(keys: Keyring) -> None:
    event = left(keys, "north", "d1")
    there = batches(("north", "d1"), ("south", "d2"), ("north", None), (None, "d1"))
    assert recognize_tokens([event], TENANT, SUBJECT, there, keys) == {
        event: RecognizedForms(frozenset({"d1"}), is_complete=True)
    }
    elsewhere = batches(("south", "d1"), ("north", "d2"))
    assert recognize_tokens([event], TENANT, SUBJECT, elsewhere, keys) == {event: RecognizedForms(is_complete=True)}


ROWS = st.lists(st.tuples(st.sampled_from(["north", "south", "east", None]), st.sampled_from(["d1", "d2", "d3", None])))


@given(ROWS, st.booleans(), st.booleans())
def test_subjects_are_found_only_under_their_own_tenant_in_texts_and_dictionaries(
    rows: list[tuple[str | None, str | None]], coded: bool, whole: bool
) -> None:
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in (0, 1)]
    null = {"null_encoding": "encode" if whole else "mask"}
    arrays = [pc.dictionary_encode(each, **null) if coded else each for each in columns]
    batch = pa.record_batch(arrays, names=["tenant", "subject"])
    found = _forms_in_file(TENANT, SUBJECT, ["north", "south", "west"], lambda _: [batch, batch])
    assert found == {
        name: {who for whose, who in rows if whose == name and who is not None} for name in ("north", "south", "west")
    }
    everybody = _forms_in_file(None, SUBJECT, ["north"], lambda _: [batch])
    assert everybody == {"north": {who for _, who in rows if who is not None}}


def test_a_tenant_repeated_in_a_dictionary_is_one_tenant() -> None:
    tenants = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["north", "north"]))
    batch = pa.record_batch([tenants, pa.array(["d1", "d2", "d3"])], names=["tenant", "subject"])
    assert _forms_in_file(TENANT, SUBJECT, ["north"], lambda _: [batch]) == {"north": {"d1", "d2", "d3"}}


def test_nothing_is_read_for_events_whose_subjects_have_no_form_there(keys: Keyring) -> None:
    event = left(keys, "north", "d1", way="another")

    def unread(columns: Collection[str]) -> list[pa.RecordBatch]:
        raise AssertionError

    assert recognize_tokens([event], TENANT, SUBJECT, unread, keys) == {event: RecognizedForms()}


def test_where_tenants_are_not_shown_every_subject_is_held_against_it(keys: Keyring) -> None:
    event = left(keys, "north", "d1")
    found = recognize_tokens([event], None, SUBJECT, batches(("south", "d1"), ("south", "d2")), keys)
    assert found[event].forms == {"d1"}


def test_the_same_form_of_another_tenant_has_another_token(keys: Keyring) -> None:
    assert form_tokens(keys, "north", ["d1"]) != form_tokens(keys, "south", ["d1"])


def test_tokens_of_an_older_key_are_known(keys: Keyring) -> None:
    event = left(keys, "north", "d1")
    add_key(keys.path, "subject", now=AT)
    newer = Keyring.load(keys.path)
    both = [event, left(newer, "north", "d2")]
    found = recognize_tokens(both, TENANT, SUBJECT, batches(("north", "d1"), ("north", "d2")), newer)
    assert [found[each].forms for each in both] == [{"d1"}, {"d2"}]


def test_a_form_unknown_to_the_event_is_reported_as_incomplete(keys: Keyring) -> None:
    event = left(keys, "north", "d1", way="another")
    assert recognize_tokens([event], TENANT, SUBJECT, batches(("north", "d1"), ("north", "d2")), keys) == {
        event: RecognizedForms()
    }


@pytest.mark.parametrize("type_", [pa.int64(), pa.binary(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_numbers_bytes_and_dictionaries_are_compared_as_they_are_written(keys: Keyring, type_: pa.DataType) -> None:
    event = left(keys, "north", "17")
    values: list[Any] = [17, 18] if type_ == pa.int64() else [b"17", b"\xff"] if type_ == pa.binary() else ["17", "18"]
    there = batches(*(("north", value) for value in values), type_=type_)
    assert recognize_tokens([event], TENANT, SUBJECT, there, keys)[event].forms == {"17"}


def test_events_of_a_file_and_of_tenants_need_no_token(keys: Keyring) -> None:
    events = [RetentionEvent("north", "subject_left", AT, "d1"), RetentionEvent("north", "tenant_closed", AT)]
    assert recognize_tokens(events, TENANT, SUBJECT, batches(("north", "d1"), ("north", "d2")), keys) == {}
    assert recognize_tokens([left(keys, "north", "d1")], TENANT, None, batches(), keys) == {}


BATCH = pa.record_batch(
    {"tenant": ["north", "north", "south", None, "north"], "subject": ["d1", "d2", "d1", "d1", None]}
)

EARLY = np.full(5, epoch_microseconds(AT) - 1)

LEFT = RetentionEvent("north", "subject_left", AT, "d1")

CLOSED = RetentionEvent("north", "tenant_closed", AT)


def concerned(whose: AffectedSubjects, oldest: Moments = EARLY) -> list[bool]:
    return [bool(each) for each in whose.affects(BATCH, oldest)]


def test_a_subject_event_removes_its_rows_and_a_tenant_event_all_rows() -> None:
    assert concerned(AffectedSubjects.for_file([LEFT], TENANT, SUBJECT)) == [True, False, False, False, False]
    assert concerned(AffectedSubjects.for_file([CLOSED], TENANT, SUBJECT)) == [True, True, False, False, True]
    assert concerned(AffectedSubjects.for_file([], TENANT, SUBJECT)) == [False] * 5


def test_without_a_tenant_column_a_subject_is_removed_from_all_rows() -> None:
    assert concerned(AffectedSubjects.for_file([LEFT], None, SUBJECT)) == [True, False, True, True, False]


def test_later_records_than_the_event_stay() -> None:
    late = EARLY + np.array([2, 0, 0, 0, 0])
    assert concerned(AffectedSubjects.for_file([LEFT], TENANT, SUBJECT), late) == [False] * 5
    exactly = EARLY + np.array([1, 0, 0, 0, 0])
    assert concerned(AffectedSubjects.for_file([LEFT], TENANT, SUBJECT), exactly)[0]


def test_of_two_events_the_later_counts() -> None:
    sooner = RetentionEvent("north", "reset", datetime(2026, 4, 1, tzinfo=UTC), "d1")
    assert concerned(AffectedSubjects.for_file([LEFT, sooner], TENANT, SUBJECT))[0]


def test_the_later_of_subject_and_tenant_event_decides() -> None:
    sooner = RetentionEvent("north", "tenant_closed", datetime(2026, 4, 1, tzinfo=UTC))
    assert concerned(AffectedSubjects.for_file([LEFT, sooner], TENANT, SUBJECT)) == [True, False, False, False, False]
    before = RetentionEvent("north", "subject_left", datetime(2026, 4, 1, tzinfo=UTC), "d1")
    assert concerned(AffectedSubjects.for_file([before, CLOSED], TENANT, SUBJECT)) == [True, True, False, False, True]


def test_texts_and_dictionaries_give_the_same_result() -> None:
    coded = pa.record_batch([column.dictionary_encode() for column in BATCH.columns], names=BATCH.schema.names)
    for events in ([LEFT], [CLOSED], [LEFT, CLOSED]):
        whose = AffectedSubjects.for_file(events, TENANT, SUBJECT)
        assert whose.affects(coded, EARLY).tolist() == concerned(whose)


def test_events_are_split_into_findable_and_unfindable_subjects() -> None:
    whose = AffectedSubjects.for_file([LEFT, CLOSED], None, SUBJECT)
    assert (whose.unfindable, whose.findable) == ((CLOSED,), (LEFT,))
    assert AffectedSubjects.for_file([LEFT], TENANT, None).unfindable == (LEFT,)


def test_a_recorded_subject_is_removed_in_its_recognized_forms() -> None:
    event = RetentionEvent("north", "subject_left", AT, token="subject/1:0")
    whose = AffectedSubjects.for_file([event], TENANT, SUBJECT, {event: RecognizedForms(frozenset({"d2"}))})
    assert concerned(whose) == [False, True, False, False, False]
    assert (whose.uncertain, whose.findable, whose.subject_values) == ((event,), (event,), ["d2"])
    sure = AffectedSubjects.for_file([event], TENANT, SUBJECT, {event: RecognizedForms(is_complete=True)})
    assert (sure.uncertain, sure.findable, sure.unfindable) == ((), (), ())


def test_a_record_with_several_subjects_is_removed_with_any_of_them() -> None:
    batch = pa.record_batch({"tenant": ["north", "north"], "subject": [["d2", "d1"], ["d2"]]})
    listed = LookupColumn(Pointer.parse("/subject/*"), PlainColumn())
    assert AffectedSubjects.for_file([LEFT], TENANT, listed).affects(batch, EARLY[:2]).tolist() == [True, False]
