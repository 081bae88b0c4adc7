"""Read one file of an output: its columns, and those that are partition folders."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import inf
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.checkpoints import checkpoint
from minimize.errors import OutOfMemoryError, OutputError
from minimize.keys import Kms
from minimize.keys.parquet_encryption import open_parquet
from minimize.output.folder import partition_values
from minimize.output.sink import FULL_SCHEMA_KEY
from minimize.sources.parquet import SMALL_VALUE_BYTES, ParquetFooter
from minimize.stores import Location

BATCH_ROWS = 1 << 17
SMALL_FILE_ROWS: Final = 1 << 14
"""Rows of a file up to which its columns are decoded one after the other."""
MAX_GROUP_ROWS: Final = 1 << 21
"""Maximum rows of a row group that is read at once if its texts are read as dictionaries."""
MAX_GROUP_BYTES: Final = 128 << 20
"""Maximum uncompressed size of such a row group."""


def date_scalar(on: str | None) -> pa.Scalar:
    """A batch date as a value of the column that is added to rows when they are read; null for None."""
    return pa.scalar(None if on is None else date.fromisoformat(on), pa.date32())


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of an output."""

    path: str
    """The path relative to the output folder."""
    file: pq.ParquetFile
    schema: pa.Schema
    """The file's schema as its readers see it, with the metadata about the whole schema."""
    whole: pa.Schema
    """The schema with the columns that are folders, in the output's order."""
    coded: bool = False
    """Whether texts are read as dictionaries. A small row group is then read at once, so that work per dictionary entry is
    done only once.
    """
    sealed: bool = False
    """Whether the file is in memory, because it was stored sealed."""

    def table(self) -> pa.Table:
        """All rows, with the columns that are folders. Raises OutputError for a damaged file."""
        return pa.Table.from_batches(self.batches(), self.whole)

    def batches(
        self, groups: Sequence[int] | None = None, columns: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """All rows in bounded batches; only these row groups and columns, if passed."""
        checkpoint("stored.read", self.path)
        folders = partition_values(self.path)
        schema = self.whole if columns is None else pa.schema([each for each in self.whole if each.name in columns])
        stored_names = None if columns is None else [name for name in self.schema.names if name in columns]
        for some, most in self._turns(groups):
            rows = self._read(most, some, stored_names)
            while (batch := _next_batch(rows, self.path)) is not None:
                yield _add_partition_columns(batch, folders, schema)
                del batch  # otherwise it stays in memory while the next one is read

    def column(self, name: str, group: int) -> Iterator[pa.RecordBatch]:
        """One column of one row group, in bounded batches."""
        rows = self._read(self._batch_rows(group), [group], [name])
        while (batch := _next_batch(rows, self.path)) is not None:
            yield batch

    def _read(self, most: int, groups: Sequence[int] | None, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        """Batches of at most so many rows. For a small file, threads cost more than they save."""
        threads = self.file.metadata.num_rows > SMALL_FILE_ROWS
        yield from self.file.iter_batches(most, row_groups=groups, columns=columns, use_threads=threads)

    def _turns(self, groups: Sequence[int] | None) -> Iterator[tuple[Sequence[int] | None, int]]:
        """The row groups that are read one after the other, with the number of rows per batch."""
        if not self.coded:
            yield groups, BATCH_ROWS
            return
        all_groups = range(self.file.metadata.num_row_groups) if groups is None else groups
        yield from (([group], self._batch_rows(group)) for group in all_groups)

    def _batch_rows(self, group: int) -> int:
        if not self.coded:
            return BATCH_ROWS
        about = self.file.metadata.row_group(group)
        return (
            MAX_GROUP_ROWS
            if about.num_rows <= MAX_GROUP_ROWS and about.total_byte_size <= MAX_GROUP_BYTES
            else BATCH_ROWS
        )


def open_stored_file(
    output: Location, path: str, kms: Kms | None = None, *, encoded: bool = False, also: Collection[str] = ()
) -> StoredFile:
    """Opens one file. Raises OutputError if it is missing or not a Parquet file, KeyringError if it is encrypted and a key is not
    available.

    With `encoded`, its batches have dictionaries for texts with few distinct values, and for the columns named in `also`. The
    schema stays plain.
    """
    checkpoint("stored.opened", path)
    file = _open_or_none(output, path, kms)
    if file is None:
        raise OutputError(f"{path} is missing or damaged", hint="Run `minimize verify` to check all files.")
    stored = as_stored_file(path, file)
    return with_dictionaries(stored, output, kms, [*small_text_columns(file), *also]) if encoded else stored


def with_dictionaries(stored: StoredFile, output: Location, kms: Kms | None, names: Collection[str]) -> StoredFile:
    """An opened file whose batches have dictionaries for those of these columns that are texts written with dictionaries."""
    if stored.sealed:
        return stored
    footer = ParquetFooter(stored.file.metadata, stored.file.schema_arrow)
    texts = [name for name in stored.schema.names if name in names and footer.has_small_values(name, most=inf)]
    if not texts:
        return stored
    again = open_parquet(output / stored.path, kms, read_dictionary=texts, name=stored.path)
    return replace(stored, file=again, coded=True)


def as_stored_file(path: str, file: pq.ParquetFile) -> StoredFile:
    """The stored file of an opened file, by its path relative to the output folder."""
    schema = file.schema_arrow
    packed = (file.metadata.metadata or {}).get(FULL_SCHEMA_KEY)
    if packed is None:
        return StoredFile(path, file, schema, schema)
    full_schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(packed)))
    fields = [schema.field(each.name) if each.name in schema.names else each for each in full_schema]
    whole = pa.schema(fields, full_schema.metadata)
    return StoredFile(path, file, schema.with_metadata({**(schema.metadata or {}), FULL_SCHEMA_KEY: packed}), whole)


def _add_partition_columns(batch: pa.RecordBatch, folders: dict[str, str | None], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        batch.column(field.name)
        if field.name in batch.schema.names
        else _constant_column(folders[field.name], field.type, batch.num_rows)
        for field in schema
    ]
    fields = [each.with_type(array.type) for each, array in zip(schema, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, schema.metadata))


def small_text_columns(file: pq.ParquetFile, most: float = SMALL_VALUE_BYTES) -> list[str]:
    """The text columns that are worth reading as dictionaries: those with few uncompressed bytes per value."""
    footer = ParquetFooter(file.metadata, file.schema_arrow)
    return [each.name for each in file.schema_arrow if footer.has_small_values(each.name, most)]


def _open_or_none(output: Location, path: str, kms: Kms | None) -> pq.ParquetFile | None:
    try:
        return open_parquet(output / path, kms, name=path)
    except MemoryError:  # Arrow's memory error is a subclass
        full = True
    except (OSError, pa.ArrowException):
        full = False
    if full:
        raise OutOfMemoryError.for_location(f"while {path} was opened")
    return None


def _next_batch(rows: Iterator[pa.RecordBatch], path: str) -> pa.RecordBatch | None:
    try:
        return next(rows, None)
    except MemoryError:
        full = True
    except (OSError, pa.ArrowException):
        full = False
    if full:
        raise OutOfMemoryError.for_location(f"while {path} was read")
    raise OutputError(f"{path} is damaged", hint="Run `minimize verify` to check all files.")


def _constant_column(value: str | None, type_: pa.DataType, rows: int) -> pa.Array:
    return pa.nulls(rows, type_) if value is None else pa.repeat(pa.scalar(value).cast(type_), rows)
