from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.arrow.dictionaries import combine_columns, decode_dictionary, distinct_values, take_values


def test_a_dictionary_column_is_used_without_re_encoding() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([1, None, 0, 1]), pa.array(["a", "b"]))
    found = distinct_values(encoded)
    assert (found.values.to_pylist(), found.codes.to_pylist()) == (["a", "b"], [1, None, 0, 1])


def test_a_null_among_the_entries_is_a_null() -> None:
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([None, "b"]))
    assert distinct_values(encoded).codes.to_pylist() == [None, 1]


def test_views_can_be_picked_and_decoded() -> None:
    words = pa.array(["a", "b"], pa.string_view())
    assert take_values(words, pa.array([1, None])).type == pa.string_view()
    assert decode_dictionary(pa.DictionaryArray.from_arrays(pa.array([1, 0]), words)).to_pylist() == ["b", "a"]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from([1, 2, 3, None]), st.sampled_from("xy"))))
def test_combinations_give_back_the_rows(rows: list[tuple[str | None, int | None, str]]) -> None:
    columns = [distinct_values(pa.array(list(column))) for column in zip(*rows, strict=True)] or [
        distinct_values(pa.array([], "string"))
    ]
    crossed = combine_columns(columns)
    for row, code in zip(rows, crossed.codes.to_pylist(), strict=True):
        assert (code is None) == (None in row)
        if code is not None:
            assert row == tuple(
                column.values[int(part[code])].as_py() for column, part in zip(columns, crossed.parts, strict=True)
            )
    assert len(crossed.parts[0]) == len({row for row in rows if None not in row})
