"""Conditions on columns: which rows meet them, and what statistics settle, on every type that can be compared."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import RefusedError
from minimize.server.filter import bind_condition
from minimize.server.request import parse_filter

TIMES = pa.timestamp("ms", "UTC")
NUMBERS = st.lists(st.integers(-5, 5) | st.none(), min_size=1, max_size=20)
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def mask(values: list[Any], type_: pa.DataType, said: Any, *, coded: bool = False) -> list[bool]:
    column = pa.array(values, type_)
    rule = bind_condition(parse_filter({"c": said})[0], type_)
    found = rule.mask(column.dictionary_encode() if coded else column)
    assert found.null_count == 0
    return [*found.to_pylist()]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("b", [False, True, False]),
        (["a", "z"], [True, False, False]),
        ({"!=": "a"}, [False, True, False]),
        ({">=": "b"}, [False, True, False]),
        (None, [False, False, True]),
        ([], [False, False, False]),
    ],
)
def test_texts(said: Any, expected: list[bool], coded: bool) -> None:
    assert mask(["a", "b", None], pa.string(), said, coded=coded) == expected


@pytest.mark.parametrize(
    ("values", "type_", "said", "expected"),
    [
        ([1, 2, None], pa.int32(), {">": 1}, [False, True, False]),
        ([1.5, float("nan"), None], pa.float64(), {"<": 2}, [True, False, False]),
        ([True, False, None], pa.bool_(), True, [True, False, False]),
        ([Decimal("1.50"), None], pa.decimal128(5, 2), "1.5", [True, False]),
        ([date(2026, 1, 2), None], pa.date32(), {"<=": date(2026, 1, 2)}, [True, False]),
        ([b"x", None], pa.binary(), b"x", [True, False]),
        ([datetime(2026, 1, 2, tzinfo=UTC), None], TIMES, "2026-01-02", [True, False]),
        ([datetime(2026, 1, 2, tzinfo=UTC), None], TIMES, {">": "2026-01-02T01:00:00+02:00"}, [True, False]),
    ],
)
def test_other_types(values: list[Any], type_: pa.DataType, said: Any, expected: list[bool]) -> None:
    assert mask(values, type_, said) == expected


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (pa.string(), 1),
        (pa.string(), True),
        (pa.int32(), "1"),
        (pa.int32(), 1.5),
        (pa.int8(), 1000),
        (pa.int32(), True),
        (pa.float64(), "1"),
        (pa.bool_(), 1),
        (pa.bool_(), {"<": True}),
        (pa.binary(), {">": b"x"}),
        (pa.binary(), "not base64!"),
        (pa.date32(), "soon"),
        (TIMES, 7),
        (TIMES, "2026-01-02T00:00:00"),
        (pa.decimal128(5, 2), "x"),
        (pa.decimal128(5, 2), True),
        (pa.decimal128(5, 2), "1.234"),
        (pa.list_(pa.string()), "a"),
        (pa.struct([("a", pa.string())]), None),
    ],
)
def test_what_does_not_fit_a_column_is_refused(type_: pa.DataType, said: Any) -> None:
    with pytest.raises(RefusedError) as error:
        bind_condition(parse_filter({"c": said})[0], type_)
    assert error.value.code == "B004"
    assert error.value.__context__ is None


@given(NUMBERS, OPERATORS, st.integers(-6, 6))
def test_no_row_that_meets_a_condition_is_left_out_by_statistics(
    values: list[int | None], operator: str, wanted: int
) -> None:
    column = pa.array(values, pa.int64())
    rule = bind_condition(parse_filter({"c": {operator: wanted}})[0], pa.int64())
    ends = pc.min_max(column)
    if ends["min"].is_valid and rule.mask(column).true_count:
        assert rule.may_match_range(ends["min"], ends["max"])


def test_statistics_settle_what_they_can() -> None:
    low, high = pa.scalar(3), pa.scalar(5)
    no = [{"==": 2}, {"<": 3}, {"<=": 2}, {">": 5}, {">=": 6}, {"in": [1, 6]}]
    yes = [{"==": 4}, {"<": 4}, {"<=": 3}, {">": 4}, {">=": 5}, {"in": [1, 3]}, {"!=": 3}]
    found = [
        bind_condition(parse_filter({"c": said})[0], pa.int64()).may_match_range(low, high) for said in (*no, *yes)
    ]
    assert found == [False] * len(no) + [True] * len(yes)
