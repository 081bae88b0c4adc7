"""RFC 4231, test cases 1 to 7 (5 is truncated to 128 bits there)."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.keyed_hash import HmacState

VECTORS = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        b"hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("key", "message", "expected"), VECTORS)
def test_rfc_4231(key: bytes, message: bytes, expected: str) -> None:
    assert HmacState.from_key(key).digest(message).hex().startswith(expected)
    assert (
        HmacState.from_key(key)
        .extended(message[:3])
        .extended(message[3:5])
        .digest(message[5:])
        .hex()
        .startswith(expected)
    )


@given(st.binary(max_size=200), st.binary(max_size=200), st.lists(st.binary(max_size=200)))
def test_it_agrees_with_the_standard_library(key: bytes, beginning: bytes, values: list[bytes]) -> None:
    expected = [
        hmac.new(key, beginning + len(value).to_bytes(8, "big") + value, hashlib.sha256).digest() for value in values
    ]
    assert HmacState.from_key(key).extended(beginning).digests(values) == expected


def test_it_prints_nothing() -> None:
    assert repr(HmacState.from_key(b"key")) == "HmacState()"
