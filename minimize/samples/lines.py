"""JSON lines from whole columns: each column becomes fragments `"key":value`, and a null is an absent member.

>>> import pyarrow as pa
>>> records({"a": pa.array([1, 2]), "b": pa.array(["x", None])}).to_pylist()
['{"a":1,"b":"x"}', '{"a":2}']
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Columns = Mapping[str, pa.Array]
"""Columns of equal length by name. Strings that need an escape in JSON are dictionary-encoded; other strings may be."""


def records(columns: Columns) -> pa.StringArray:
    """An object for each row."""
    return concatenated("{", joined(fragments(columns)), "}")


def fragments(columns: Columns) -> list[pa.StringArray]:
    """Each column as `"key":value`; null stays null."""
    return [encoded(values, json.dumps(key) + ":") for key, values in columns.items()]


def joined(columns: list[pa.StringArray]) -> pa.StringArray:
    """Fragments with commas between them, row by row; nulls are left out.

    Arrow drops a row in which all are null, so that such a row gets an empty fragment.
    """
    if all(column.null_count for column in columns):
        empty = reduce(pc.and_, (column.is_null() for column in columns))
        columns = [pc.if_else(empty, "", columns[0]), *columns[1:]]
    return pc.binary_join_element_wise(*columns, ",", null_handling="skip")


def encoded(values: pa.Array, before: str = "") -> pa.StringArray:
    """Values as JSON after some text; null stays null."""
    type_ = values.type
    if pa.types.is_dictionary(type_):
        return _dictionary(values.dictionary, before).take(values.indices)
    if pa.types.is_string(type_):
        return concatenated(f'{before}"', values, '"')
    if pa.types.is_timestamp(type_):
        text = pc.utf8_replace_slice(values.cast(pa.string()), 10, 11, "T")
        return concatenated(f'{before}"', text, '"')
    if pa.types.is_date(type_):
        return concatenated(f'{before}"', values.cast(pa.string()), '"')
    if pa.types.is_list(type_):
        return concatenated(f"{before}[", pc.binary_join(_list(values, encoded(values.flatten())), ","), "]")
    if pa.types.is_struct(type_):
        children = {field.name: values.field(field.name) for field in type_}
        return pc.if_else(values.is_valid(), concatenated(before, records(children)), None)
    return concatenated(before, values.cast(pa.string())) if before else values.cast(pa.string())


def decoded(values: pa.Array) -> pa.Array:
    """The values as other formats hold them: without dictionaries."""
    if pa.types.is_dictionary(values.type):
        return decoded(values.dictionary).take(values.indices)
    if pa.types.is_list(values.type):
        return _list(values, decoded(values.flatten()))
    if pa.types.is_struct(values.type):
        children = [decoded(values.field(field.name)) for field in values.type]
        mask = values.is_null() if values.null_count else None
        return pa.StructArray.from_arrays(children, names=values.type.names, mask=mask)
    return values


def concatenated(*parts: str | pa.StringArray) -> pa.StringArray:
    """Texts and columns put together row by row; null where any part is null."""
    return pc.binary_join_element_wise(*parts, "")


def _dictionary(values: pa.Array, before: str) -> pa.StringArray:
    """Distinct values as JSON, those of strings and maps one by one."""
    if pa.types.is_string(values.type):
        texts = [json.dumps(value, ensure_ascii=False) for value in values.to_pylist()]
        return pc.if_else(values.is_valid(), pa.array([before + text for text in texts], pa.string()), None)
    if pa.types.is_map(values.type):
        return pa.array([before + json.dumps(dict(value)) for value in values.to_pylist()], pa.string())
    return encoded(values, before)


def _list(like: pa.ListArray, values: pa.Array) -> pa.ListArray:
    """A list of other values for each list, as many of them, in their order."""
    sizes = pc.fill_null(pc.list_value_length(like), 0).to_numpy(zero_copy_only=False)
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int32)
    mask = like.is_null() if like.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)
