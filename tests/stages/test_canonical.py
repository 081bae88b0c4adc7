from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.stages.deduplicate import encode_values, row_digests


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array(["é", "", None]), ["2:é".encode(), b"0:", b"-"]),
        (pa.array([1, -20, None], pa.int16()), [b"1:1", b"3:-20", b"-"]),
        (pa.array([0.1, -0.0, 1.0]), [b"3:0.1", b"2:-0", b"1:1"]),
        (pa.array([True, False]), [b"4:true", b"5:false"]),
        (pa.array([Decimal("1.50")], pa.decimal128(5, 2)), [b"4:1.50"]),
        (pa.array([b"\xff"]), [b"1:\xff"]),
        (pa.array([b"\xff"], pa.binary(1)), [b"1:\xff"]),
        (pa.array([datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], pa.timestamp("ms", "UTC")), [b"4:1000"]),
        (pa.array([date(1970, 1, 3)]), [b"1:2"]),
        (pa.array([time(0, 0, 1)], pa.time32("s")), [b"1:1"]),
        (pa.array([None]), [b"-"]),
        (pa.array([{"b": 1, "a": None}, None]), [b"{-1:1}", b"-"]),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int8())), [b"1[{1:k1:1}]", b"0[]"]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [b"2[1:11:2]", b"-"]),
        (pa.array(["a", None, "b"]).dictionary_encode(), [b"1:a", b"-", b"1:b"]),
    ],
)
def test_a_value_has_one_text(array: pa.Array, texts: list[bytes]) -> None:
    assert encode_values(array).to_pylist() == texts


def test_a_slice_has_the_texts_of_its_own_values() -> None:
    assert encode_values(pa.array([[1], [2, 3], [4]]).slice(1, 1)).to_pylist() == [b"2[1:21:3]"]


def test_a_long_key_is_used_whole() -> None:
    column = [pa.array(["a"])]
    one, other = row_digests(column, b"k" * 64 + b"1"), row_digests(column, b"k" * 64 + b"2")
    assert one != other


values = st.lists(
    st.none() | st.lists(st.none() | st.sampled_from(["", "-", "1:", "a", "]", "[0"]), max_size=3), max_size=6
)


@given(values)
def test_different_values_have_different_texts_and_equal_ones_equal_texts(drawn: list[Any]) -> None:
    texts = encode_values(pa.array(drawn, pa.list_(pa.string()))).to_pylist()
    for one, its in zip(drawn, texts, strict=True):
        assert [one == other for other in drawn] == [its == text for text in texts]
