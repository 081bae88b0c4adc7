from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques.truncate_version import TruncateVersion

Run = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        ("10.0.19045.3803", "10.0"),
        ("17", "17"),
        ("8.1-beta.2", "8.1"),
        ("2.0rc1", "2.0"),
        ("3.", "3"),
        ("3..1", "3"),
        ("007.1.2", "007.1"),
    ],
)
def test_the_leading_parts_stay(run: Run, version: str, kept: str) -> None:
    assert run(TruncateVersion(parts=2), [version]) == [kept]


@pytest.mark.parametrize("version", ["", "v1.2", "beta", ".5", " 1.2", "OPR4.170623.009", "١.٢"])
def test_no_leading_digit_cannot_be_treated(run: Run, untreated: Run, version: str) -> None:
    assert run(TruncateVersion(parts=2), [version]) == [None]
    assert untreated(TruncateVersion(parts=2), [version]) == [True]


def test_it_keeps_at_least_one_part() -> None:
    with pytest.raises(ValidationError):
        TruncateVersion(parts=0)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(1, 5))
def test_truncating_twice_is_truncating_once(run: Run, numbers: list[int], parts: int) -> None:
    technique = TruncateVersion(parts=parts)
    once = run(technique, [".".join(map(str, numbers))])
    assert once == [".".join(map(str, numbers[:parts]))]
    assert run(technique, once) == once
