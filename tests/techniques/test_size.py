from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques import UnsupportedType
from minimize.techniques.size import Size

Run = Callable[..., list[Any]]
LISTS = (pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_view(pa.string()))


@pytest.mark.parametrize("type_", LISTS, ids=str)
def test_lists_become_their_length(run: Run, type_: pa.DataType) -> None:
    assert run(Size(), [["a", None], [], None], type_) == [2, 0, None]


def test_maps_become_their_number_of_keys(run: Run) -> None:
    assert run(Size(), [[("a", 1), ("b", 2)], [], None], pa.map_(pa.string(), pa.int32())) == [2, 0, None]


def test_the_length_is_an_int32_and_text_has_none() -> None:
    assert Size().output_type(pa.large_list(pa.int8())) == pa.int32()
    with pytest.raises(UnsupportedType):
        Size().output_type(pa.string())


@given(st.lists(st.none() | st.lists(st.integers(-9, 9))))
def test_it_counts_as_len_does(run: Run, lists: list[list[int] | None]) -> None:
    assert run(Size(), lists, pa.list_(pa.int8())) == [None if each is None else len(each) for each in lists]
