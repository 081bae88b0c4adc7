from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.sources.csv import INVALID_BYTE, Utf8Stream


def read(data: bytes, size: int = 3) -> bytes:
    stream = Utf8Stream(BytesIO(data))
    pieces = [*iter(lambda: stream.read(size), b"")]
    assert all(len(piece) <= size for piece in pieces)
    return b"".join(pieces)


@given(text=st.text(st.characters(blacklist_categories=["Cs"])), size=st.integers(1, 9))
def test_text_comes_through_as_it_is_however_it_is_cut(text: str, size: int) -> None:
    assert read(text.encode(), size) == text.encode()


@pytest.mark.parametrize(
    ("data", "count"), [(b"a\xffb", 1), (b"\xe9", 1), (b"\xed\xa0\x80", 3), (b"\xf0\x9f\x98", 3), (b"\xc0\xaf", 2)]
)
def test_each_byte_that_is_not_utf_8_is_marked(data: bytes, count: int) -> None:
    assert read(data).decode().count(INVALID_BYTE) == count
    assert len(read(data)) == len(data)


@given(data=st.binary(), size=st.integers(1, 5))
def test_whatever_comes_is_utf_8_and_as_long(data: bytes, size: int) -> None:
    assert len(read(data, size).decode().encode()) == len(data)


def test_quotes_are_counted() -> None:
    stream = Utf8Stream(BytesIO(b'"a","b\n'))
    assert stream.read(100) == b'"a","b\n'
    assert stream.quotes == 3
