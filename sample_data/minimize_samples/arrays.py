"""Arrays of generated values, by the million: ids, digits, picks from pools, times; and columns as JSON lines.

In JSON, each column becomes fragments `"key":value`, and a null is an absent member.

>>> import pyarrow as pa
>>> json_objects({"a": pa.array([1, 2]), "b": pa.array(["x", None])}).to_pylist()
['{"a":1,"b":"x"}', '{"a":2}']
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools

Ints = npt.NDArray[np.int64]
Random = np.random.Generator

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_CAPITALS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
_SERIAL = np.frombuffer(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789", np.uint8)
_DASHES = (8, 12, 16, 20)


def guids(random: Random, count: int) -> pa.StringArray:
    """Random GUIDs of version 4."""
    digits = random.integers(0, 16, (count, 32), np.uint8)
    digits[:, 12] = 4
    digits[:, 16] = 8 + digits[:, 16] % 4
    return fixed_width_strings(np.insert(_HEX[digits], _DASHES, ord("-"), axis=1))


def serials(random: Random, count: int, width: int = 10) -> pa.StringArray:
    """Serial numbers that are not from any manufacturer."""
    return fixed_width_strings(_SERIAL[random.integers(0, 32, (count, width), np.uint8)])


def macs(random: Random, count: int) -> pa.StringArray:
    """Locally administered MAC addresses."""
    letters = np.full((count, 17), ord(":"), np.uint8)
    places = [place for place in range(17) if place % 3 != 2]
    letters[:, places] = _HEX[random.integers(0, 16, (count, 12), np.uint8)]
    letters[:, :2] = np.frombuffer(b"02", np.uint8)
    return fixed_width_strings(letters)


def imeis(random: Random, count: int) -> pa.StringArray:
    """IMEIs of the test range (type allocation code 00101700), with their check digit. A million of them differ."""
    return with_check_digit("00101700", random.integers(0, 1_000_000) + np.arange(count) * 611_953, 6)


def iccids(random: Random, count: int) -> pa.StringArray:
    """Numbers of SIM cards of country code 999, which is not assigned, with their check digit."""
    return with_check_digit("8999901", random.integers(0, 10**11, count), 11)


def with_check_digit(prefix: str, numbers: Ints, width: int) -> pa.StringArray:
    """The prefix, the last digits of each number, and the check digit after Luhn (ISO/IEC 7812-1)."""
    digits = np.zeros((len(numbers), len(prefix) + width), np.int64)
    digits[:, : len(prefix)] = [int(digit) for digit in prefix]
    digits[:, len(prefix) :] = numbers[:, np.newaxis] // 10 ** np.arange(width)[::-1] % 10
    doubled = digits[:, ::-1][:, ::2] * 2
    total = digits[:, ::-1][:, 1::2].sum(axis=1) + (doubled // 10 + doubled % 10).sum(axis=1)
    return fixed_width_strings(np.column_stack([digits, -total % 10]).astype(np.uint8) + np.uint8(ord("0")))


def hexadecimals(random: Random, count: int, width: int) -> pa.StringArray:
    """Random hexadecimal digits in capitals."""
    return fixed_width_strings(_CAPITALS[random.integers(0, 16, (count, width), np.uint8)])


def secrets(random: Random, count: int, width: int = 24) -> pa.StringArray:
    """Random letters and digits in the form of a secret, without access to anything."""
    return fixed_width_strings(_LETTERS[random.integers(0, 64, (count, width), np.uint8)])


def fixed_width_strings(letters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Strings of equal length from a matrix of ASCII codes."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters).tobytes())
    )


def random_codes(random: Random, count: int, size: int, skew: float = 0.0) -> Ints:
    """Picks from a pool of `size` values: uniform, or, the higher the skew, with the first more frequent than the last."""
    if not skew:
        return random.integers(0, size, count)
    weights = 1.0 / np.arange(1, size + 1) ** skew
    return np.searchsorted(np.cumsum(weights / weights.sum()), random.random(count)).clip(0, size - 1)


def weighted_codes(random: Random, count: int, weights: Sequence[float]) -> Ints:
    """Picks from a pool by weight."""
    return random.choice(len(weights), count, p=np.asarray(weights) / sum(weights))


def evenly_spread_codes(random: Random, count: int, weights: Sequence[float], step: float) -> Ints:
    """Picks from a pool by weight, evenly spread: any first part of the result has nearly these shares.

    `step` is irrational and different for each column.

    Source: the additive recurrence of Kronecker, as in Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods.
    """
    places = (random.random() + np.arange(count) * step) % 1
    return np.searchsorted(np.cumsum(np.asarray(weights) / sum(weights)), places).clip(0, len(weights) - 1)


def random_mask(random: Random, count: int, share: float) -> Bools:
    """True for about this share of the rows."""
    return random.random(count) < share


def ordinals_in_group(groups: Ints) -> Ints:
    """The number of earlier rows of the same group, for each row."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(groups)]
    starts = np.maximum.accumulate(np.where(first, np.arange(len(groups)), 0))
    result = np.empty(len(groups), np.int64)
    result[order] = np.arange(len(groups)) - starts
    return result


