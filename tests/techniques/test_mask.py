from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from minimize.techniques.mask import Mask

Run = Callable[..., list[Any]]


def test_the_last_characters_stay(run: Run) -> None:
    assert run(Mask(keep_last=4), ["+33612345678", None]) == ["****5678", None]


def test_the_first_characters_stay(run: Run) -> None:
    assert run(Mask(keep_first=2), ["FR7630006000"]) == ["FR****"]


def test_a_value_that_would_stay_whole_is_the_mark_alone(run: Run) -> None:
    assert run(Mask(keep_last=4), ["5678", "", "56789"]) == ["****", "****", "****6789"]


def test_characters_are_counted_not_bytes(run: Run) -> None:
    assert run(Mask(keep_last=2), ["éàü", "éà"]) == ["****àü", "****"]


@pytest.mark.parametrize("parameters", [{}, {"keep_last": 4, "keep_first": 4}, {"keep_last": 0}, {"keep": 4}])
def test_bad_parameters_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mask.model_validate(parameters)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.integers(1, 8))
def test_the_length_does_not_show(run: Run, text: str, kept: int) -> None:
    [masked] = run(Mask(keep_last=kept), [text])
    assert masked == ("****" + text[-kept:] if len(text) > kept else "****")
