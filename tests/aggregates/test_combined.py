from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.dictionaries import CombinationDictionary

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


def test_some_combinations_are_told_in_the_order_asked() -> None:
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
