"""Quantiles are shown if enough distinct subjects are on both sides of them, however the rows come."""

from __future__ import annotations

import pickle
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.aggregates import quantile_support
from minimize.aggregates.quantile_support import ValueSubjects
from minimize.spill import SpillSpace, ValueHasher

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
