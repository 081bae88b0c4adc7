from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.sources.types import have_same_shape, parse_text, parse_texts

SHAPE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$"
FIRST = "2026-11-24T10:00:00+02:00"


@pytest.mark.parametrize(
    "texts", [[], [None], [FIRST], [FIRST, None, "2025-01-02T23:59:59+02:00"], ["2026-11-24T10:00:00.250Z"] * 3]
)
def test_times_like_the_first_are_alike(texts: list[str | None]) -> None:
    assert have_same_shape(pa.array(texts, pa.string()), SHAPE)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "2026-11-24T10:00:00Z",
        "2026-11-24 10:00:00+02:00",
        "2026-11-24T10:00:00-02:00",
        "2026-11-24T10:00:00+99:00",
        "9026-11-24T10:00:00+02:00",
        "2026-11-24T1é:00:00+02:00"[:24] + "0",
        "2026-11-24T10:00:0:+02:00",
        "2026-11-24T10:00:0/+02:00",
    ],
)
def test_one_that_is_not_like_the_first_is_seen(other: str) -> None:
    assert not have_same_shape(pa.array([FIRST, FIRST, other]), SHAPE)
    assert not have_same_shape(pa.array([FIRST, other, FIRST]), SHAPE)


def test_what_the_first_is_not_none_is() -> None:
    assert not have_same_shape(pa.array(["yesterday"] * 2), SHAPE)


def test_a_slice_is_looked_at_alone() -> None:
    texts = pa.array(["x", FIRST, FIRST, "y"])
    assert have_same_shape(texts.slice(1, 2), SHAPE)
    assert not have_same_shape(texts.slice(1, 3), SHAPE)


moments = st.sampled_from([FIRST, "2026-11-24T10:00:00Z", "2026-13-24T10:00:00Z", "2026-02-30T10:00:00Z"])
near = st.tuples(moments, st.integers(0, 25), st.sampled_from("0139:TZ+-./ é")).map(
    lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + 1 :]
)


@given(st.lists(moments | near | st.none(), max_size=4))
def test_times_read_at_once_are_those_read_one_by_one(texts: list[str | None]) -> None:
    values, bad = parse_texts(pa.array(texts, pa.string()), "timestamp")
    alone = [None if text is None else parse_text(text, "timestamp") for text in texts]
    assert values.cast(pa.int64()).to_pylist() == alone
    assert bad.tolist() == [text is not None and value is None for text, value in zip(texts, alone, strict=True)]
