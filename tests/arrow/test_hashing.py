from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.hashing import (
    all_distinct,
    null_mask,
    number_buffer,
    numpy_type,
    text_bytes,
    text_offsets,
    texts_from_words,
    word_rows,
)


@given(st.lists(st.none() | st.integers(0, 2**31 - 1), max_size=40), st.integers(0, 20), st.integers(0, 20))
def test_nulls_and_numbers_of_any_slice_are_found(numbers: list[int | None], start: int, length: int) -> None:
    values = pa.array(numbers, pa.int32()).slice(start, length)
    null = null_mask(values)
    assert null.tolist() == [number is None for number in values.to_pylist()]
    assert number_buffer(values, np.int32)[~null].tolist() == values.drop_null().to_pylist()


def test_rows_of_an_entry_that_is_null_are_nulls() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", None]))
    assert null_mask(encoded).tolist() == [False, True, True]
    assert null_mask(pa.nulls(2)).tolist() == [True, True]


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 3))
def test_texts_come_back_from_their_words(texts: list[bytes], cut: int) -> None:
    values = pa.array(texts, pa.binary()).slice(cut)
    rows = word_rows(text_bytes(values), text_offsets(values))
    assert texts_from_words(rows, pa.binary()).equals(pa.array(texts[cut:], pa.binary()))


@given(st.lists(st.binary(min_size=3, max_size=3), min_size=1, max_size=20))
def test_texts_of_one_length_have_the_words_that_they_have_among_others(texts: list[bytes]) -> None:
    alone, mixed = (pa.array(each, pa.binary()) for each in (texts, [*texts, b"longer"]))
    assert np.array_equal(
        word_rows(text_bytes(alone), text_offsets(alone)), word_rows(text_bytes(mixed), text_offsets(mixed))[:-1, :2]
    )


@given(st.lists(st.text(max_size=12), max_size=20))
def test_only_distinct_texts_are_found_distinct(texts: list[str]) -> None:
    assert all_distinct(pa.array(texts, pa.string())) == (len(set(texts)) == len(texts))


@pytest.mark.parametrize("values", [pa.array([1, 2]), pa.array(["a", None]), pa.array(["a", "b" * 1000])])
def test_values_that_take_long_to_check_are_not_reported_as_distinct(values: pa.Array) -> None:
    assert not all_distinct(values)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_whole_numbers_have_the_type_of_their_width_and_sign(kind: str) -> None:
    assert str(numpy_type(pa.type_for_alias(kind))) == kind


@pytest.mark.parametrize(
    ("kind", "name"), [(pa.float16(), "float16"), (pa.float32(), "float32"), (pa.float64(), "float64")]
)
def test_floating_numbers_have_the_type_of_their_width(kind: pa.DataType, name: str) -> None:
    assert str(numpy_type(kind)) == name


def test_arrow_is_asked_for_the_types_of_pandas_nowhere() -> None:
    package = Path(str(files("minimize")))
    assert [path.name for path in package.rglob("*.py") if "to_pandas_dtype(" in path.read_text()] == []
