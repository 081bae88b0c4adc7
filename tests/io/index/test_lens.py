"""What is hashed of a value, and what a key makes of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from minimize.arrow.pointers import Pointer
from minimize.output.subject_index import VALUES_PURPOSE, IndexKey, can_be_indexed, distinct_subjects, value_bytes
from tests.io.index.making import Keys, table


def test_a_prefix_is_the_first_eight_bytes_of_the_cmac() -> None:
    cmac = CMAC(AES(Keys().subkey("subject", VALUES_PURPOSE)))
    cmac.update("é".encode())
    [prefix] = IndexKey.from_keys(Keys()).prefixes_of(["é"])
    assert prefix.tobytes() == cmac.finalize()[:8]


def test_prefixes_come_in_order_each_once() -> None:
    prefixes = IndexKey.from_keys(Keys()).prefixes_of([f"d{number % 50}" for number in range(100)])
    assert len(prefixes) == 50
    assert np.all(prefixes[1:] > prefixes[:-1])


@pytest.mark.parametrize(
    ("values", "given"),
    [
        (pa.array(["a", "bc", "ü"]), ["a", "bc", "ü"]),
        (pa.array(["a", "bc"], pa.large_string()), ["a", "bc"]),
        (pa.array([0, -7, 2**40]), [0, -7, 2**40]),
        (pa.array([5], pa.uint8()), [5]),
        (pa.array([b"\0", b"ab"]), [b"\0", b"ab"]),
        (pa.array(["x", "a", "bc", "x"])[1:3], ["a", "bc"]),
        (pa.array([], pa.string()), []),
    ],
)
def test_a_column_and_the_same_values_in_python_have_the_same_prefixes(
    values: pa.Array, given: list[str | int | bytes]
) -> None:
    lens = IndexKey.from_keys(Keys())
    assert lens.prefixes(values).tolist() == lens.prefixes_of(given).tolist()
    assert [value_bytes(value) for value in given] == [value_bytes(value) for value in values.to_pylist()]


def test_each_version_of_the_key_gives_other_prefixes() -> None:
    assert IndexKey.from_keys(Keys(2)).version == 2
    assert IndexKey.from_keys(Keys(2)).prefixes_of(["a"]) != IndexKey.from_keys(Keys(2), 1).prefixes_of(["a"])
    assert IndexKey.from_keys(Keys(2), 1).prefixes_of(["a"]) == IndexKey.from_keys(Keys(1)).prefixes_of(["a"])


def test_distinct_values_leave_out_nulls_and_entries_that_no_row_uses() -> None:
    spare = pa.DictionaryArray.from_arrays(pa.array([2, None, 2, 0], pa.int32()), pa.array(["a", "spare", "b"]))
    for values in (spare, spare.cast(pa.string())):
        assert sorted(distinct_subjects(table(values), Pointer.parse("device")).to_pylist()) == ["a", "b"]


def test_distinct_values_are_found_in_structs_lists_and_several_chunks() -> None:
    nested = pa.table({"d": [{"ids": ["a", None]}, None, {"ids": []}, {"ids": ["b", "a"]}]})
    twice = pa.concat_tables([nested, nested.slice(0, 1)])
    assert sorted(distinct_subjects(twice, Pointer.parse("/d/ids/*")).to_pylist()) == ["a", "b"]


@pytest.mark.parametrize("type_", [pa.string(), pa.int32(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_text_whole_numbers_and_bytes_can_be_indexed(type_: pa.DataType) -> None:
    assert can_be_indexed(type_)


@pytest.mark.parametrize("type_", [pa.float64(), pa.bool_(), pa.timestamp("us"), pa.struct([])])
def test_nothing_else_can(type_: pa.DataType) -> None:
    assert not can_be_indexed(type_)
