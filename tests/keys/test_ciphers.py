""""""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from minimize.keys.cryptography import MESSAGES_AT_ONCE, SEAL_BYTES, Cmac, Sealer

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


def tags(key: bytes, *messages: bytes) -> list[bytes]:
    content = np.frombuffer(b"".join(messages), np.uint8)
    offsets = np.cumsum([0, *map(len, messages)])
    return [tag.tobytes() for tag in Cmac(key).tags(content, offsets)]


@pytest.mark.parametrize(
    ("length", "tag"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_the_examples_of_rfc_4493_hold(length: int, tag: str) -> None:
    assert tags(KEY, MESSAGE[:length]) == [bytes.fromhex(tag)]


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=80)))
def test_many_messages_have_the_tags_that_each_has_alone(key: bytes, messages: list[bytes]) -> None:
    assert tags(key, *messages) == [one_by_one(key, message) for message in messages]


def test_more_messages_than_are_worked_on_together_have_the_same_tags() -> None:
    messages = [number.to_bytes(4) for number in range(MESSAGES_AT_ONCE + 3)]
    assert tags(KEY, *messages)[-3:] == [one_by_one(KEY, message) for message in messages[-3:]]


def test_messages_are_found_where_their_offsets_say() -> None:
    content = np.frombuffer(b"before" + MESSAGE + b"behind", np.uint8)
    found = Cmac(KEY).tags(content, np.array([6, 6 + 64]))
    assert found[0].tobytes() == bytes.fromhex("51f0bebf7e3b9d92fc49741779363cfe")


def test_nothing_printed_of_it_is_the_key() -> None:
    assert KEY.hex() not in repr(Cmac(KEY))
    assert str(KEY) not in repr(vars(Cmac(KEY)))


def one_by_one(key: bytes, message: bytes) -> bytes:
    cmac = CMAC(AES(key))
    cmac.update(message)
    return cmac.finalize()


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
