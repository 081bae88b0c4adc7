from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.policy.value_kinds import ENOUGH_VALUES, FEW_DISTINCT, ValueSummary, summarize_values

MANY = 2 * ENOUGH_VALUES


def test_values_nulls_and_distinct_ones_are_counted_over_all_columns() -> None:
    look = summarize_values([pa.array(["a", None, "b"]), pa.array(["b", "c"])])
    assert (look.values, look.nulls, look.distinct) == (4, 1, 3)


def test_a_dictionary_is_seen_by_what_its_rows_hold() -> None:
    held = pa.DictionaryArray.from_arrays(pa.array([0, 0, 0]), pa.array(["a", "ann@example.com"]))
    look = summarize_values([held])
    assert (look.distinct, look.kind) == (1, None)


@pytest.mark.parametrize(("others", "kind"), [(20, "email"), (30, None)])
def test_a_field_is_of_a_kind_where_four_of_five_distinct_values_are(others: int, kind: str | None) -> None:
    values = [f"p{number}@example.com" for number in range(80)] + [f"x{number}" for number in range(others)]
    assert summarize_values([pa.array(values)]).kind == kind


def test_whole_numbers_are_held_against_the_patterns() -> None:
    assert summarize_values([pa.array([1017006574951, 490154203237518, 356938035643809])]).kinds["imei"] >= 2 / 3


def test_nothing_but_nulls_is_empty() -> None:
    assert summarize_values([pa.array([None, None], pa.string())]).is_empty
    assert summarize_values([]) == ValueSummary(0, 0)


def test_of_few_values_nothing_is_said_of_how_many_are_distinct() -> None:
    look = summarize_values([pa.array(["a", "b", "c"])])
    assert look.is_thin
    assert not look.is_unique
    assert not look.is_few


def test_values_that_come_once_are_unique_and_values_that_come_again_are_few() -> None:
    assert summarize_values([pa.array([f"v{number}" for number in range(MANY)])]).is_unique
    assert summarize_values([pa.array([f"v{number % FEW_DISTINCT}" for number in range(MANY)])]).is_few


def test_several_words_are_prose_and_two_are_not() -> None:
    assert summarize_values([pa.array([f"the screen is black {number}" for number in range(MANY)])]).is_prose
    assert not summarize_values([pa.array([f"model {number}" for number in range(MANY)])]).is_prose


def test_a_text_is_told_by_what_it_could_be_read_as() -> None:
    assert summarize_values([pa.array(["1", "2"])]).reads == ("integer", "double")
    assert summarize_values([pa.array(["2026-11-24", "2026-11-25"])]).reads == ("date",)


def test_binary_values_of_the_length_of_a_uuid_or_hash_are_hashes() -> None:
    ids = [bytes((number * 37 + place * 11) % 256 for place in range(16)) for number in range(20)]
    assert summarize_values([pa.array(ids)]).kind == "hash"
    assert summarize_values([pa.array([b"\x89PNG", b"\x89PNG\x00"])]).kind is None


def test_no_value_is_in_a_look() -> None:
    assert "canary" not in repr(summarize_values([pa.array(["canary@example.com", "canary"])]))
