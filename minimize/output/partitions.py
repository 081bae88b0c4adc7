"""Partition folders in the Hive convention, and rejection of records whose values are too long for a folder name.

Folders are `key=value`, nested in the order of the keys. ASCII characters other than letters, digits and `_.-~` are
percent-encoded; others are not, because Spark and Hive decode byte by byte. A record with too long a value is rejected
(`too_long`); the others are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.errors import SchemaError
from minimize.records import Chunk, PositionUnit, Reject
from minimize.sources.base import Source
from minimize.sources.binding import add_rejects
from minimize.sources.file_discovery import NULL_PARTITION
from minimize.sources.files import CheckedSource

_ENCODED: Final = re.compile(r"[\x00-\x7f]")
MAX_FOLDER_BYTES: Final = 255
"""Maximum length of a folder name in bytes."""


def split_by_partition(batch: pa.RecordBatch, keys: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The parts of a batch per folder, with rows in their order and without the columns of the keys.

    Rows with a null key are in Hive's folder for null. Raises SchemaError for a key whose type cannot name a folder.

    >>> rows = pa.record_batch({"x": [1, 2], "tenant": ["a/b", None]})
    >>> [(partition_folder, part.to_pydict()) for partition_folder, part in split_by_partition(rows, ["tenant"])]
    [('tenant=a%2Fb', {'x': [1]}), ('tenant=__HIVE_DEFAULT_PARTITION__', {'x': [2]})]
    """
    encoded = [_encode_key(batch.column(key), key) for key in keys]
    places, groups = _group_rows([codes for codes, _ in encoded])
    rest = batch.select([name for name in batch.schema.names if name not in keys])
    if len(groups) > 1:
        narrow = places.astype(np.min_scalar_type(len(groups)))
        rest = rest.take(pa.array(np.argsort(narrow, kind="stable")))
    start = 0
    for group, rows in zip(groups, np.bincount(places, minlength=len(groups)), strict=True):
        names = (names[code] for (_, names), code in zip(encoded, group, strict=True))
        yield "/".join(names), rest.slice(start, int(rows))
        start += int(rows)


def null_partition(keys: Sequence[str]) -> str:
    """The folder of rows whose keys are all null. An empty partition has its typed file there."""
    return "/".join(f"{key}={NULL_PARTITION}" for key in keys)


def parse_partition_folder(part: str) -> tuple[str, str | None]:
    """The key and value in the name of a folder.

    >>> parse_partition_folder("tenant=a%2Fb"), parse_partition_folder("tenant=__HIVE_DEFAULT_PARTITION__")
    (('tenant', 'a/b'), ('tenant', None))
    """
    key, _, text = part.partition("=")
    return key, None if text == NULL_PARTITION else unquote(text)


def partition_values(path: str) -> dict[str, str | None]:
    """The keys and values of the folders of an output's file."""
    return dict(parse_partition_folder(part) for part in PurePosixPath(path).parts[:-1] if "=" in part)


def check_partition_key(name: str, type_: pa.DataType) -> None:
    """Raises SchemaError if values of this type cannot name folders."""
    if not any(test(type_) for test in _PARTITION_TYPES):
        raise SchemaError(
            f"the type of {name} cannot name a partition", hint="Partition by a string, integer, boolean or date."
        )


def partition_folder(key: str, value: Any) -> str:
    """The name of the folder of a value."""
    text = NULL_PARTITION if value is None else _ENCODED.sub(lambda hit: quote(hit[0], safe=""), _value_text(value))
    return f"{key}={text.replace('_', '%5F', 1) if value is not None and text == NULL_PARTITION else text}"


def _encode_key(column: pa.Array, key: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    encoded = plain.dictionary_encode(null_encoding="encode")
    names = [partition_folder(key, value) for value in encoded.dictionary.to_pylist()]
    if any(len(name.encode()) > MAX_FOLDER_BYTES for name in names):
        raise SchemaError("a value of a partition field is too long for a folder name")
    return encoded.indices.to_numpy().astype(np.int64), names


def _group_rows(codes: Sequence[npt.NDArray[np.int64]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The group of each row, and the codes of each group."""
    places = first = np.zeros(len(codes[0]), np.int64)
    for column in codes:
        joint = places * (column.max() + 1) + column
        _, first, places = np.unique(joint, return_index=True, return_inverse=True)
    return places, np.stack([column[first] for column in codes], axis=1)


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


_PARTITION_TYPES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_date,
)


def reject_long_partitions(source: Source, keys: Sequence[str], unit: PositionUnit) -> Source:
    """The source without the records whose value in one of these columns is too long for a folder name (`is_too_long`)."""
    return CheckedSource(source, PartitionCheck(tuple(keys), unit), tuple(keys)) if keys else source


@dataclass(frozen=True, slots=True)
class PartitionCheck:
    """Rejects records whose value in one of these columns is too long for a folder name."""

    keys: tuple[str, ...]
    unit: PositionUnit

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with these records moved to its rejects."""
        bad = np.zeros(chunk.records.num_rows, bool)
        fields: dict[int, str] = {}
        for key in self.keys:
            mask = is_too_long(chunk.records.column(key), key)
            fields = dict.fromkeys(np.flatnonzero(mask).tolist(), f"/{key}") | fields
            bad |= mask
        if not bad.any() or chunk.positions is None:
            return chunk
        places = np.asarray(chunk.positions)
        rejects = [Reject(int(places[row]), self.unit, fields[row], "too_long") for row in sorted(fields)]
        good = pa.array(~bad)
        kept = replace(chunk, records=chunk.records.filter(good), positions=chunk.positions.filter(good))
        return add_rejects(replace(kept, read=chunk.read - len(rejects)), rejects)


def is_too_long(values: pa.Array, key: str) -> Bools:
    """Which values of a column are too long for a folder name. Only values that may be too long are encoded one by one."""
    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    texts = coded.dictionary
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return np.zeros(len(values), bool)
    most = np.asarray(pc.binary_length(texts).fill_null(0)) * 3 + len(partition_folder(key, "").encode())
    long = np.zeros(len(texts) + 1, bool)
    for place in np.flatnonzero(most > MAX_FOLDER_BYTES).tolist():
        long[place] = len(partition_folder(key, texts[place].as_py()).encode()) > MAX_FOLDER_BYTES
    found: Bools = long[coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)]
    return found
