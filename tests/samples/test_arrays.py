"""JSON lines from whole columns.
Columns of generated values.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minimize_samples import arrays
from minimize_samples.arrays import pool_values, timestamp_array

POOL = pa.StructArray.from_arrays([pa.array(["a", "b"]), pa.array([1, 2])], names=["x", "y"])
APPS = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int32()), POOL)


def read(columns: dict[str, pa.Array]) -> list[Any]:
    return [json.loads(line) for line in arrays.json_objects(columns).to_pylist()]


def test_a_null_value_is_an_absent_member() -> None:
    assert read({"a": pa.array(["x", None]), "b": pa.array([1, 2])}) == [{"a": "x", "b": 1}, {"b": 2}]


@pytest.mark.parametrize("count", [0, 2])
def test_lists_of_structs_of_a_dictionary_can_all_be_null(count: int) -> None:
    lists = pa.nulls(count, pa.list_(APPS.type))
    assert read({"a": pa.array(["x"] * count), "b": lists}) == [{"a": "x"}] * count
    assert arrays.decode_dictionaries(lists).to_pylist() == [None] * count


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([True, None]), [{"k": True}, {}]),
        (pa.array([1.5, None]), [{"k": 1.5}, {}]),
        (timestamp_array(np.array([1_764_000_000_123])), [{"k": "2025-11-24T16:00:00.123Z"}]),
        (pa.array([date(2026, 11, 24)]), [{"k": "2026-11-24"}]),
        (pa.array([["a", "b"], [], None]), [{"k": ["a", "b"]}, {"k": []}, {}]),
        (pa.array([{"x": "a", "y": None}, None]), [{"k": {"x": "a"}}, {}]),
        (pool_values(['a"b\\'], np.array([0])), [{"k": 'a"b\\'}]),
        (pool_values([[("s", "t")]], np.array([0]), type=pa.map_(pa.string(), pa.string())), [{"k": {"s": "t"}}]),
        (pa.ListArray.from_arrays([0, 2], APPS), [{"k": [{"x": "b", "y": 2}, {"x": "a", "y": 1}]}]),
    ],
)
def test_each_type_reads_back(values: pa.Array, expected: list[Any]) -> None:
    assert read({"k": values}) == expected


def test_lists_of_dictionaries_are_decoded() -> None:
    decoded = arrays.decode_dictionaries(pa.ListArray.from_arrays([0, 2, 3], APPS))
    assert decoded.type == pa.list_(POOL.type)
    assert decoded.to_pylist()[1] == [{"x": "b", "y": 2}]


def test_dictionaries_in_structs_are_decoded() -> None:
    struct = pa.StructArray.from_arrays([pool_values(["a"], np.array([0, 0]))], names=["x"])
    decoded = arrays.decode_dictionaries(struct.take(pa.array([0, None])))
    assert decoded.type == pa.struct([("x", pa.string())])
    assert decoded.to_pylist() == [{"x": "a"}, None]


def test_a_part_of_a_column_of_lists_is_that_part() -> None:
    part = pa.ListArray.from_arrays([0, 2, 3], APPS).take(pa.array([1, None]))
    assert read({"k": part}) == [{"k": [{"x": "b", "y": 2}]}, {}]
    assert arrays.decode_dictionaries(part).to_pylist() == [[{"x": "b", "y": 2}], None]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_of_a_pool_reads_back(values: list[str]) -> None:
    made = read({'k"y': pool_values(values, np.arange(len(values)))})
    assert [record['k"y'] for record in made] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_any_double_reads_back(values: list[float]) -> None:
    assert [float(record["k"]) for record in read({"k": pa.array(values)})] == values


@pytest.fixture(name="random")
def _random() -> arrays.Random:
    return np.random.default_rng(1)


def test_guids_are_of_version_4_and_distinct(random: arrays.Random) -> None:
    made = arrays.guids(random, 500).to_pylist()
    assert len(set(made)) == 500
    assert {UUID(text).version for text in made} == {4}
    assert all(str(UUID(text)) == text for text in made)


def test_imeis_are_of_the_test_range_and_end_in_their_check_digit(random: arrays.Random) -> None:
    made = arrays.imeis(random, 200).to_pylist()
    assert all(re.fullmatch("00101700[0-9]{7}", text) for text in made)
    assert all(_luhn(text) for text in made)


def test_macs_are_locally_administered(random: arrays.Random) -> None:
    assert all(re.fullmatch("02(:[0-9a-f]{2}){5}", text) for text in arrays.macs(random, 100).to_pylist())


def test_serial_numbers_are_as_long_as_asked(random: arrays.Random) -> None:
    assert {len(text) for text in arrays.serials(random, 50, 16).to_pylist()} == {16}


def test_a_million_imeis_differ(random: arrays.Random) -> None:
    assert len(arrays.imeis(random, 1_000_000).unique()) == 1_000_000


def test_sim_cards_are_of_a_country_code_that_is_not_assigned(random: arrays.Random) -> None:
    made = arrays.iccids(random, 200).to_pylist()
    assert all(re.fullmatch("89999[0-9]{14}", text) for text in made)
    assert all(_luhn(text) for text in made)


@pytest.mark.parametrize(("number", "digits"), [(7_992_739_871, "79927398713"), (0, "00000000000")])
def test_the_check_digit_is_that_of_the_published_example(number: int, digits: str) -> None:
    assert arrays.with_check_digit("", np.array([number]), 10).to_pylist() == [digits]


def test_secrets_differ(random: arrays.Random) -> None:
    made = arrays.secrets(random, 500).to_pylist()
    assert len(set(made)) == 500
    assert {len(text) for text in made} == {24}


def test_spread_picks_have_their_shares_among_the_first_hundred(random: arrays.Random) -> None:
    counts = np.bincount(arrays.evenly_spread_codes(random, 100, (50, 30, 20), 2**0.5))
    assert np.abs(counts - (50, 30, 20)).max() <= 3


def test_ordinals_count_earlier_rows_of_a_group() -> None:
    assert arrays.ordinals_in_group(np.array([7, 3, 7, 7, 3])).tolist() == [0, 0, 1, 2, 1]
    assert arrays.ordinals_in_group(np.array([], np.int64)).tolist() == []


def test_negative_places_are_null() -> None:
    assert arrays.take_or_null(pa.array(["a", "b"]), np.array([1, -1, 0])).to_pylist() == ["b", None, "a"]


def test_skewed_picks_prefer_the_first_and_stay_in_the_pool(random: arrays.Random) -> None:
    counts = np.bincount(arrays.random_codes(random, 5000, 10, 1.2), minlength=10)
    assert len(counts) == 10
    assert counts[0] > counts[9] > 0


def test_only_leaves_nulls_elsewhere() -> None:
    assert arrays.null_unless(pa.array(["a", "b"]), np.array([False, True])).to_pylist() == [None, "b"]


def _luhn(text: str) -> bool:
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(text))]
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0
