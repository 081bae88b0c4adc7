"""JSON lines from whole columns."""

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from minimize.samples import lines


def test_a_null_value_is_an_absent_member() -> None:
    columns = [lines.member("a", lines.texts(["x", None])), lines.member("b", lines.numbers(pa.array([1, 2])))]
    assert [json.loads(line) for line in lines.record(columns).to_pylist()] == [{"a": "x", "b": 1}, {"b": 2}]


def test_arrays_take_as_many_elements_as_their_sizes_say() -> None:
    made = lines.array(lines.numbers(pa.array([1, 2, 3])), pa.array([2, 0, 1], pa.int32()))
    assert [json.loads(line) for line in made.to_pylist()] == [[1, 2], [], [3]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_reads_back(values: list[str]) -> None:
    made = lines.record([lines.member('k"y', lines.texts(values))])
    assert [json.loads(line)['k"y'] for line in made.to_pylist()] == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_any_double_reads_back(values: list[float]) -> None:
    assert [float(json.loads(text)) for text in lines.numbers(pa.array(values)).to_pylist()] == values
