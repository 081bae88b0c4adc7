"""A payload's digest is of its values alone."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.governance.sharing.payload import PayloadDigest, digest_table

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(max_size=3) | st.just("x" * 300),
            "flag": st.none() | st.booleans(),
            "number": st.none() | st.integers(-5, 5),
            "list": st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3),
            "struct": st.none() | st.fixed_dictionaries({"a": st.none() | st.integers(0, 3)}),
        }
    ),
    max_size=12,
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("flag", pa.bool_()),
        ("number", pa.int32()),
        ("list", pa.list_(pa.string())),
        ("struct", pa.struct([("a", pa.int64())])),
    ]
)


@given(ROWS, st.integers(1, 5))
def test_how_it_is_cut_into_batches_changes_nothing(rows: list[dict[str, Any]], size: int) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    found = PayloadDigest(SCHEMA)
    for first in range(0, len(rows), size):
        for batch in pa.Table.from_pylist(rows[first : first + size], SCHEMA).to_batches():
            found.update(batch)
    assert found.digest == digest_table(table)


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    same = digest_table(pa.Table.from_pylist(one, SCHEMA)) == digest_table(pa.Table.from_pylist(other, SCHEMA))
    assert same == (one == other)


def test_slices_are_told_by_what_they_show() -> None:
    whole = pa.table(
        {"a": ["x", "yy", None, "z"], "m": pa.array([[("k", 1)], None, [], [("l", None)]], pa.map_("string", "int8"))}
    )
    assert digest_table(whole.slice(1, 2)) == digest_table(
        pa.Table.from_pylist(whole.slice(1, 2).to_pylist(), whole.schema)
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([None, ""], ["", None]),
        (["a"], ["a", None]),
    ],
)
def test_texts_that_only_look_alike_side_by_side_are_told_apart(one: list[Any], other: list[Any]) -> None:
    assert digest_table(pa.table({"a": pa.array(one, pa.string())})) != digest_table(
        pa.table({"a": pa.array(other, pa.string())})
    )


def test_another_name_or_type_is_another_payload() -> None:
    digests = {digest_table(pa.table({name: pa.array([1], kind)})) for name in "ab" for kind in (pa.int8(), pa.int16())}
    assert len(digests) == 4


def test_views_are_texts_like_others() -> None:
    views = pa.table({"a": pa.array(["x", None], pa.string_view())})
    assert digest_table(views).startswith("blake3:")
