"""Values as words in the same order, and back.
Quantiles are shown if enough distinct subjects are on both sides of them, however the rows come.
"""

from __future__ import annotations

import pickle
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates import quantile_support
from minimize.aggregates.quantile_support import (
    SpilledValueCounts,
    ValueSubjects,
    from_ordered_words,
    to_ordered_words,
    word_count,
)
from minimize.spill import SpillSpace, ValueHasher


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


GROUPS = 3000


def medians(groups: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """The value that two of the three rows of each group have."""
    return [int(group % 2) for group in groups.tolist()]


def test_few_values_of_many_groups_are_cut_into_parts_and_counted_off() -> None:
    ranked, groups = SpilledValueCounts(SpillSpace(1 << 16), pa.int64()), np.arange(GROUPS)
    for value in (1, 0):
        ranked.add(groups, pa.array(np.full(GROUPS, value)), 1 + (groups + value + 1) % 2)
    sizes = [len(rows) for rows in ranked._counts.settle()]
    assert len(sizes) > 10
    assert max(sizes) < GROUPS
    asked = np.arange(1, GROUPS, 7)
    assert ranked.values_at(lambda totals: (totals + 1) // 2, asked).to_pylist() == medians(asked)


def test_parts_are_put_together_under_other_codes() -> None:
    ours, theirs = SpilledValueCounts(SpillSpace(0), pa.float64()), SpilledValueCounts(SpillSpace(0), pa.float64())
    ours.add(np.array([0, 1]), pa.array([2.5, -1.0]), np.array([1, 1]))
    theirs.add(np.array([0, 0, 1]), pa.array([3.5, 4.5, 0.5]), np.array([1, 1, 1]))
    merged = SpilledValueCounts.from_merge(ours, theirs, np.array([1, 2]))
    assert merged.values_at(lambda totals: totals, np.array([0, 1, 2])).to_pylist() == [2.5, 4.5, 0.5]
    assert merged.values_at(lambda totals: np.minimum(totals, 1), np.array([0, 1, 2, 3])).to_pylist() == [
        2.5,
        -1.0,
        0.5,
        None,
    ]


BELOW = 3
Row = tuple[int, int, int]
"""Group, value, subject."""
BOOK = [Decimal("5.5"), Decimal("-1.5"), Decimal("3.0"), Decimal("12.0")]
"""The value of each code: of no order."""
rows_ = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(-1, 6)), max_size=60)
results_ = st.tuples(*[st.none() | st.integers(0, 3)] * 4)


def _book(type_: pa.DataType) -> pa.Array:
    return pa.array(BOOK, pa.decimal128(8, 2)).cast(type_, safe=False)


def _filled(rows: list[Row], at_once: int) -> ValueSubjects:
    tally = ValueSubjects(BELOW)
    for start in range(0, len(rows), at_once):
        tally.add(*(np.array(column) for column in zip(*rows[start : start + at_once], strict=True)))
    return tally


def _literal(rows: list[Row], group: int, result: int | None, *, exact: bool) -> bool:
    if result is None:
        return False
    mine = [(BOOK[value], subject) for owner, value, subject in rows if owner == group and subject >= 0]
    aim = BOOK[result]
    sides = [
        {subject for value, subject in mine if value <= aim and (value == aim or not exact)},
        {subject for value, subject in mine if value >= aim and (value == aim or not exact)},
    ]
    return all(len(side) >= BELOW for side in sides)


@pytest.mark.parametrize(("waiting", "whole"), [(1 << 20, 63), (0, 63), (7, 7)])
@pytest.mark.parametrize("type_", [pa.float64(), pa.decimal128(8, 2)], ids=str)
@given(rows=rows_, more=rows_, results=results_, exact=st.booleans(), memory=st.sampled_from([None, 1 << 12]))
def test_support_is_that_of_all_rows_one_by_one(
    waiting: int,
    whole: int,
    type_: pa.DataType,
    rows: list[Row],
    more: list[Row],
    results: tuple[int | None, ...],
    exact: bool,
    memory: int | None,
) -> None:
    groups = np.arange(4)
    wanted = [_literal([*rows, *more], group, results[group], exact=exact) for group in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantile_support, "_MAX_WAITING_ROWS", waiting)
        patch.setattr(quantile_support, "_MIN_PAIR_BYTES", 0)
        patch.setattr(quantile_support, "_KEY_BITS", whole)
        tally = _filled(rows, 10)
        other = pickle.loads(
            pickle.dumps(
                _filled(
                    [(3 - group, 3 - value, 6 - subject if subject >= 0 else -1) for group, value, subject in more], 4
                )
            )
        )
        tally.merge(other, np.arange(4)[::-1], np.arange(4)[::-1], np.arange(7)[::-1])
        if memory is not None:
            hasher = ValueHasher(bytes(32))
            tally.spill(SpillSpace(memory), _book(type_), hasher(pa.array(np.arange(7))))
        found = _book(type_).take(pa.array(results, pa.int64()))
        for _ in range(2):
            assert tally.supported(groups, found, _book(type_), exact=exact).tolist() == wanted


def test_rows_of_a_value_that_enough_subjects_have_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantile_support, "_MAX_WAITING_ROWS", 0)
    monkeypatch.setattr(quantile_support, "_MIN_PAIR_BYTES", 0)
    tally = ValueSubjects(BELOW)
    sizes = []
    for start in range(0, 4000, 1000):
        tally.add(np.zeros(1000, np.int64), np.zeros(1000, np.int64), np.arange(start, start + 1000))
        sizes.append(tally.nbytes)
    assert len(set(sizes)) == 1
    assert tally.supported(np.array([0]), pa.array([1.5]), pa.array([1.5]), exact=True).tolist() == [True]
