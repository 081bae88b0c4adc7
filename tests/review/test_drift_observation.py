from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.pointers import Pointer
from minimize.policy.load import policy_from_mapping
from minimize.review.drift_observation import UnlistedValues, find_unlisted, listed_values


def test_values_come_from_maps_and_from_the_conditions_of_cases() -> None:
    fields = {
        "a": {"type": "string", "do": {"map": {"values": {"x": "1"}}}},
        "b": {"type": "boolean", "do": "drop"},
        "c": {"type": "string", "cases": [{"if": {"b": True, "a": ["y", "z"]}, "do": "keep"}]},
    }
    policy = policy_from_mapping({"policy": "p", "version": 1, "purposes": ["operations"], "fields": fields})
    assert listed_values(policy) == {"a": {"x", "y", "z"}, "b": {"true"}}


@given(st.lists(st.none() | st.sampled_from("abcd")))
def test_records_with_a_value_that_is_not_listed_are_counted(values: list[str | None]) -> None:
    strange = [value for value in values if value not in (None, "a", "b")]
    for kind in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        records = pa.record_batch({"f": pa.array(values, pa.string()).cast(kind)})
        found = find_unlisted(records, Pointer.parse("f"), frozenset("ab"))
        assert (found.records, len(found.values)) == (len(strange), len(set(strange)))


def test_a_record_counts_once_however_many_elements_are_strange() -> None:
    records = pa.record_batch({"f": pa.array([["a", "x", "y"], ["x"], [], None])})
    found = find_unlisted(records, Pointer.parse("/f/*"), frozenset("a"))
    assert (found.records, set(found.values)) == (2, {"x", "y"})


def test_printed_it_shows_counts_alone() -> None:
    assert repr(UnlistedValues(2, frozenset({"secret"}))) == "UnlistedValues(records=2)"
