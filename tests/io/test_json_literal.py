from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.sources.ndjson.line_cutter import WINDOW_BYTES, WINDOW_MARKS, ByteLiteral, byte_windows, first_mark


@given(text=st.binary(max_size=60), data=st.binary(min_size=1, max_size=20), inside=st.integers(0, 59))
def test_bytes_are_met_where_they_stand_and_nowhere_else(text: bytes, data: bytes, inside: int) -> None:
    text = text[:inside] + data + text[inside:]
    padded = np.frombuffer(text.ljust(len(text) + len(data) + 8, b"\0"), np.uint8)
    literal = ByteLiteral.from_bytes(data)
    found = literal.matches(byte_windows(padded, np.arange(len(text)), literal.width))
    assert found.tolist() == [bytes(padded[at : at + len(data)]) == data for at in range(len(text))]


@pytest.mark.parametrize("size", [1, 7, 8, 9, 16, 17])
def test_one_byte_that_differs_is_seen_wherever_it_is(size: int) -> None:
    data = bytes(range(65, 65 + size))
    changed = [data[:at] + b"\0" + data[at + 1 :] for at in range(size)]
    texts = np.frombuffer(b"".join(one.ljust(32, b"x") for one in [data, *changed]), np.uint8)
    found = byte_windows(texts, np.arange(size + 1) * 32, 32)
    assert ByteLiteral.from_bytes(data).matches(found).tolist() == [True] + [False] * size


@given(
    rows=st.lists(st.lists(st.sampled_from(b'a",\xff'), min_size=WINDOW_BYTES, max_size=WINDOW_BYTES), max_size=5),
    skip=st.integers(0, WINDOW_MARKS - 1),
    marks=st.sampled_from([b'"', b",\xff"]),
)
def test_of_each_row_the_first_mark_is_found_where_so_many_bytes_are_skipped(
    rows: list[list[int]], skip: int, marks: bytes
) -> None:
    text = np.array(rows, np.uint8).ravel()
    found = first_mark(
        byte_windows(np.append(text, np.zeros(WINDOW_BYTES, np.uint8)), np.arange(len(rows)) * WINDOW_BYTES),
        skip,
        marks,
    )
    places = [next((at for at in range(skip, WINDOW_MARKS) if row[at] in marks), -1) for row in rows]
    assert np.maximum(found, -1).tolist() == places