def pool_values(
    pool: Sequence[Any], codes: Ints, where: Bools | None = None, type: pa.DataType | None = None
) -> pa.Array:
    """Values of a pool by their place in it, dictionary-encoded; null where the mask is false."""
    rows = pa.array(codes.astype(np.int32), mask=None if where is None else ~where)
    return pa.DictionaryArray.from_arrays(rows, pa.array(pool, type))


def take_or_null(column: pa.Array, rows: Ints) -> pa.Array:
    """The values at these places, null for a negative one."""
    return column.take(pa.array(rows, mask=rows < 0))


def null_unless(values: pa.Array, where: Bools) -> pa.Array:
    """The values where the mask is true, null elsewhere."""
    return take_or_null(values, np.where(where, np.arange(len(values)), -1))


def timestamp_array(milliseconds: Ints) -> pa.TimestampArray:
    """Milliseconds since 1970, UTC, as times."""
    return pa.array(milliseconds, pa.timestamp("ms", "UTC"))


def date_array(days: Ints) -> pa.Date32Array:
    """Days since 1970 as dates."""
    return pa.array(days.astype(np.int32), pa.int32()).cast(pa.date32())


ColumnsByName = Mapping[str, pa.Array]
"""Columns of equal length by name. Strings that need an escape in JSON must be dictionary-encoded; other strings may be."""


def json_objects(columns: ColumnsByName) -> pa.StringArray:
    """An object for each row."""
    return concatenate("{", join_members(json_members(columns)), "}")


def json_members(columns: ColumnsByName) -> list[pa.StringArray]:
    """Each column as `"key":value`; null stays null."""
    return [encode_json(values, json.dumps(key) + ":") for key, values in columns.items()]


def join_members(columns: list[pa.StringArray]) -> pa.StringArray:
    """Fragments with commas between them, row by row; nulls are left out.

    Arrow drops a row in which all are null, so that such a row gets an empty fragment.
    """
    if all(column.null_count for column in columns):
        empty = reduce(pc.and_, (column.is_null() for column in columns))
        columns = [pc.if_else(empty, "", columns[0]), *columns[1:]]
    return pc.binary_join_element_wise(*columns, ",", null_handling="skip")


def encode_json(values: pa.Array, before: str = "") -> pa.StringArray:
    """Values as JSON after some text; null stays null."""
    type_ = values.type
    if pa.types.is_dictionary(type_):
        return _encode_distinct(values.dictionary, before).take(values.indices)
    if pa.types.is_string(type_):
        return concatenate(f'{before}"', values, '"')
    if pa.types.is_timestamp(type_):
        text = pc.utf8_replace_slice(values.cast(pa.string()), 10, 11, "T")
        return concatenate(f'{before}"', text, '"')
    if pa.types.is_date(type_):
        return concatenate(f'{before}"', values.cast(pa.string()), '"')
    if pa.types.is_list(type_):
        return concatenate(f"{before}[", pc.binary_join(_list_like(values, encode_json(_elements(values))), ","), "]")
    if pa.types.is_struct(type_):
        children = {field.name: values.field(field.name) for field in type_}
        return pc.if_else(values.is_valid(), concatenate(before, json_objects(children)), None)
    return concatenate(before, values.cast(pa.string())) if before else values.cast(pa.string())


def decode_dictionaries(values: pa.Array) -> pa.Array:
    """The values for other formats: without dictionaries."""
    if pa.types.is_dictionary(values.type):
        return decode_dictionaries(values.dictionary).take(values.indices)
    if pa.types.is_list(values.type):
        return _list_like(values, decode_dictionaries(_elements(values)))
    if pa.types.is_struct(values.type):
        children = [decode_dictionaries(values.field(field.name)) for field in values.type]
        mask = values.is_null() if values.null_count else None
        return pa.StructArray.from_arrays(children, names=values.type.names, mask=mask)
    return values


def concatenate(*parts: str | pa.StringArray) -> pa.StringArray:
    """Texts and columns put together row by row; null where any part is null."""
    return pc.binary_join_element_wise(*parts, "")


def _encode_distinct(values: pa.Array, before: str) -> pa.StringArray:
    """Distinct values as JSON, those of strings and maps one by one."""
    if pa.types.is_string(values.type):
        texts = [json.dumps(value, ensure_ascii=False) for value in values.to_pylist()]
        return pc.if_else(values.is_valid(), pa.array([before + text for text in texts], pa.string()), None)
    if pa.types.is_map(values.type):
        return pa.array([before + json.dumps(dict(value)) for value in values.to_pylist()], pa.string())
    return encode_json(values, before)


def _elements(lists: pa.ListArray) -> pa.Array:
    """The elements of all lists. `flatten` fails if all lists are null and the elements are structs of a dictionary."""
    return lists.values[:0] if lists.null_count == len(lists) else lists.flatten()


def _list_like(like: pa.ListArray, values: pa.Array) -> pa.ListArray:
    """A list of other values for each list, as many of them, in their order."""
    sizes = pc.fill_null(pc.list_value_length(like), 0).to_numpy(zero_copy_only=False)
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int32)
    mask = like.is_null() if like.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)
