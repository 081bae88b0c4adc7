"""Export files: a payload as Parquet, NDJSON or CSV, staged in a private folder and published at the end.

Publishing never overwrites a file. CSV follows RFC 4180; text that a spreadsheet would execute as a formula gets an
apostrophe in front (CWE-1236).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from minimize.arrow.dictionaries import value_type
from minimize.errors import ConfigurationError, OutputError, SchemaError, describe_os_error
from minimize.output.publish import make_working_folder
from minimize.output.sink import ParquetSink
from minimize.stores import file_operations
from minimize.stores.durable_files import HashingFile, remove_tree
from minimize.stores.file_operations import sync_folder
from minimize.text import FORMULA, NUMBER
from minimize.times import time_text


class ExportWriter(Protocol):
    """Writes batches to a file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the next batch."""
        ...

    def close(self) -> str:
        """Finishes the file; returns its digest."""
        ...


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format of export files."""

    suffixes: tuple[str, ...]
    """Endings of its files; the first is that of new files."""
    open: Callable[[Path, pa.Schema], ExportWriter]
    """Opens a new file for rows of a schema."""
    option: str
    """The word for it in `subject export --format`."""
    count: Callable[[Path, pa.Schema], int] | None = None
    """Counts the rows of a finished file with a schema; None if that takes a parser."""
    nested: bool = True
    """Whether it can represent nested columns."""


class StagedExport:
    """A staged file. `publish` gives it its final name, `discard` removes it. Its digest is computed while it is written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Stages a file for a new path. Raises ConfigurationError for an unknown extension, OutputError if the path exists."""
        self.path, self.format = path, export_format(path)
        self._format, self._rows, self._schema = EXPORT_FORMATS[self.format], 0, schema
        _check_absent(path)
        if not self._format.nested:
            _check_flat(schema)
        self._folder = _private_folder(path)
        self._file = self._folder / f"payload{self._format.suffixes[0]}"
        self._writer = self._format.open(self._file, schema)

    def take(self, batch: pa.RecordBatch) -> None:
        """Writes the next rows. Raises SchemaError if the format cannot represent them."""
        self._rows += batch.num_rows
        is_written = False
        with suppress(pa.ArrowException, ValueError, TypeError):
            self._writer.write(batch)
            is_written = True
        if not is_written:
            raise SchemaError(f"{self.format} cannot represent these values", hint="Use a .parquet file.")

    def finish(self) -> tuple[str, int]:
        """Writes the file to disk. Returns its digest, and the number of rows found by reading it again."""
        digest, count = self._writer.close(), self._format.count
        return digest, self._rows if count is None else count(self._file, self._schema)

    def publish(self) -> Path:
        """Gives the file its final name. Raises OutputError if the path exists by now."""
        reason: str | None = None
        try:
            file_operations.link(self._file, self.path)
        except OSError as error:
            reason = describe_os_error(error)[0]
        if reason is not None:
            raise OutputError(
                f"{self.path} cannot be created: {reason}", hint="Pass a new path. A payload never overwrites a file."
            )
        sync_folder(self.path.parent)
        self.discard()
        return self.path

    def discard(self) -> None:
        """Removes the staged file."""
        with suppress(pa.ArrowException, OSError, SchemaError, ValueError):
            self._writer.close()
        remove_tree(self._folder)


