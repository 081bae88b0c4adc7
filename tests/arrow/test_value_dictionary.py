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
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.dictionaries import pack_codes, unpack_codes
from minimize.arrow.value_dictionary import DigestIndex, ValueDictionary, ValueDigests, Words, has_digest


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
def test_many_values_have_one_code_each_in_any_batches(type_: pa.DataType) -> None:
    book, values = ValueDictionary(type_), _many(type_)
    for batch in (values[5000:7000], values[:100], values, values[9000:].dictionary_encode(), values[6000:6001]):
        codes = book.encode(batch)
        assert book.values.take(pa.array(codes)).equals(batch.cast(type_))
    assert len(book) == len(book.values) == len(book.values.unique()) == 6001


def test_many_doubles_keep_one_nan_and_one_zero() -> None:
    book = ValueDictionary(pa.float64())
    book.encode(pa.array(np.arange(1.0, 9000.0)))
    assert book.encode(pa.array([math.nan, -0.0, 0.0, math.nan, None])).tolist() == [8999, 9000, 9000, 8999, 9001]


def test_a_dictionary_sent_to_another_process_continues_there_without_secrets() -> None:
    book, values = ValueDictionary(pa.string()), _many(pa.string())
    codes = book.encode(values)
    sent = deepcopy(book)
    assert sent.encode(values).tolist() == codes.tolist()
    assert b"Digests" not in pickle.dumps(book)


def test_its_memory_use_is_known() -> None:
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


texts = st.one_of(st.binary(max_size=70), st.binary(max_size=3), st.sampled_from([b"", b"\0", b"\0\0\0\0", b"a" * 200]))


def pairs(digests: ValueDigests, values: pa.Array) -> list[tuple[int, int]]:
    high, low = digests.digest_values(values)
    return list(zip(high.tolist(), low.tolist(), strict=True))


@given(st.lists(texts, max_size=30), st.integers(0, 30))
def test_equal_texts_have_equal_digests_at_any_position(values: list[bytes], cut: int) -> None:
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


def test_more_texts_than_one_hash_batch_get_distinct_digests() -> None:
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
def test_numbers_get_distinct_digests_at_any_offset(type_: pa.DataType, values: list[Any]) -> None:
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


digest = st.tuples(st.integers(0, 3) | st.integers(0, 2**64 - 1), st.integers(0, 2))


def words(digests: list[tuple[int, int]]) -> tuple[Words, Words]:
    high, low = ([digest[half] for digest in digests] for half in (0, 1))
    return np.array(high, np.uint64), np.array(low, np.uint64)


@given(st.lists(st.lists(digest, max_size=20), max_size=5))
def test_codes_follow_the_order_in_which_digests_come(batches: list[list[tuple[int, int]]]) -> None:
    index, known = DigestIndex(), dict[tuple[int, int], int]()
    for batch in batches:
        codes, fresh = index.codes(*words(batch))
        new = [row for row, one in enumerate(batch) if one not in known and batch.index(one) == row]
        for one in batch:
            known.setdefault(one, len(known))
        assert codes.tolist() == [known[one] for one in batch]
        assert fresh.tolist() == new


def test_digests_with_the_same_first_half_are_distinguished_by_the_second() -> None:
    index = DigestIndex()
    same, other = np.full(5000, 7, np.uint64), np.arange(5000, dtype=np.uint64)
    assert index.codes(same, other)[0].tolist() == list(range(5000))
    assert index.codes(same[::-1], other[::-1])[0].tolist() == list(range(4999, -1, -1))


def test_it_grows() -> None:
    index, size = DigestIndex(), 100_000
    high = np.random.default_rng(1).integers(0, 2**63, size).astype(np.uint64)
    before = index.nbytes
    for first in range(0, size, 30_000):
        index.codes(high[first : first + 30_000], high[first : first + 30_000])
    assert index.nbytes > before
    assert index.codes(high, high)[0].tolist() == list(range(size))
