"""Values of forms."""

from __future__ import annotations

from datetime import timedelta

import pytest

from minimize.forms.values import parse_duration


@pytest.mark.parametrize(("text", "hours"), [("30d", 720), ("24h", 24), ("2w", 336), ("90m", 1.5), ("3600s", 1)])
def test_a_number_and_a_unit_make_a_length_of_time(text: str, hours: float) -> None:
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["0d", "-1d", "30", 30, "30 d", "1.5h", "30D", "d", "", None, "30days", "9999999d", "1d\n"]
)
def test_everything_else_is_none(text: object) -> None:
    assert parse_duration(text) is None
