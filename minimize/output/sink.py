"""Sinks: write Parquet files of released batches.

Digests are computed while a file is written. Also: files written by worker processes, and the entries of files in a receipt.

Quarantine: one row per record that could not be processed, with a stable code and a pointer to it. Never a value.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.arrow.pointers import Pointer
from minimize.arrow.scrub import scrub
from minimize.checkpoints import checkpoint
from minimize.errors import SchemaError
from minimize.keys.keyring import Subkeys
from minimize.keys.parquet_encryption import FileEncryption, OutputEncryption
from minimize.output.folder import check_partition_key, null_partition, split_by_partition
from minimize.output.subject_index import SubjectIndexer
from minimize.receipts import CompanionFile, ReceiptFile
from minimize.records import CompanionFactory, CompanionWriter, Reject, Sink, WrittenFile
from minimize.stores import Location, ObjectPath, file_operations
from minimize.stores.durable_files import HashingFile, move_file, remove_tree, with_output_errors


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The layout of files."""

    row_group: int = 1 << 20
    """Approximate rows of a row group; each row group has its own dictionaries."""
    enough: int = 500_000
    """Rows that are written at once, as a row group of their own, without waiting for more."""
    buffered: int = 256 << 20
    """Approximate maximum of buffered bytes, after which a row group is written early."""
    level: int = 1
    """The zstd compression level."""
    open: int = 64
    """Maximum number of open files if there are partition folders."""


@dataclass(slots=True)
class PendingBatches:
    """Batches of one folder that wait until they fill a row group."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds one batch."""
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes


PAGE_ROWS: Final = 1 << 18
"""Maximum rows of a page."""
FULL_SCHEMA_KEY: Final = b"minimize:schema"
"""The file metadata with the whole schema if some columns are partition folders."""


