"""The distinct pairs of tenant and subject."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimize.arrow.columns import (
    SubjectPairs,
    check_token_keys,
    column_microseconds,
    microsecond_bounds,
    nameable_mask,
    positions_among,
)
from minimize.arrow.dictionaries import valid_mask
from minimize.errors import KeyringError

KNOWN = pa.array(["a", "7"])
MANY = pa.array(["a", "7", *(f"t{number}" for number in range(100))])


@pytest.mark.parametrize("known", [KNOWN, MANY])
@pytest.mark.parametrize(
    "values",
    [
        pa.array(["7", "b", None, "a"]),
        pa.array(["7", "b", None, "a"], pa.large_string()),
        pa.array(["7", "b", None, "a"]).dictionary_encode(),
        pa.array(["7", "b", None, "a"]).dictionary_encode(null_encoding="encode"),
    ],
)
def test_values_are_found_in_every_layout(values: pa.Array, known: pa.Array) -> None:
    assert positions_among(values, known).tolist() == [1, -1, -1, 0]
    assert positions_among(values.slice(1, 3), known).tolist() == [-1, -1, 0]


def test_integers_are_found_in_decimal_and_other_types_nowhere() -> None:
    assert positions_among(pa.array([7, 70]), KNOWN).tolist() == [1, -1]
    assert positions_among(pa.array([7.0]), KNOWN).tolist() == [-1]


@pytest.mark.parametrize("known", [KNOWN, MANY])
@pytest.mark.parametrize("type_", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)])
def test_bytes_are_found_as_text(type_: pa.DataType, known: pa.Array) -> None:
    values = pa.array([b"7", b"b", None, b"\xff"], pa.binary()).cast(type_)
    assert (
        positions_among(values, known).tolist()
        == positions_among(values.dictionary_encode(), known).tolist()
        == [1, -1, -1, -1]
    )
    assert positions_among(pa.array([b"\xc3\xa9"]), pa.array(["é"])).tolist() == [0]


@pytest.mark.parametrize("type_", [pa.float64(), pa.bool_(), pa.timestamp("us")])
def test_values_that_settings_cannot_name_are_no_subjects(type_: pa.DataType) -> None:
    nobody = pa.array([1, None], pa.int64()).cast(type_)
    for values in (nobody, nobody.dictionary_encode()):
        found = nameable_mask(values)
        assert found is not None
        assert not found.any()
    assert nameable_mask(pa.array([1])) is None


@pytest.mark.parametrize(
    ("ticks", "type_", "expected"),
    [
        (1, pa.timestamp("s"), 1_000_000),
        (1, pa.timestamp("ms", "UTC"), 1_000),
        (1, pa.timestamp("us"), 1),
        (1_999, pa.timestamp("ns"), 1),
        (-1, pa.timestamp("ns"), -1),
        (1, pa.date32(), 86_400_000_000),
    ],
)
def test_times_are_whole_microseconds_rounded_down(ticks: int, type_: pa.DataType, expected: int) -> None:
    integer = pa.int32() if pa.types.is_date32(type_) else pa.int64()
    times = pa.array([ticks], integer).cast(type_)
    assert column_microseconds(times).tolist() == column_microseconds(times.dictionary_encode()).tolist() == [expected]


def test_bounds_are_the_first_and_the_last_time_without_nulls() -> None:
    for type_, second in (pa.timestamp("s"), 1), (pa.timestamp("ms", "UTC"), 1000), (pa.timestamp("ns"), 1_000_000_000):
        times = pa.array([3 * second, None, -second, 2 * second], pa.int64()).cast(type_)
        assert microsecond_bounds(times) == microsecond_bounds(times.dictionary_encode()) == (-1_000_000, 3_000_000)
        assert microsecond_bounds(times.drop_null()[2:]) == (2_000_000, 2_000_000)
        assert microsecond_bounds(times[1:2]) is microsecond_bounds(times[:0]) is None
    days = pa.array([None, 2, 1], pa.int32()).cast(pa.date32())
    assert microsecond_bounds(days) == (86_400_000_000, 2 * 86_400_000_000)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@given(ticks=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
@example(ticks=[-(2**63)])
def test_bounds_are_those_of_all_times(unit: str, ticks: list[int]) -> None:
    times = pa.array(ticks, pa.int64()).view(pa.timestamp(unit))
    every = column_microseconds(times).tolist()
    assert microsecond_bounds(times) == (min(every), max(every))


def test_times_beyond_what_microseconds_hold_stay_in_order() -> None:
    far = pa.array([-(2**62), 0, 2**62], pa.int64()).cast(pa.timestamp("s"))
    first, middle, last = column_microseconds(far).tolist()
    assert first < middle == 0 < last


def test_nulls_are_found_in_dictionaries_too() -> None:
    encoded = pa.array(["a", None]).dictionary_encode(null_encoding="encode")
    found = valid_mask(encoded)
    assert found is not None
    assert found.tolist() == [True, False]
    assert valid_mask(pa.array(["a"])) is None


@pytest.mark.parametrize("type_", [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ms")])
@pytest.mark.parametrize("sign", [1, -1])
def test_times_that_microseconds_do_not_reach_stay_far_away(type_: pa.DataType, sign: int) -> None:
    far = pa.array([sign * (2**31 - 1)], pa.int32()) if pa.types.is_date32(type_) else pa.array([sign * (2**62)])
    (found,) = column_microseconds(far.view(type_)).tolist()
    assert sign * found > 9_000_000_000_000_000_000


def test_a_date_of_milliseconds_counts_by_whole_days() -> None:
    assert column_microseconds(pa.array([-1, 86_400_001], pa.int64()).view(pa.date64())).tolist() == [
        -86_400_000_000,
        86_400_000_000,
    ]


TENANTS = pa.array(["a", "b", "a", None, "a", "a"])
SUBJECTS = pa.array(["1", "1", "2", "1", None, "1"])


@pytest.mark.parametrize("encoded", [False, True])
def test_each_pair_of_the_selected_tenants_is_listed_once_with_its_records(encoded: bool) -> None:
    tenants, subjects = (each.dictionary_encode() if encoded else each for each in (TENANTS, SUBJECTS))
    pairs = SubjectPairs.from_columns(tenants, subjects, {"a"})
    found = dict(zip(pairs.rows.tolist(), (pairs.names[place] for place in pairs.places), strict=True))
    assert found == {0: ("a", "1"), 2: ("a", "2"), 5: ("a", "1")}
    assert len(pairs.names) == 2


def test_numbers_are_spelled_as_settings_spell_them() -> None:
    assert SubjectPairs.from_columns(pa.array([7]), pa.array([42]), {"7"}).names == [("7", "42")]


def test_the_printed_pairs_hide_the_subjects() -> None:
    assert "1" not in repr(SubjectPairs.from_columns(TENANTS, SUBJECTS, {"a"}))


def test_a_key_that_is_missing_is_refused() -> None:
    check_token_keys({1}, {1: b"", 2: b""})
    with pytest.raises(KeyringError):
        check_token_keys({1, 2}, {1: b""})
