from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.value_dictionary import ValueDigests, has_digest

texts = st.one_of(st.binary(max_size=70), st.binary(max_size=3), st.sampled_from([b"", b"\0", b"\0\0\0\0", b"a" * 200]))


def pairs(digests: ValueDigests, values: pa.Array) -> list[tuple[int, int]]:
    high, low = digests.digest_values(values)
    return list(zip(high.tolist(), low.tolist(), strict=True))


@given(st.lists(texts, max_size=30), st.integers(0, 30))
def test_digests_are_equal_where_texts_are_wherever_they_stand(values: list[bytes], cut: int) -> None:
    digests, array = ValueDigests(), pa.array(values, pa.binary())
    found = pairs(digests, array)
    assert pairs(digests, array[:cut]) + pairs(digests, array[cut:]) == found
    assert len(set(found)) == len(set(values))
    assert len(set(zip(values, found, strict=True))) == len(set(values))


@pytest.mark.parametrize("width", [1, 4, 7, 36, 64, 65])
def test_texts_of_one_length_have_the_digests_that_they_have_among_others(width: int) -> None:
    digests, texts = ValueDigests(), ["x" * (width - 1) + letter for letter in "abc"]
    assert pairs(digests, pa.array(texts)) == pairs(digests, pa.array([*texts, "other text", ""]))[:3]


def test_each_key_gives_other_digests() -> None:
    array = pa.array(["a", "b" * 100])
    assert not set(pairs(ValueDigests(), array)) & set(pairs(ValueDigests(), array))


def test_more_texts_than_are_hashed_at_once_are_told_apart() -> None:
    texts = [f"{number:08x}" for number in range(40_000)]
    assert len(set(pairs(ValueDigests(), pa.array(texts)))) == len(texts)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.int8(), [-1, 0, 1]),
        (pa.uint64(), [2**64 - 1, 0, 1]),
        (pa.float32(), [0.5, -0.5, math.inf]),
        (pa.timestamp("us", "UTC"), [-1, 0, 1]),
        (pa.date32(), [-1, 0, 1]),
    ],
)
def test_numbers_are_told_apart_from_any_offset(type_: pa.DataType, values: list[Any]) -> None:
    array = pa.array([*values, *values], type_)
    found = pairs(ValueDigests(), array[1:5])
    assert found[0] == found[3]
    assert len(set(found)) == 3


def test_every_nan_has_one_digest() -> None:
    other = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert len(set(pairs(ValueDigests(), pa.array([math.nan, *other])))) == 1


@pytest.mark.parametrize("type_", [pa.decimal128(5, 1), pa.bool_(), pa.float16(), pa.list_(pa.int8()), pa.null()])
def test_other_types_have_no_digest(type_: pa.DataType) -> None:
    assert not has_digest(type_)