class ParquetSink:
    """Writes released batches under `root`/`folder`, as `stem`.parquet; `close` returns the files.

    Takes batches with the columns of `schema`, plain or dictionary-encoded; the form of a column in the first batch determines
    how it is written. Readers see the plain schema with its field metadata. The columns in `partition_by` become folders, with as
    many files as needed. Without rows, the sink writes an empty, typed file, or none (`empty=False`). Files are synced after
    `close`; the caller syncs their folders once for all sinks. Raises SchemaError for columns that are not in the schema. `watch`
    receives each file's row groups. The batches are not changed.
    """

    def __init__(
        self,
        root: Location,
        folder: str,
        stem: str,
        schema: pa.Schema,
        *,
        partition_by: Sequence[str] = (),
        empty: bool = True,
        shape: FileLayout | None = None,
        encryption: OutputEncryption | None = None,
        watch: CompanionFactory | None = None,
    ) -> None:
        for name in partition_by:
            check_partition_key(name, schema.field(name).type)
        self.schema = schema
        self._partition_by, self._empty, self._shape = tuple(partition_by), empty, shape or FileLayout()
        self._watch = watch
        self._root, self._folder, self._stem, self._encryption = root, folder, stem, encryption
        self._columns = [each for each in schema if each.name not in partition_by]
        self._stored: pa.Schema | None = None
        self._waiting: dict[str, PendingBatches] = {}
        self._open: dict[str, _ParquetFile] = {}
        self._counts: dict[str, int] = {}
        self._written: list[WrittenFile] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes one scrubbed batch of the sink's schema. Raises OutputError if the operating system refuses to write."""
        with_output_errors(self._take, batch, but=_PASSED_ERRORS)

    def close(self) -> Sequence[WrittenFile]:
        """Finishes the files and returns their entries by path. Raises OutputError if the operating system refuses to write."""
        return with_output_errors(self._close_files, but=_PASSED_ERRORS)

    def _take(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        for folder, rows in self._split(_order_columns(batch, self.schema)):
            self._waiting.setdefault(folder, PendingBatches()).add(self._fitted(rows))
        while self._is_full():
            self._flush(max(self._waiting, key=lambda folder: self._waiting[folder].rows))

    def _close_files(self) -> Sequence[WrittenFile]:
        for folder in [*self._waiting]:
            self._flush(folder)
        if self._empty and not self._written and not self._open:
            self._file(null_partition(self._partition_by))
        for folder in [*self._open]:
            self._finish(folder)
        return tuple(sorted(self._written, key=lambda file: file.path))

    def abandon(self) -> None:
        """Closes the open files; they are not valid."""
        for file in self._open.values():
            file.abandon()
        self._open.clear()
        self._waiting.clear()

    def _split(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        if not self._partition_by:
            yield "", batch
            return
        for folder, rows in split_by_partition(batch, self._partition_by):
            yield folder, scrub(rows)

    def _fitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._stored is None:
            self._stored = pa.schema([_stored_field(each, batch.column(each.name)) for each in self._columns])
        arrays = [_fit_column(column, each) for column, each in zip(batch.columns, self._stored, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._stored)

    def _is_full(self) -> bool:
        rows = sum(each.rows for each in self._waiting.values())
        bytes_ = sum(each.bytes for each in self._waiting.values())
        return rows >= min(self._shape.row_group, self._shape.enough) or bytes_ >= self._shape.buffered

    def _flush(self, folder: str) -> None:
        waiting = self._waiting.pop(folder)
        table = pa.Table.from_batches(waiting.batches)
        self._file(folder).write(table if len(waiting.batches) == 1 else table.combine_chunks(), self._shape.row_group)

    def _file(self, folder: str) -> _ParquetFile:
        file = self._open.pop(folder, None)
        if file is None:
            if len(self._open) >= self._shape.open:
                self._finish(next(iter(self._open)))
            file = self._open_file(folder)
        self._open[folder] = file
        return file

    def _open_file(self, folder: str) -> _ParquetFile:
        count = self._counts[folder] = self._counts.get(folder, 0) + 1
        name = self._stem if count == 1 else f"{self._stem}-{count - 1}"
        path = "/".join(part for part in (self._folder, folder, f"{name}.parquet") if part)
        stored = self._stored or pa.schema(self._columns)
        keyed = None if self._encryption is None else self._encryption.for_file(path, stored)
        beside = None if self._watch is None else self._watch(self._root, path)
        return _ParquetFile(self._root, path, stored, self._metadata(), self._shape.level, keyed, beside)

    def _metadata(self) -> dict[bytes, bytes]:
        """The metadata of the file's columns: the plain schema, and with partition folders the whole schema."""
        plain = pa.schema(self._columns, self.schema.metadata)
        metadata = {**(self.schema.metadata or {}), b"ARROW:schema": _encode_schema(plain)}
        return {**metadata, FULL_SCHEMA_KEY: _encode_schema(self.schema)} if self._partition_by else metadata

    def _finish(self, folder: str) -> None:
        self._written.append(self._open[folder].close())
        del self._open[folder]


class _ParquetFile:
    """One Parquet file that is being written."""

    def __init__(
        self,
        root: Location,
        path: str,
        stored: pa.Schema,
        metadata: dict[bytes, bytes],
        level: int,
        keyed: FileEncryption | None,
        companion: CompanionWriter | None,
    ) -> None:
        self._beside, self._keys = companion, () if keyed is None else keyed.keys
        self._path, self._full, self._rows, self._metadata = path, root / path, 0, metadata
        self._file = HashingFile(self._full)
        self._writer = pq.ParquetWriter(
            self._file,
            stored,
            compression="zstd",
            compression_level=level,
            write_statistics=[each.name for each in stored if not pa.types.is_dictionary(each.type)],
            store_schema=False,
            **_page_options(),
            encryption_properties=None if keyed is None else keyed.properties,
        )
        checkpoint("file.opened")

    def write(self, table: pa.Table, row_group: int) -> None:
        """Writes rows as row groups of about the same size."""
        groups = max(1, round(table.num_rows / row_group))
        size = -(-table.num_rows // groups)
        if not self._took(table, size):
            raise SchemaError(
                f"{_refused_columns(table)} contains a null or a time that its type does not allow",
                hint="Change the type or the technique of the field.",
            )
        if self._beside is not None:
            for first in range(0, table.num_rows, size):
                self._beside.group(table.slice(first, size))
        self._rows += table.num_rows
        checkpoint("file.group")

    def _took(self, table: pa.Table, row_group: int) -> bool:
        """Whether the rows could be written. Arrow's own errors are not passed on, because they contain the value."""
        try:
            self._writer.write_table(table, row_group_size=row_group)
        except pa.ArrowException:
            return False
        return True

    def close(self) -> WrittenFile:
        self._writer.add_key_value_metadata(self._metadata)
        self._writer.close()
        self._file.close()
        checkpoint("file.closed")
        written = WrittenFile(self._path, self._rows, self._file.digest, keys=self._keys)
        return written if self._beside is None else self._beside.close(written)

    def abandon(self) -> None:
        if self._beside is not None:
            self._beside.abandon()
        self._file.abandon()
        with suppress(pa.ArrowException, ValueError):
            self._writer.close()


_PASSED_ERRORS: Final = (FileExistsError,)
"""A name that already exists is not an error of the operating system."""


def _page_options() -> dict[str, int]:
    """Pages large enough for small dictionary codes. Older versions of pyarrow have no row limit in addition to the
    byte limit."""
    return {"max_rows_per_page": PAGE_ROWS} if "max_rows_per_page" in signature(pq.ParquetWriter).parameters else {}


def _encode_schema(schema: pa.Schema) -> bytes:
    return base64.b64encode(schema.serialize().to_pybytes())


def _refused_columns(table: pa.Table) -> str:
    """The first column that cannot be written alone, by name; "a column" if each can."""
    for name in table.schema.names:
        try:
            pq.write_table(table.select([name]), pa.MockOutputStream(), store_schema=False)
        except pa.ArrowException:
            return f"the column {name}"
    return "a column"


def _order_columns(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if set(batch.schema.names) != set(schema.names):
        missing = ", ".join(name for name in schema.names if name not in batch.schema.names) or "none"
        unexpected = len(set(batch.schema.names) - set(schema.names))
        raise SchemaError(
            f"the columns of a batch differ from those of its output (missing: {missing}; unexpected: {unexpected})"
        )
    return batch if batch.schema.names == schema.names else batch.select(schema.names)


def _stored_field(plain: pa.Field, column: pa.Array) -> pa.Field:
    """The field as it is written. A text column that is dictionary-encoded stays so."""
    if pa.types.is_dictionary(column.type) and _is_text_type(plain.type):
        return pa.field(plain.name, pa.dictionary(pa.int32(), plain.type), plain.nullable)
    return plain.remove_metadata()


def _is_text_type(type_: pa.DataType) -> bool:
    return any(test(type_) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _fit_column(column: pa.Array, field: pa.Field) -> pa.Array:
    if column.type == field.type:
        return column
    fitted = (
        _convert_column(column, field.type)
        if _without_dictionaries(column.type) == _without_dictionaries(field.type)
        else None
    )
    if fitted is None:
        raise SchemaError(f"the type of the column {field.name} differs from its type in the output")
    return fitted


def _convert_column(column: pa.Array, type_: pa.DataType) -> pa.Array | None:
    try:
        if not pa.types.is_dictionary(type_):
            return column.cast(type_)
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        return pa.DictionaryArray.from_arrays(coded.indices.cast(type_.index_type), coded.dictionary)
    except pa.ArrowException:
        return None


def _without_dictionaries(type_: pa.DataType) -> pa.DataType:
    """The type without dictionaries at any depth."""
    if pa.types.is_dictionary(type_):
        return type_.value_type
    if pa.types.is_struct(type_):
        return pa.struct([each.with_type(_without_dictionaries(each.type)) for each in type_.fields])
    if pa.types.is_list(type_):
        return pa.list_(type_.value_field.with_type(_without_dictionaries(type_.value_type)))
    if pa.types.is_map(type_):
        return pa.map_(_without_dictionaries(type_.key_type), _without_dictionaries(type_.item_type))
    return type_


def output_files(written: Iterable[WrittenFile]) -> tuple[ReceiptFile, ...]:
    """The entries of the files, for an output or the quarantine."""
    return tuple(ReceiptFile(each.path, each.rows, each.digest, keys=each.keys or None) for each in written)


def index_files(written: Iterable[WrittenFile]) -> tuple[CompanionFile, ...] | None:
    """Their indexes, for the records output; None if there are none."""
    pairs = [(each.path, each.index) for each in written if each.index is not None]
    return tuple(CompanionFile(index.path, index.digest, path) for path, index in pairs) or None


def master_keys_of(written: Iterable[WrittenFile]) -> frozenset[str]:
    """The master keys under which they are encrypted."""
    return frozenset(key for file in written for key in file.keys)


ATTEMPTS_FOLDER: Final = "attempts"
"""The folder of attempts below staging. It is removed before publication, so that a late attempt fails."""


@dataclass(frozen=True, slots=True)
class WorkerFiles:
    """One partition of a run, for processes that share the file system; can be pickled."""

    root: Location
    """The folder of the run's staged files."""
    folder: str
    """The folder of the partition, relative to the root."""
    run_id: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    subject: Pointer | None = None
    """The path of the column by which the files are indexed; None without an index."""
    encryption: OutputEncryption | None = None
    """The encryption of the files; master keys are opened in the process that writes."""

    def prepare(self) -> WorkerFiles:
        """Itself, ready for attempts."""
        with_output_errors(_make_attempt_folder, self.root / ATTEMPTS_FOLDER)
        return self

    def sink(self, attempt: str, keys: Subkeys | None = None) -> ParquetSink:
        """A sink for one attempt, with a unique name. Without rows it writes no file; without keys, no index."""
        root = self.root / ATTEMPTS_FOLDER / attempt
        _make_attempt_folder(root)
        stem = f"{self.run_id}-{attempt}"
        watch = None if keys is None or self.subject is None else SubjectIndexer.from_keys(keys, self.subject)
        return ParquetSink(
            root,
            self.folder,
            stem,
            self.schema,
            partition_by=self.partition_by,
            empty=False,
            encryption=self.encryption,
            watch=watch,
        )

    def adopt(self, attempt: str, reported: Iterable[WrittenFile]) -> Sequence[WrittenFile]:
        """Stages the files that an attempt reported."""
        adopted = [*reported]
        for name in [
            name for file in adopted for name in (file.path, *(() if file.index is None else (file.index.path,)))
        ]:
            checkpoint("adopt.before")
            with_output_errors(move_file, self.root / ATTEMPTS_FOLDER / attempt / name, self.root / name)
            checkpoint("adopt.after")
        return adopted


def _make_attempt_folder(folder: Location) -> None:
    if isinstance(folder, Path):
        file_operations.make_folder(folder)


def remove_attempts(root: Location) -> None:
    """Removes files that were not adopted. Attempts that still run no longer find their folder; their further output is in no
    file."""
    attempts, discarded = root / ATTEMPTS_FOLDER, root / f"{ATTEMPTS_FOLDER}-gone"
    if isinstance(attempts, ObjectPath):
        remove_tree(attempts)
    elif isinstance(discarded, Path) and attempts.exists():
        file_operations.rename(attempts, discarded)
        remove_tree(discarded)


QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("field", pa.string()),
        pa.field("code", pa.string(), nullable=False),
    ]
)


class QuarantineWriter:
    """Writes rejects of a run's parts to a sink of `QUARANTINE_SCHEMA`. A byte position refers to the decompressed stream."""

    def __init__(self, sink: Sink, run_id: str, worker_files: WorkerFiles | None = None) -> None:
        self._sink, self._run_id, self._elsewhere = sink, run_id, worker_files
        self._by_code: dict[str, int] = {}
        self._taken: list[WrittenFile] = []

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Writes the rejects of one part, named by its path relative to the source's root."""
        rows = [*rejects]
        if not rows:
            return
        for reject in rows:
            self._by_code[reject.code] = self._by_code.get(reject.code, 0) + 1
        self._sink.write(_reject_batch(self._run_id, source, rows))

    def close(self) -> Sequence[WrittenFile]:
        """Finishes the files, if there are any, and returns their entries."""
        return (*self._taken, *self._sink.close())

    def worker_files(self) -> WorkerFiles | None:
        """The folder in which other processes write rejects; None if they cannot."""
        return self._elsewhere

    def take(self, attempt: str, written: Iterable[WrittenFile]) -> None:
        """Adds the files that another process reported."""
        if self._elsewhere is not None:
            self._taken.extend(self._elsewhere.adopt(attempt, written))

    @property
    def by_code(self) -> dict[str, int]:
        """Number of records written, by code; sorted by code."""
        return dict(sorted(self._by_code.items()))


def _reject_batch(run_id: str, source: str, rows: Sequence[Reject]) -> pa.RecordBatch:
    columns = [
        [run_id] * len(rows),
        [source] * len(rows),
        [reject.position for reject in rows],
        [reject.unit for reject in rows],
        [reject.field for reject in rows],
        [reject.code for reject in rows],
    ]
    arrays = [pa.array(values, each.type) for values, each in zip(columns, QUARANTINE_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=QUARANTINE_SCHEMA)
