from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.definition import GroupKey, TimeUnit
from minimize.aggregates.dictionaries import (
    CombinationDictionary,
    GroupDictionary,
    time_run_starts,
    truncate_times,
)
from minimize.arrow.codes import IntegerTable

codes = st.integers(0, 3) | st.integers(0, 2**31 - 1)


def columns(rows: list[tuple[int, ...]], width: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array([row[place] for row in rows], np.int64) for place in range(width)]


@given(st.integers(0, 5).flatmap(lambda width: st.lists(st.tuples(*[codes] * width), min_size=1)), st.data())
def test_a_combination_has_one_code_in_the_order_in_which_it_came(
    rows: list[tuple[int, ...]], data: st.DataObject
) -> None:
    width, cut = len(rows[0]), data.draw(st.integers(0, len(rows)))
    seen, found = CombinationDictionary(width), list[int]()
    for part in (rows[:cut], rows[cut:]):
        found += seen.encode(columns(part, width), len(part)).tolist()
    distinct = list(dict.fromkeys(rows))
    assert found == [distinct.index(row) for row in rows]
    assert len(seen) == len(distinct)
    assert [column.tolist() for column in seen.columns()] == [column.tolist() for column in columns(distinct, width)]


def test_selected_combinations_are_returned_in_the_requested_order() -> None:
    seen = CombinationDictionary(3)
    seen.encode([np.array([1, 2, 3]), np.array([4, 5, 2**30]), np.array([7, 8, 9])], 3)
    assert [column.tolist() for column in seen.columns(np.array([2, 0]))] == [[3, 1], [2**30, 4], [9, 7]]


def test_a_column_whose_codes_grow_changes_no_code() -> None:
    seen = CombinationDictionary(2)
    first = seen.encode([np.arange(4), np.zeros(4, np.int64)], 4).tolist()
    seen.encode([np.array([2**20]), np.array([2**31 - 1])], 1)
    assert seen.encode([np.arange(4), np.zeros(4, np.int64)], 4).tolist() == first


def test_columns_for_which_a_table_would_be_too_large_keep_their_codes() -> None:
    seen, first = CombinationDictionary(3), [np.arange(50), np.arange(50) % 3, np.arange(50) % 2]
    before = seen.encode(first, 50).tolist()
    wide = [np.arange(40_000), np.arange(40_000) * 7 % 40_000, np.zeros(40_000, np.int64)]
    after = seen.encode(wide, 40_000)
    assert before == list(range(50))
    assert seen.encode(first, 50).tolist() == before
    assert np.array_equal(seen.encode(wide, 40_000), after)
    assert [column.tolist() for column in seen.columns(after)] == [column.tolist() for column in wide]


def test_one_column_twice_is_two_columns() -> None:
    seen, column = CombinationDictionary(2), np.array([3, 1, 3])
    assert seen.encode([column, column], 3).tolist() == [0, 1, 0]
    assert [found.tolist() for found in seen.columns()] == [[3, 1], [3, 1]]


def book() -> GroupDictionary:
    return GroupDictionary([GroupKey("model", pa.string()), GroupKey("size", pa.int64())])


def encoded(groups: GroupDictionary, models: Sequence[str | None], sizes: Sequence[int]) -> list[int]:
    columns = [groups.encode_key(0, pa.array(models, pa.string())), groups.encode_key(1, pa.array(sizes))]
    return list(groups.encode(columns, len(models)).tolist())


def test_a_combination_has_one_code_over_all_batches() -> None:
    groups = book()
    first = encoded(groups, ["a", "a", None, "a"], [1, 2, 1, 1])
    assert first[0] == first[3]
    assert len(set(first)) == len(groups) == 3
    assert encoded(groups, ["b", "a", None], [1, 2, 1])[1:] == [first[1], first[2]]
    assert len(groups) == 4


def test_only_combinations_that_are_seen_are_groups() -> None:
    groups = book()
    encoded(groups, ["a", "b", "c"], [1, 2, 3])
    assert [column.to_pylist() for column in groups.columns()] == [["a", "b", "c"], [1, 2, 3]]


def test_more_combinations_than_a_table_holds_are_found_all_the_same() -> None:
    groups, count = book(), 3000
    sizes = list(range(count))
    assert encoded(groups, [str(size) for size in sizes], sizes) == sizes
    assert groups.columns()[1].to_pylist() == sizes


