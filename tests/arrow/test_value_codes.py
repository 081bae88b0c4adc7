from __future__ import annotations

import math
import pickle
from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from minimize.arrow.codes import ValueDictionary
from minimize.arrow.dictionaries import pack_codes, unpack_codes


def test_packed_codes_come_apart_again() -> None:
    high, low = np.array([0, 5, 2**31 - 1]), np.array([7, 0, 2**31 - 1])
    assert [part.tolist() for part in unpack_codes(pack_codes(high, low))] == [high.tolist(), low.tolist()]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.string(), ["b", "a", "b", None]),
        (pa.int8(), [2, 1, 2, None]),
        (pa.bool_(), [True, False, True, None]),
        (pa.date32(), [date(2026, 1, 2), date(2026, 1, 1), date(2026, 1, 2), None]),
        (pa.decimal128(5, 1), [Decimal("2.0"), Decimal("1.0"), Decimal("2.0"), None]),
        (pa.timestamp("ns", "UTC"), [2, 1, 2, None]),
        (pa.binary(), [b"b", b"a", b"b", None]),
        (pa.binary(3), [b"two", b"one", b"two", None]),
        (pa.uint64(), [2**64 - 1, 0, 2**64 - 1, None]),
        (pa.float32(), [-0.5, math.inf, -0.5, None]),
    ],
)
def test_equal_values_have_one_code_over_all_batches_and_encodings(type_: pa.DataType, values: list[Any]) -> None:
    book, array = ValueDictionary(type_), pa.array(values, type_)
    assert book.codes(array).tolist() == [0, 1, 0, -1]
    assert book.codes(array[::-1].dictionary_encode()).tolist() == [-1, 0, 1, 0]
    assert book.codes(array.dictionary_encode(null_encoding="encode")).tolist() == [0, 1, 0, -1]
    assert book.values.equals(pa.array(values[:2], type_))


def test_a_nan_is_one_value_and_a_negative_zero_is_zero() -> None:
    assert ValueDictionary(pa.float64()).codes(pa.array([math.nan, -0.0, 0.0, math.nan])).tolist() == [0, 1, 1, 0]


def test_large_and_plain_strings_are_the_same_values() -> None:
    book = ValueDictionary(pa.large_string())
    assert book.codes(pa.array(["a"], pa.large_string())).tolist() == book.codes(pa.array(["a"])).tolist()


def test_no_values_have_no_codes() -> None:
    assert ValueDictionary(pa.string()).codes(pa.array([], pa.string())).tolist() == []


def test_a_column_without_any_value_has_no_codes() -> None:
    book = ValueDictionary(pa.null())
    assert book.codes(pa.nulls(2)).tolist() == [-1, -1]
    assert book.values.equals(pa.nulls(0))


def _many(type_: pa.DataType) -> pa.Array:
    """More distinct values than the first table of integers holds, each of them twice, and null."""
    numbers = pa.array([*range(6000), None, *range(6000)])
    return (
        pc.binary_join_element_wise(numbers.cast(pa.string()), "e", "/")
        if type_ == pa.string()
        else numbers.cast(type_)
    )


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC"), pa.decimal128(21, 1)]
)
def test_many_values_have_one_code_each_in_any_batches(type_: pa.DataType) -> None:
    book, values = ValueDictionary(type_), _many(type_)
    for batch in (values[5000:7000], values[:100], values, values[9000:].dictionary_encode(), values[6000:6001]):
        codes = book.codes(batch)
        assert book.values.take(pa.array(codes, mask=codes < 0)).equals(batch.cast(type_))
    assert len(book) == len(book.values) == len(book.values.unique()) == 6000


def test_many_doubles_keep_one_nan_and_one_zero() -> None:
    book = ValueDictionary(pa.float64())
    book.codes(pa.array(np.arange(1.0, 9000.0)))
    assert book.codes(pa.array([math.nan, -0.0, 0.0, math.nan, None])).tolist() == [8999, 9000, 9000, 8999, -1]


def test_a_dictionary_sent_to_another_process_continues_there_without_secrets() -> None:
    book, values = ValueDictionary(pa.string()), _many(pa.string())
    codes = book.codes(values)
    sent = deepcopy(book)
    assert sent.codes(values).tolist() == codes.tolist()
    assert b"Interner" not in pickle.dumps(book)


def test_every_nan_is_one_value() -> None:
    nans = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert ValueDictionary(pa.float64()).codes(pa.array([math.nan, *nans])).tolist() == [0, 0, 0]


def test_slices_of_a_column_share_the_codes_of_its_dictionary_and_another_dictionary_has_its_own() -> None:
    book, column = ValueDictionary(pa.string()), pa.array(["a", "b", "c", "b"]).dictionary_encode()
    assert [book.codes(column.slice(at, 2)).tolist() for at in (0, 2)] == [[0, 1], [2, 1]]
    for text in ("xyz", "zyx"):
        other = pa.array(list(text)).dictionary_encode()
        codes = book.codes(other)
        assert book.values.take(pa.array(codes)).to_pylist() == list(text)
        del other
