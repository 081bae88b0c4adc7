"""Values as words in the same order, and back."""

from __future__ import annotations

from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates.quantile_support import from_ordered_words, to_ordered_words, word_count


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    near = st.sampled_from([0, 1, -1, 2**63, -(2**63), 2**64, 2**64 - 1, -(2**64), 2**116, 2**116 + 1])
    whole = st.integers(-(10**digits) + 1, 10**digits - 1) | near.filter(lambda number: abs(number) < 10**digits)
    return whole.map(lambda number: Decimal(number).scaleb(-scale, Context(prec=99)))


KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.timestamp("ns", "UTC"), st.integers(-(2**63), 2**63 - 1)),
    (pa.decimal32(9, 3), decimals(9, 3)),
    (pa.decimal128(38, 4), decimals(38, 4)),
    (pa.decimal256(70, 0), decimals(70, 0)),
]


@pytest.mark.parametrize(("type_", "values"), KINDS, ids=[str(type_) for type_, _ in KINDS])
@given(st.data())
def test_words_are_in_the_order_of_the_values_and_come_back(
    type_: pa.DataType, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    drawn = sorted(data.draw(st.lists(values, min_size=1, max_size=20)))
    column = pa.array(drawn, type_)
    words = to_ordered_words(column.slice(1))
    assert words.shape == (len(column) - 1, word_count(type_))
    rows = [tuple(row) for row in words.tolist()]
    same = [first == second for first, second in pairwise(drawn[1:])]
    for (first, second), equal in zip(pairwise(rows), same, strict=True):
        assert first == second if equal else first < second
    assert from_ordered_words(words, type_).equals(
        pc.add(column.slice(1), 0) if pa.types.is_floating(type_) else column.slice(1)
    )


def test_nan_is_one_value_above_all() -> None:
    low, high = np.sort(to_ordered_words(pa.array([float("inf"), float("nan")]))[:, 0]).tolist()
    assert to_ordered_words(pa.array([float("nan")]))[0, 0] == high > low
    assert from_ordered_words(np.array([[high]], np.uint64), pa.float64()).to_pylist() != [float("inf")]


@pytest.mark.parametrize("number", [0, 5, 2**63, -(2**64), 2**64 + 2**13, 2**115 + 2**63, -(2**115) - 2**63, 2**116])
def test_the_first_word_of_a_decimal_tells_about_how_large_it_is(number: int) -> None:
    words = to_ordered_words(pa.array([Decimal(number)], pa.decimal128(38, 0)))
    assert words[0, 0] == to_ordered_words(pa.array([float(number)]))[0, 0]