class NdjsonExportWriter:
    """NDJSON: one object per line, nulls included, times as ISO 8601, bytes as Base64."""

    def __init__(self, path: Path, _: pa.Schema) -> None:
        self._file = HashingFile(path)

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the next batch, row by row, because Arrow has no writer for JSON."""
        lines = (json.dumps(row, ensure_ascii=False, default=json_default) for row in batch.to_pylist())
        self._file.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> str:
        """Writes the file to disk and closes it."""
        self._file.close()
        return self._file.digest


class CsvExportWriter:
    """CSV (RFC 4180) with a header. Nested columns are not supported.

    An apostrophe precedes text that a spreadsheet would execute as a formula (CWE-1236).
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = HashingFile(path)
        self._writer = pv.CSVWriter(self._file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes the next batch."""
        columns = [_escape_formulas(column) if _is_text(column.type) else column for column in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=batch.schema))

    def close(self) -> str:
        """Writes the file to disk and closes it."""
        self._writer.close()
        self._file.close()
        return self._file.digest


class ParquetExportWriter:
    """Parquet: one file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._sink = ParquetSink(path.parent, "", path.stem, schema)
        self.write = self._sink.write

    def close(self) -> str:
        """Writes the file to disk and closes it."""
        (written,) = self._sink.close()
        return written.digest


def _is_text(type_: pa.DataType) -> bool:
    kind = value_type(type_)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _escape_formulas(texts: pa.Array) -> pa.Array:
    """Adds an apostrophe before texts that begin like a formula and are not numbers."""
    if pa.types.is_dictionary(texts.type):
        return pa.DictionaryArray.from_arrays(texts.indices, _escape_formulas(texts.dictionary))
    formula = pc.and_not(pc.match_substring_regex(texts, FORMULA), pc.match_substring_regex(texts, NUMBER))
    return pc.if_else(
        formula, pc.binary_join_element_wise(pa.scalar("'", texts.type), texts, pa.scalar("", texts.type)), texts
    )


def _count_parquet_rows(path: Path, schema: pa.Schema) -> int:
    """The number of rows; -1 if the file has other columns."""
    read = pq.read_metadata(path)
    return int(read.num_rows) if read.schema.to_arrow_schema().names == schema.names else -1


def _count_lines(path: Path, _: pa.Schema) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


EXPORT_FORMATS: Final[Mapping[str, ExportFormat]] = MappingProxyType(
    {
        "ndjson": ExportFormat((".ndjson", ".jsonl"), NdjsonExportWriter, "json", _count_lines),
        "csv": ExportFormat((".csv",), CsvExportWriter, "csv", nested=False),
        "parquet": ExportFormat((".parquet",), ParquetExportWriter, "parquet", _count_parquet_rows),
    }
)
"""The formats of payloads and subject exports, by the names that disclosures record."""
EXPORT_OPTIONS: Final[Mapping[str, ExportFormat]] = MappingProxyType(
    {each.option: each for each in EXPORT_FORMATS.values()}
)
"""The same formats, by the words of `subject export --format`."""


def export_format(path: Path) -> str:
    """The format of a path, by its file extension. Raises ConfigurationError."""
    format_name = next((name for name, each in EXPORT_FORMATS.items() if path.suffix.lower() in each.suffixes), None)
    if format_name is None:
        suffixes = ", ".join(suffix for each in EXPORT_FORMATS.values() for suffix in each.suffixes)
        raise ConfigurationError("unknown file type of the payload", hint=f"Use one of {suffixes}.")
    return format_name


def _check_flat(schema: pa.Schema) -> None:
    nested = [each.name for each in schema if pa.types.is_nested(each.type)]
    if nested:
        raise ConfigurationError(f"CSV cannot represent the nested column {nested[0]}", hint="Use Parquet or NDJSON.")


def _check_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise OutputError(f"{path} exists already", hint="Pass a new path. A payload never overwrites a file.")


def _private_folder(path: Path) -> Path:
    """Makes a private folder next to the path, and removes those that killed processes left."""
    reason: str | None = None
    try:
        return make_working_folder(path.parent, "sharing")
    except OSError as error:
        reason = describe_os_error(error)[0]
    raise OutputError(
        f"the folder of {path} is not writable: {reason}", hint="Check that the folder exists and is writable."
    )


def json_default(value: Any) -> Any:
    """Converts a value that JSON cannot represent: times to ISO 8601, bytes to Base64, others to text."""
    if isinstance(value, datetime):
        return time_text(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)