def test_another_books_groups_are_translated() -> None:
    ours, theirs = book(), book()
    ours_codes, theirs_codes = encoded(ours, ["a", "b"], [1, 2]), encoded(theirs, ["c", "b"], [3, 2])
    translated = ours.merge(theirs)
    assert translated[theirs_codes[1]] == ours_codes[1]
    assert ours.columns()[0].to_pylist()[translated[theirs_codes[0]]] == "c"


def test_without_keys_everything_is_one_group() -> None:
    groups = GroupDictionary([])
    assert len(groups) == 0
    assert groups.encode([], 2).tolist() == [0, 0]
    assert len(groups) == 1
    assert np.array_equal(groups.merge(groups), [0])


@pytest.mark.parametrize(
    "type_", [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")]
)
@pytest.mark.parametrize(
    ("unit", "expected"),
    [("hour", "2026-11-25 23:00:00"), ("day", "2026-11-25 00:00:00"), ("week", "2026-11-23 00:00:00")],
)
def test_times_are_truncated_equally_in_every_resolution(type_: pa.DataType, unit: TimeUnit, expected: str) -> None:
    cut = truncate_times(pa.array(["2026-11-25 23:45:00"]).cast(pa.timestamp("s")).cast(type_), unit)
    assert cut.type == type_
    assert cut.cast(pa.timestamp("s")).cast(pa.string()).to_pylist() == [expected]


def test_times_of_another_zone_are_cut_in_utc() -> None:
    moment = datetime(2026, 11, 25, 1, 30, tzinfo=UTC)
    cut = truncate_times(pa.array([moment], pa.timestamp("us", "America/New_York")), "day")
    assert cut.cast(pa.timestamp("us", "UTC")).to_pylist() == [datetime(2026, 11, 25, tzinfo=UTC)]
    assert str(cut.type.tz) == "America/New_York"


def test_threads_share_one_code_and_another_process_has_its_own_book() -> None:
    groups, models, sizes = book(), [str(row % 70) for row in range(3000)], [row % 90 for row in range(3000)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: encoded(groups, models, sizes), range(4)))
    assert all(codes == found[0] for codes in found)
    assert groups.merge(groups).tolist() == list(range(len(groups)))
    sent = pickle.loads(pickle.dumps(groups))
    assert encoded(sent, models, sizes) == found[0]
    assert encoded(sent, ["new"], [1]) == [len(groups)]


def test_times_that_come_in_runs_have_the_codes_of_others() -> None:
    key = GroupKey("at", pa.timestamp("ms", "UTC"), "day")
    hours = pa.array(np.repeat(np.arange(20, 30), 40) * 3_600_000).cast(key.type)
    mixed = hours.take(pa.array(np.arange(400) * 7 % 400))
    for offset in (0, 30):
        groups = GroupDictionary([key])
        in_runs = groups.encode_key(0, hours.slice(offset)).tolist()
        assert in_runs == [1] * (160 - offset) + [2] * 240
        assert groups.encode_key(0, mixed).tolist() == [1 + int(row * 7 % 400 >= 160) for row in range(400)]


def test_times_without_runs_or_with_nulls_are_looked_at_one_by_one() -> None:
    times = pa.timestamp("s")
    assert time_run_starts(pa.array(range(100)).cast(times)) is None
    assert time_run_starts(pa.array([None] * 100, times)) is None
    assert time_run_starts(pa.array([1] * 100)) is None


SUBJECTS: list[tuple[pa.DataType, list[Any]]] = [
    (pa.string(), ["b", None, "a", "b"]),
    (pa.large_string(), ["b", None, "a", "b"]),
    (pa.binary(), [b"b", None, b"a", b"b"]),
    (pa.int64(), [7, None, 3, 7]),
    (pa.float64(), [0.0, None, 1.5, -0.0]),
]


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=5))
def test_an_integer_has_one_code_in_the_order_in_which_it_came(batches: list[list[int]]) -> None:
    known, distinct = IntegerTable(), list(dict.fromkeys(number for batch in batches for number in batch))
    for batch in batches:
        cells = max(batch, default=0) + 1
        assert known.codes(np.array(batch, np.int64), cells).tolist() == [distinct.index(number) for number in batch]
    assert known.values.tolist() == distinct
    assert len(known) == len(distinct)
