from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques import Context
from minimize.techniques.keep import Keep


def test_the_array_is_the_same(context: Context) -> None:
    values = pa.array(["a", None])
    assert Keep().apply(values, context).values is values


@given(values=st.lists(st.none() | st.text() | st.just("*")))
def test_every_value_and_every_null_stays(context: Context, values: list[str | None]) -> None:
    assert Keep().apply(pa.array(values, pa.string()), context).values.to_pylist() == values


def test_keep_leaves_everything() -> None:
    assert Keep.leaves == "everything"
