from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.keys.ciphers import SEAL_BYTES, Sealer

RFC_5297 = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")


def test_the_example_of_rfc_5297_holds() -> None:
    place = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    sealed = Sealer(RFC_5297).seal(bytes.fromhex("112233445566778899aabbccddee"), place)
    assert sealed.hex() == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"


@given(st.binary(min_size=1), st.binary(), st.binary())
def test_what_is_sealed_opens_in_its_place_and_nowhere_else(content: bytes, place: bytes, other: bytes) -> None:
    sealed = Sealer(bytes(64)).seal(content, b"file", place)
    assert len(sealed) == len(content) + SEAL_BYTES
    assert Sealer(bytes(64)).open(sealed, b"file", place) == content
    assert (Sealer(bytes(64)).open(sealed, b"file", other) == content) == (place == other)
    assert Sealer(bytes(64)).open(sealed, b"file") is None


def test_the_same_content_in_the_same_place_is_sealed_to_the_same_bytes() -> None:
    assert Sealer(bytes(64)).seal(b"content", b"a") == Sealer(bytes(64)).seal(b"content", b"a")
    assert Sealer(bytes(64)).seal(b"content", b"a") != Sealer(bytes(64)).seal(b"content", b"b")


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(40)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    assert Sealer(bytes(64)).open(sealed, b"a") is None


def test_another_key_opens_nothing() -> None:
    assert Sealer(bytes(64)).open(Sealer(b"\1" * 64).seal(b"content")) is None
