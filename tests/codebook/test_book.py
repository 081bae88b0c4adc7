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

from minimize.arrow.codes import pack_codes, unpack_codes
from minimize.arrow.value_dictionary import ValueDictionary


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
    ],
)
def test_equal_values_have_one_code_over_all_batches_and_encodings(type_: pa.DataType, values: list[Any]) -> None:
    book, array = ValueDictionary(type_), pa.array(values, type_)
    assert book.encode(array).tolist() == [0, 1, 0, 2]
    assert book.encode(array[::-1].dictionary_encode()).tolist() == [2, 0, 1, 0]
    assert book.encode(array.dictionary_encode(null_encoding="encode")).tolist() == [0, 1, 0, 2]
    assert book.values.equals(pa.array([values[0], values[1], None], type_))


def test_a_nan_is_one_value_and_a_negative_zero_is_zero() -> None:
    assert ValueDictionary(pa.float64()).encode(pa.array([math.nan, -0.0, 0.0, math.nan])).tolist() == [0, 1, 1, 0]


def test_large_and_plain_strings_are_the_same_values() -> None:
    book = ValueDictionary(pa.large_string())
    assert book.encode(pa.array(["a"], pa.large_string())).tolist() == book.encode(pa.array(["a"])).tolist()


def test_no_values_have_no_codes() -> None:
    assert ValueDictionary(pa.string()).encode(pa.array([], pa.string())).tolist() == []


def _many(type_: pa.DataType) -> pa.Array:
    """More distinct values than are hashed again with each batch, each of them twice, and null."""
    numbers = pa.array([*range(6000), None, *range(6000)])
    return (
        pc.binary_join_element_wise(numbers.cast(pa.string()), "e", "/")
        if type_ == pa.string()
        else numbers.cast(type_)
    )


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", "UTC"), pa.decimal128(21, 1)]
)
def test_many_values_have_one_code_each_whatever_the_batches(type_: pa.DataType) -> None:
    book, values = ValueDictionary(type_), _many(type_)
    for batch in (values[5000:7000], values[:100], values, values[9000:].dictionary_encode(), values[6000:6001]):
        codes = book.encode(batch)
        assert book.values.take(pa.array(codes)).equals(batch.cast(type_))
    assert len(book) == len(book.values) == len(book.values.unique()) == 6001


def test_many_doubles_keep_one_nan_and_one_zero() -> None:
    book = ValueDictionary(pa.float64())
    book.encode(pa.array(np.arange(1.0, 9000.0)))
    assert book.encode(pa.array([math.nan, -0.0, 0.0, math.nan, None])).tolist() == [8999, 9000, 9000, 8999, 9001]


def test_a_book_that_was_sent_elsewhere_goes_on_there_and_takes_no_secret_along() -> None:
    book, values = ValueDictionary(pa.string()), _many(pa.string())
    codes = book.encode(values)
    sent = deepcopy(book)
    assert sent.encode(values).tolist() == codes.tolist()
    assert b"Digests" not in pickle.dumps(book)


def test_it_says_how_much_it_holds() -> None:
    book = ValueDictionary(pa.int64())
    book.encode(pa.array(range(10)))
    small = book.nbytes
    book.encode(pa.array(range(100_000)))
    assert book.nbytes > small + 8 * 99_990


def test_slices_of_a_column_share_the_codes_of_its_dictionary_and_another_dictionary_has_its_own() -> None:
    book, column = ValueDictionary(pa.string()), pa.array(["a", "b", "c", "b"]).dictionary_encode()
    assert [book.encode(column.slice(at, 2)).tolist() for at in (0, 2)] == [[0, 1], [2, 1]]
    for text in ("xyz", "zyx"):
        other = pa.array(list(text)).dictionary_encode()
        codes = book.encode(other)
        assert book.values.take(pa.array(codes)).to_pylist() == list(text)
        del other
