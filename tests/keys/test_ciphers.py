from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.keys.cryptography import SEAL_BYTES, KeyedHash, Sealer

KEY = bytes(range(32))


def tags(key: bytes, *messages: bytes) -> list[bytes]:
    content = np.frombuffer(b"".join(messages), np.uint8)
    offsets = np.cumsum([0, *map(len, messages)])
    return [tag.tobytes() for tag in KeyedHash(key).tags(content, offsets)]


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=80)))
def test_many_messages_have_the_tags_that_each_has_alone(key: bytes, messages: list[bytes]) -> None:
    assert tags(key, *messages) == [one_by_one(key, message) for message in messages]


def test_messages_are_hashed_at_their_offsets() -> None:
    content = np.frombuffer(b"before, message, behind", np.uint8)
    assert KeyedHash(KEY).tags(content, np.array([8, 15]))[0].tobytes() == one_by_one(KEY, b"message")


def test_domains_are_independent() -> None:
    content, offsets = np.frombuffer(b"message", np.uint8), np.array([0, 7])
    assert KeyedHash(KEY, b"\1").tags(content, offsets).tobytes() != KeyedHash(KEY).tags(content, offsets).tobytes()


def test_nothing_printed_of_it_is_the_key() -> None:
    assert KEY.hex() not in repr(KeyedHash(KEY))
    assert str(KEY) not in repr(vars(KeyedHash(KEY)))


def one_by_one(key: bytes, message: bytes) -> bytes:
    return blake2b(message, key=key, digest_size=16).digest()


RFC_5297 = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")


def test_the_example_of_rfc_5297_holds() -> None:
    place = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    sealed = Sealer(RFC_5297).seal(bytes.fromhex("112233445566778899aabbccddee"), place)
    assert sealed.hex() == "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"


@given(st.binary(min_size=1), st.binary(), st.binary())
def test_sealed_content_opens_only_in_its_place(content: bytes, place: bytes, other: bytes) -> None:
    sealed = Sealer(bytes(64)).seal(content, b"file", place)
    assert len(sealed) == len(content) + SEAL_BYTES
    assert Sealer(bytes(64)).open(sealed, b"file", place) == content
    assert (Sealer(bytes(64)).open(sealed, b"file", other) == content) == (place == other)
    assert Sealer(bytes(64)).open(sealed, b"file") is None


def test_the_same_content_in_the_same_place_is_sealed_to_the_same_bytes() -> None:
    assert Sealer(bytes(64)).seal(b"content", b"a") == Sealer(bytes(64)).seal(b"content", b"a")
    assert Sealer(bytes(64)).seal(b"content", b"a") != Sealer(bytes(64)).seal(b"content", b"b")


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(40)])
def test_unsealed_content_does_not_open(sealed: bytes) -> None:
    assert Sealer(bytes(64)).open(sealed, b"a") is None


def test_another_key_opens_nothing() -> None:
    assert Sealer(bytes(64)).open(Sealer(b"\1" * 64).seal(b"content")) is None
