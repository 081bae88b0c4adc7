"""The data frame accessor."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import minimize.pandas
from minimize.errors import SchemaError
from minimize.policy.load import policy_from_mapping

POLICY = policy_from_mapping(
    {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "fields": {"version": {"type": "string", "do": {"truncate_version": {"parts": 1}}}},
    }
)


def test_a_frame_minimizes_itself() -> None:
    frame: Any = pd.DataFrame({"name": ["Ann"], "version": ["10.4"]})
    assert frame.minimize(POLICY).to_dict("list") == {"version": ["10"]}


def test_a_frame_that_does_not_fit_says_so() -> None:
    frame: Any = pd.DataFrame({"name": ["Ann"]})
    with pytest.raises(SchemaError, match="version"):
        frame.minimize(POLICY)


NUMBERED = policy_from_mapping(
    {
        "policy": "p",
        "version": 1,
        "purposes": ["operations"],
        "subject": "number",
        "fields": {
            "number": {"type": "integer", "required": True, "do": "keep"},
            "model": {"type": "string", "do": {"top": {"keep": 1, "other": "other", "at_least": 1}}},
        },
    }
)
"""A record without a number is dropped, and a `top` makes all rows be read twice."""


def numbered(rows: int, missing: set[int]) -> Any:
    numbers = pd.array([None if row in missing else row for row in range(rows)], dtype="Int64")
    names = [f"person-{row}" for row in range(rows)]
    return pd.DataFrame({"number": numbers, "model": "a"}, index=names)


@pytest.mark.parametrize(("rows", "missing"), [(5, {1, 3}), (5, {0}), (5, {4}), (5, set(range(5))), (5, set())])
def test_each_row_of_the_result_is_found_by_its_position_in_the_frame(rows: int, missing: set[int]) -> None:
    frame = numbered(rows, missing)
    released, account = frame.minimize(NUMBERED, account=True)
    assert account.positions.to_pylist() == [row for row in range(rows) if row not in missing]
    assert list(frame["number"].iloc[account.positions]) == list(released["number"])


def test_positions_count_over_all_parts_of_a_large_frame() -> None:
    frame = numbered(150_000, {0, 70_000, 149_998})
    released, account = frame.minimize(NUMBERED, account=True)
    assert len(released) == 149_997
    assert account.positions.to_pylist() == list(released["number"])


def test_a_prepared_policy_knows_the_positions_of_its_last_call() -> None:
    frame = numbered(5, {1})
    ready = minimize.prepare(NUMBERED, frame)
    ready(frame[["model", "number"]].astype({"model": "category"}))
    assert ready.last is not None
    assert ready.last.positions is not None
    assert ready.last.positions.to_pylist() == [0, 2, 3, 4]


def test_labels_of_the_frame_which_no_policy_declares_are_not_in_the_result() -> None:
    frame = numbered(5, {1})
    frame.index.name = "person"
    released = frame.minimize(NUMBERED)
    assert "person" not in released.reset_index().to_csv()
    assert "person" in frame.reset_index().to_csv()


def test_the_accessor_says_what_it_does() -> None:
    assert "policy lets it leave" in (minimize.pandas.DataFrameAccessor.__call__.__doc__ or "")
