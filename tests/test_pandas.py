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


def test_the_accessor_says_what_it_does() -> None:
    assert "policy lets it leave" in (minimize.pandas.DataFrameAccessor.__call__.__doc__ or "")
