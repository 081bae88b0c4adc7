from __future__ import annotations

import pyarrow as pa
import pytest

from minimize.arrow.batch import Batch
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.stages.raw_values import companion_values, mask_values, tidy_dictionary
from tests.stages.make import APPS, records

CLOSED = pa.array([True, False, False])


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["canary", "b", None]),
        pa.array(["canary", "b", None]).dictionary_encode(),
        pa.array([1, 2, None]),
        pa.array([["canary"], ["b"], None]),
        pa.array([{"a": "canary"}, {"a": "b"}, None]),
        pa.array([[("k", "canary")], [], None], pa.map_(pa.string(), pa.string())),
        pa.array([True, False, None]),
    ],
)
def test_closed_values_are_null_and_the_others_as_they_were(values: pa.Array) -> None:
    out = mask_values(values, CLOSED)
    assert out.type == values.type
    assert out.to_pylist() == [None, *values.to_pylist()[1:]]


def test_a_closed_text_is_in_no_buffer() -> None:
    out = mask_values(pa.array(["canary", "b", None]), CLOSED)
    assert all(b"canary" not in buffer.to_pybytes() for buffer in out.buffers() if buffer is not None)


def test_where_nothing_is_closed_nothing_is_copied() -> None:
    values = pa.array(["a"])
    assert mask_values(values, None) is values
    assert mask_values(values, pa.array([False])) is values


def test_a_dictionary_has_no_null_among_its_entries() -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array([None, "a"]))
    assert tidy_dictionary(values).is_null().to_pylist() == [True, False, True]


def test_a_dictionary_far_wider_than_its_column_is_cut_down() -> None:
    values = pa.array([str(number) for number in range(100)]).dictionary_encode().slice(7, 2)
    assert tidy_dictionary(values).dictionary.to_pylist() == ["7", "8"]


def test_a_companion_stands_beside_each_element_and_is_null_where_it_is_closed() -> None:
    columns = {"apps": APPS, "o": pa.string()}
    raw = records(columns, {"o": "x", "apps": [{"name": "a"}, {"name": "b"}]}, {"o": "y", "apps": [{"name": "c"}]})
    place = leaf(raw, Pointer.parse("/apps/*/name"))
    batch = Batch(raw, closed={"o": pa.array([False, True])})
    assert companion_values(batch, "o", place).to_pylist() == ["x", "x", None]
