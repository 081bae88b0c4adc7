"""Export files: a payload as Parquet, NDJSON or CSV, staged in a private folder and published at the end.

Publishing never overwrites a file. CSV follows RFC 4180; text that a spreadsheet would run as a formula gets an
apostrophe in front (CWE-1236).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from minimize.arrow.dictionaries import value_type
from minimize.errors import ConfigurationError, OutputError, SchemaError
from minimize.output.sink import ParquetSink
from minimize.output.working_folder import make_working_folder
from minimize.stores import file_operations
from minimize.stores.durable_files import HashingFile, file_digest, remove_tree
from minimize.stores.file_operations import sync_folder
from minimize.times import time_text

EXPORT_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {".parquet": "parquet", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}
)


class ExportWriter(Protocol):
    """Writes batches to a file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes the next batch."""
        ...

    def close(self) -> Any:
        """Finishes the file."""
        ...


_FORMULA: Final = r"\A(?:[\t\r]|\s*[=+\-@])"
_NUMBER: Final = r"\A[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z"


class StagedExport:
    """A file on its way. It gets its name with `publish`, and is gone with `abandon`; its digest is taken while it is written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Takes a path where nothing stands. Raises ConfigurationError for another ending, OutputError."""
        self.path, self.format = path, export_format(path)
        _check_absent(path)
        if self.format == "csv":
            _check_flat(schema)
        self._rows, self._schema = 0, schema
        self._folder = _private_folder(path)
        self._file = self._folder / f"payload.{self.format}"
        self._writer = self._open(schema)

    def take(self, batch: pa.RecordBatch) -> None:
        """Takes the next rows. Raises SchemaError where the format has no way to write them."""
        self._rows += batch.num_rows
        done = False
        with suppress(pa.ArrowException, ValueError, TypeError):
            self._writer.write(batch)
            done = True
        if not done:
            raise SchemaError(f"{self.format} has no way to write these values", hint="write Parquet")

    def finish(self) -> tuple[str, int]:
        """Brings the file to the disk; gives its digest and the rows that stand in it when it is read again."""
        self._writer.close()
        return file_digest(self._file), self._count_lines()

    def publish(self) -> Path:
        """Gives the file its name. Raises OutputError where something stands there by now."""
        reason: str | None = None
        try:
            file_operations.link(self._file, self.path)
        except OSError as error:
            reason = error.strerror
        if reason is not None:
            raise OutputError(
                f"{self.path} was not made: {reason}", hint="a payload is never written over another file"
            )
        sync_folder(self.path.parent)
        self.discard()
        return self.path

    def discard(self) -> None:
        """Removes what was written aside."""
        with suppress(pa.ArrowException, OSError, SchemaError, ValueError):
            self._writer.close()
        remove_tree(self._folder)

    def _open(self, schema: pa.Schema) -> ExportWriter:
        if self.format == "parquet":
            return ParquetSink(self._folder, "", "payload", schema)
        return NdjsonExportWriter(self._file) if self.format == "ndjson" else CsvExportWriter(self._file, schema)

    def _count_lines(self) -> int:
        if self.format == "parquet":
            read = pq.read_metadata(self._file)
            return int(read.num_rows) if read.schema.to_arrow_schema().names == self._schema.names else -1
        if self.format == "csv":
            return self._rows
        with self._file.open("rb") as lines:
            return sum(1 for _ in lines)


class NdjsonExportWriter:
    """NDJSON: one object a line, nulls included, times as ISO 8601, bytes as Base64."""

    def __init__(self, path: Path) -> None:
        self._file = HashingFile(path)

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes the next batch. Objects are made row by row: Arrow has no writer for JSON."""
        lines = (json.dumps(row, ensure_ascii=False, default=json_default) for row in batch.to_pylist())
        self._file.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Brings the file to the disk."""
        self._file.close()


class CsvExportWriter:
    """CSV (RFC 4180) with a header; nested columns have no place in it.

    An apostrophe goes before a text that a spreadsheet would run as a formula (CWE-1236).
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = HashingFile(path)
        self._writer = pv.CSVWriter(self._file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes the next batch."""
        columns = [_escape_formulas(column) if _is_text(column.type) else column for column in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))

    def close(self) -> None:
        """Brings the file to the disk."""
        self._writer.close()
        self._file.close()


def _is_text(type_: pa.DataType) -> bool:
    kind = value_type(type_)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _escape_formulas(texts: pa.Array) -> pa.Array:
    """The texts with an apostrophe before those that begin as a formula does and are no numbers."""
    if pa.types.is_dictionary(texts.type):
        return pa.DictionaryArray.from_arrays(texts.indices, _escape_formulas(texts.dictionary))
    formula = pc.and_not(pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(texts, _NUMBER))
    return pc.if_else(
        formula, pc.binary_join_element_wise(pa.scalar("'", texts.type), texts, pa.scalar("", texts.type)), texts
    )


def export_format(path: Path) -> str:
    """The format that a path's ending names. Raises ConfigurationError."""
    found = EXPORT_FORMATS.get(path.suffix.lower())
    if found is None:
        raise ConfigurationError("the payload's path names no format", hint=f"end it in {', '.join(EXPORT_FORMATS)}")
    return found


def _check_flat(schema: pa.Schema) -> None:
    nested = [each.name for each in schema if pa.types.is_nested(each.type)]
    if nested:
        raise ConfigurationError(f"{nested[0]} is nested, and CSV is not", hint="write Parquet or NDJSON")


def _check_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise OutputError(f"{path} is there already", hint="a payload is never written over another file")


def _private_folder(path: Path) -> Path:
    """A new folder next to the path that only its owner can look into. What killed processes left there is removed."""
    reason: str | None = None
    try:
        return make_working_folder(path.parent, "sharing")
    except OSError as error:
        reason = error.strerror
    raise OutputError(f"nothing can be written beside {path}: {reason}", hint="does its folder exist?")


def json_default(value: Any) -> Any:
    """A value that JSON has no form for: times as ISO 8601, bytes as Base64, else its text."""
    if isinstance(value, datetime):
        return time_text(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)
