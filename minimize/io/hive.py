"""Partition folders by the Hive convention: `key=value`, percent-encoded, nested in the order of the keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.errors import SchemaError

NULL: Final = "__HIVE_DEFAULT_PARTITION__"
LONGEST: Final = 255
"""The longest name of a folder, in bytes."""


def split(batch: pa.RecordBatch, keys: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The batch by the folder that its rows belong to, rows in their order, the keys' columns taken out.

    A null key goes to the folder that Hive keeps for it. Raises SchemaError for a key of a type that no folder can be named by.

    >>> rows = pa.record_batch({"x": [1, 2], "tenant": ["a/b", None]})
    >>> [(folder, part.to_pydict()) for folder, part in split(rows, ["tenant"])]
    [('tenant=a%2Fb', {'x': [1]}), ('tenant=__HIVE_DEFAULT_PARTITION__', {'x': [2]})]
    """
    encoded = [_encoded(batch.column(key), key) for key in keys]
    places, groups = _groups([codes for codes, _ in encoded])
    rest = batch.select([name for name in batch.schema.names if name not in keys])
    if len(groups) > 1:
        narrow = places.astype(np.min_scalar_type(len(groups)))
        rest = rest.take(pa.array(np.argsort(narrow, kind="stable")))
    start = 0
    for group, rows in zip(groups, np.bincount(places, minlength=len(groups)), strict=True):
        names = (names[code] for (_, names), code in zip(encoded, group, strict=True))
        yield "/".join(names), rest.slice(start, int(rows))
        start += int(rows)


def nowhere(keys: Sequence[str]) -> str:
    """The folder of rows whose keys are all null; an empty partition keeps its type there."""
    return "/".join(f"{key}={NULL}" for key in keys)


def value_of(part: str) -> tuple[str, str | None]:
    """The key and value that a folder's name says.

    >>> value_of("tenant=a%2Fb"), value_of("tenant=__HIVE_DEFAULT_PARTITION__")
    (('tenant', 'a/b'), ('tenant', None))
    """
    key, _, text = part.partition("=")
    return key, None if text == NULL else unquote(text)


def check_key(name: str, type_: pa.DataType) -> None:
    """Raises SchemaError where values of this type cannot name folders."""
    if not any(test(type_) for test in _NAMES_FOLDERS):
        raise SchemaError(f"a partition cannot be named by {name}", hint="string, integer, boolean and date can")


def folder(key: str, value: Any) -> str:
    """The name of the folder of a value."""
    text = NULL if value is None else quote(_word(value), safe="")
    return f"{key}={text.replace('_', '%5F', 1) if value is not None and text == NULL else text}"


def _encoded(column: pa.Array, key: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.dictionary_encode(null_encoding="encode")
    names = [folder(key, value) for value in encoded.dictionary.to_pylist()]
    if any(len(name.encode()) > LONGEST for name in names):
        raise SchemaError("a partition's value is too long for the name of a folder")
    return encoded.indices.to_numpy().astype(np.int64), names


def _groups(codes: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row its group, and for each group its codes."""
    places = first = np.zeros(len(codes[0]), np.int64)
    for column in codes:
        joint = places * (column.max() + 1) + column
        _, first, places = np.unique(joint, return_index=True, return_inverse=True)
    return places, np.stack([column[first] for column in codes], axis=1)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


_NAMES_FOLDERS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_date,
)
