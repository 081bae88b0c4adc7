"""JSON lines from whole columns: a member is a column of fragments `"key":value`, and a null fragment is an absent member.

>>> import pyarrow as pa
>>> record([member("a", numbers(pa.array([1, 2]))), member("b", texts(["x", None]))]).to_pylist()
['{"a":1,"b":"x"}', '{"a":2}']
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def texts(values: Sequence[str | None]) -> pa.StringArray:
    """Strings as JSON, null where there is none. For pools: one call a distinct value."""
    return pa.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values], pa.string())


def numbers(values: pa.Array) -> pa.StringArray:
    """Integers, doubles and booleans as JSON; null stays null."""
    return values.cast(pa.string())


def quoted(values: pa.StringArray) -> pa.StringArray:
    """Strings that need no escape (ids, times) as JSON; null stays null."""
    return concatenated('"', values, '"')


def member(key: str, values: pa.StringArray) -> pa.StringArray:
    """A member with this key for each JSON value; null where the value is null."""
    return concatenated(json.dumps(key) + ":", values)


def members(columns: Sequence[pa.StringArray]) -> pa.StringArray:
    """Several members side by side; those that are null are left out."""
    return pc.binary_join_element_wise(*columns, ",", null_handling="skip")


def record(columns: Sequence[pa.StringArray]) -> pa.StringArray:
    """An object for each row."""
    return concatenated("{", members(columns), "}")


def array(elements: pa.StringArray, sizes: pa.Int32Array) -> pa.StringArray:
    """A JSON array for each row, of so many of the elements, in order."""
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(sizes)])
    return concatenated("[", pc.binary_join(pa.ListArray.from_arrays(offsets, elements), ","), "]")


def concatenated(*parts: str | pa.StringArray) -> pa.StringArray:
    """Texts and columns put together row by row; null where any part is null."""
    return pc.binary_join_element_wise(*parts, "")
