"""Hashes of values: equal for equal values however they are laid out, different for all others, bound to key and domain.
What came lately: nothing new is missed, and little that is old is said to be new.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from minimize.spill import ValueHasher

KEY = bytes(range(32))
hasher = ValueHasher(KEY)


def hashes(values: pa.Array, domain: int = 0) -> list[tuple[int, ...]]:
    return [tuple(row) for row in hasher(values, domain).tolist()]


def literal(value: bytes, domain: int = 0) -> tuple[int, ...]:
    """The hash of one value: the last block of its encryption in CBC mode, with the length in front."""
    short = value if len(value) <= 128 else blake2b(value).digest() * 3
    padded = struct.pack("<Q", len(short)) + short
    padded += bytes(-len(padded) % 16)
    key = blake2b(key=KEY, person=bytes([domain]), digest_size=32).digest()
    return struct.unpack("<QQ", Cipher(AES(key), CBC(bytes(16))).encryptor().update(padded)[-16:])


@given(st.lists(st.binary(max_size=70), max_size=40), st.integers(0, 3))
def test_they_are_keyed_hashes_for_the_domain(values: list[bytes], domain: int) -> None:
    assert hashes(pa.array(values, pa.binary()), domain) == [literal(value, domain) for value in values]


@pytest.mark.parametrize("size", [*range(66), 127, 128, 129, 4096, 4097, 100_000])
def test_every_length_is_hashed_whole(size: int) -> None:
    value = bytes(number % 251 for number in range(size))
    assert hashes(pa.array([b"x", value])) == [literal(b"x"), literal(value)]


@given(st.lists(st.text(max_size=20) | st.none(), max_size=50), st.integers(0, 20))
def test_layout_does_not_matter(values: list[str | None], start: int) -> None:
    plain = pa.array(values, pa.string())
    expected = hashes(plain)[start:]
    views = [plain, plain.cast(pa.large_string()), plain.dictionary_encode(), plain.cast(pa.binary())]
    for each in [*views, plain.cast(pa.string_view()), plain.dictionary_encode(null_encoding="encode")]:
        assert hashes(each.slice(start)) == expected


def test_a_dictionary_larger_than_the_column_is_not_hashed_whole() -> None:
    column = pa.array([f"v{number}" for number in range(100)]).dictionary_encode().slice(3, 2)
    assert hashes(column) == hashes(pa.array(["v3", "v4"]))


def test_many_rows_are_hashed_as_few_are() -> None:
    values = [f"{number:05}" for number in range(50_000)]
    found = hasher(pa.array(values))
    assert found[:3].tolist() == hasher(pa.array(values[:3])).tolist()
    assert found[-3:].tolist() == hasher(pa.array(values[-3:])).tolist()
    assert len(np.unique(found, axis=0)) == len(values)


MOMENT = datetime(2026, 11, 25, 1, 2, 3, tzinfo=UTC)
SCALARS: list[tuple[pa.DataType, Sequence[Any]]] = [
    (pa.bool_(), [True, False]),
    (pa.int8(), [1, -1]),
    (pa.uint64(), [1, 2**64 - 1]),
    (pa.int64(), [1, -(2**63)]),
    (pa.float32(), [1.5, -1.5]),
    (pa.float64(), [0.1, 1e300]),
    (pa.decimal128(38, 2), [Decimal("1.10"), Decimal("-3.00")]),
    (pa.decimal256(60, 2), [Decimal("1.10"), Decimal("-3.00")]),
    (pa.date32(), [date(2026, 1, 1), date(2026, 1, 2)]),
    (pa.date64(), [date(2026, 1, 1), date(2026, 1, 2)]),
    (pa.timestamp("us", "UTC"), [MOMENT, MOMENT + timedelta(microseconds=1)]),
    (pa.time32("s"), [MOMENT.time(), (MOMENT + timedelta(seconds=1)).time()]),
    (pa.duration("ns"), [timedelta(1), timedelta(2)]),
    (pa.binary(3), [b"abc", b"abd"]),
]


@pytest.mark.parametrize(("type_", "values"), SCALARS, ids=[str(type_) for type_, _ in SCALARS])
def test_every_scalar_type_is_taken_and_null_is_zero(type_: pa.DataType, values: Sequence[Any]) -> None:
    column = pa.array([*values, None, values[0]], type_)
    first, second, null, again = hashes(column)
    assert null == (0, 0)
    assert first == again
    assert len({first, second, null}) == 3
    assert hashes(column.slice(1)) == [second, null, again]


def test_nan_is_nan_and_zero_has_no_sign() -> None:
    other = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]
    assert len(set(hashes(pa.array([float("nan"), other])))) == 1
    assert len(set(hashes(pa.array([0.0, -0.0])))) == 1


def test_other_domains_and_keys_give_other_hashes() -> None:
    values = pa.array(["a"])
    assert hashes(values) != hashes(values, 1)
    assert hashes(values) != ValueHasher(bytes(32))(values).tolist()
    assert hasher.mark == ValueHasher(KEY).mark != ValueHasher(bytes(32)).mark


def test_no_value_means_no_hash() -> None:
    assert hashes(pa.array([], pa.string())) == []
    assert hashes(pa.array([None, None], pa.string())) == [(0, 0), (0, 0)]


def test_the_key_is_not_printed() -> None:
    assert repr(hasher) == "ValueHasher()"
