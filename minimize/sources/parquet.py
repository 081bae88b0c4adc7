"""Parquet files as a source: the footer and the needed column chunks, and parts that are read one row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import arrow_type, storage_type
from minimize.errors import Finding, SourceError
from minimize.identifiers import canonical_column
from minimize.keys.parquet_footer import EncryptedColumns, check_footer, has_encrypted_footer
from minimize.records import Chunk, UndeclaredCount, bound_undeclared
from minimize.sources import FileRows, SourceFormat
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.file_discovery import hive_partitions
from minimize.sources.files import FileBackedPart, FilePart, FileSource, damaged_file_error, read_error, replace_errors
from minimize.sources.projection import (
    FieldNode,
    batch_without_columns,
    field_tree,
    is_list_type,
    nested_fields,
    prune_schema,
)
from minimize.sources.record_checks import SUBJECT_SAMPLE, FaultMask, flat_values, sample_subjects
from minimize.sources.schema_check import BoundRequest, bind_request, raise_findings, unify_schemas, validate_chunk
from minimize.stores import Location, ObjectPath, open_parquet_file

LeafPosition = tuple[pa.DataType, int]
"""A type, and the number of its first leaf."""
SMALL_VALUE_BYTES = 4.0
"""Maximum uncompressed bytes per value up to which a chunk of strings is read as a dictionary."""

WHOLE_OBJECT_BYTES = 32 << 20
"""Maximum bytes of an object that is fetched at once. A larger one is fetched by column, and again for its digest."""


@dataclass(frozen=True)
class ParquetFooter:
    """The metadata of a file, and its schema as Arrow. Leaves have the numbers of the file's columns."""

    metadata: pq.FileMetaData
    schema: pa.Schema

    @cached_property
    def tops(self) -> Mapping[str, tuple[LeafPosition, ...]]:
        """The position of each column of the schema. A file with ten thousand columns is walked once, not once per path."""
        return _top_level_positions(self.schema)

    @property
    def groups(self) -> int:
        """Number of row groups."""
        return int(self.metadata.num_row_groups)

    def rows(self, group: int) -> int:
        """Number of rows of a row group."""
        return int(self.metadata.row_group(group).num_rows)

    def needed_leaves(self, root: FieldNode) -> list[int]:
        """The leaves of the needed parts; for a container without read values, one leaf that shows its shape."""
        return _needed_leaves(pa.struct(list(self.schema)), root, 0)

    def leaves_below(self, pointer: Pointer) -> list[int]:
        """The leaves at and below a path."""
        return [leaf for kind, at in self._leaves_at(pointer) for leaf in range(at, at + leaf_count(kind))]

    def shape_leaves(self, pointer: Pointer) -> list[int]:
        """The leaves that show where a path is null: one for each place of the path."""
        return [at for _, at in self._leaves_at(pointer)]

    def flat_leaf(self, pointer: Pointer) -> int | None:
        """The leaf at a path, if it is a leaf and not below a list or map."""
        places = self._leaves_at(pointer)
        if len(places) != 1 or any(True for _ in nested_fields(places[0][0])):
            return None
        leaf = places[0][1]
        return None if self.metadata.schema.column(leaf).max_repetition_level else leaf

    def paths(self, leaves: list[int]) -> list[str]:
        """The paths of these leaves in the file."""
        return [self.metadata.schema.column(leaf).path for leaf in sorted(set(leaves))]

    def is_single_valued(self, pointer: Pointer) -> bool:
        """Whether a path has no list or map at, above or below it, so that its leaves have one slot per row."""
        return not any(self.metadata.schema.column(leaf).max_repetition_level for leaf in self.leaves_below(pointer))

    def count_non_null(self, group: int, leaf: int) -> int | None:
        """Number of non-null values of a chunk; None if the metadata does not contain it."""
        chunk = self.metadata.row_group(group).column(leaf)
        has_null_count = chunk.is_stats_set and chunk.statistics.has_null_count
        return int(chunk.num_values - chunk.statistics.null_count) if has_null_count else None

    def has_small_values(self, name: str, most: float = SMALL_VALUE_BYTES) -> bool:
        """Whether to read a flat column of strings as a dictionary: its mean value has at most `most` uncompressed bytes."""
        leaf = self.flat_leaf(Pointer((name,)))
        if leaf is None or not pa.types.is_string(self.schema.field(name).type):
            return False
        chunks = [self.metadata.row_group(group).column(leaf) for group in range(self.groups)]
        values, size = sum(chunk.num_values for chunk in chunks), sum(chunk.total_uncompressed_size for chunk in chunks)
        return values > 0 and size / values <= most and all(chunk.has_dictionary_page for chunk in chunks)

    def _leaves_at(self, pointer: Pointer) -> list[LeafPosition]:
        first, parts_below = pointer.parts[0], pointer.parts[1:]
        places = self.tops.get(first, ()) if isinstance(first, str) else chain(*self.tops.values())
        return [position for kind, at in places for position in _positions_at(kind, parts_below, at)]


def _top_level_positions(schema: pa.Schema) -> dict[str, tuple[LeafPosition, ...]]:
    positions_by_name: dict[str, tuple[LeafPosition, ...]] = {}
    at = 0
    for column in schema:
        positions_by_name[column.name] = (*positions_by_name.get(column.name, ()), (column.type, at))
        at += leaf_count(column.type)
    return positions_by_name


def leaf_count(type_: pa.DataType) -> int:
    """Number of columns that a type has in a file."""
    kind = storage_type(type_)
    if pa.types.is_map(kind):
        return leaf_count(kind.key_type) + leaf_count(kind.item_type)
    if pa.types.is_struct(kind) or is_list_type(kind):
        return sum(leaf_count(inner.type) for _, inner in nested_fields(kind))
    return 1


def _needed_leaves(type_: pa.DataType, node: FieldNode | None, at: int) -> list[int]:
    if node is None or not node.is_read:
        return []
    kind = storage_type(type_)
    below = [
        leaf
        for part, inner, place in _child_positions(kind, at)
        for leaf in _needed_leaves(inner, node.children.get(part), place)
    ]
    shape = [at] if pa.types.is_map(kind) or not below else []
    return shape + below


def _positions_at(type_: pa.DataType, parts: tuple[PointerPart, ...], at: int) -> Iterator[LeafPosition]:
    """The places of a path: the type there, and the number of its first leaf. The keys of a map are included."""
    if not parts:
        yield type_, at
        return
    kind = storage_type(type_)
    mapped = pa.types.is_map(kind)
    if mapped:
        yield kind.key_type, at
    if is_list_type(kind) and parts[0] is not STAR:
        yield from _positions_at(kind.value_type, parts, at)
        return
    for part, inner, place in _child_positions(kind, at):
        if parts[0] is STAR or part == parts[0] or mapped:
            yield from _positions_at(inner, parts[1:], place)


def _child_positions(kind: pa.DataType, at: int) -> Iterator[tuple[PointerPart, pa.DataType, int]]:
    """The children of a type, each with the number of its first leaf."""
    place = at + (leaf_count(kind.key_type) if pa.types.is_map(kind) else 0)
    for part, inner in nested_fields(kind):
        yield part, inner.type, place
        place += leaf_count(inner.type)


def parquet_source(parts: Sequence[FilePart], request: SourceRequest) -> FileSource:
    """Parquet files as a source. Raises SchemaError with the differences of the first file that does not fit, and SourceError."""
    _check_footers(parts)
    return _bind_parts(parts, request)


def _bind_parts(parts: Sequence[FilePart], request: SourceRequest) -> FileSource:
    """Plain files bound to a request. Restricting the fields reads the footers again, because they are not kept."""
    footers = [read_footer(part) for part in parts]
    if not parts:
        return FileSource(prune_schema(pa.schema([]), field_tree(request)), ())
    bounds = [
        bind_request(_schema_with_partitions(part, foot.schema, request), request, part.name)
        for part, foot in zip(parts, footers, strict=True)
    ]
    together = unify_schemas([bound.schema for bound in bounds], [part.name for part in parts])
    encoded = tuple(field.name for field in together if all(_is_small_text(foot, field.name) for foot in footers))
    schema = _dictionary_schema(together, encoded)
    bound_parts = [
        ParquetPart(part, replace(bound, schema=schema), encoded) for part, bound in zip(parts, bounds, strict=True)
    ]
    return FileSource(schema, bound_parts, lambda keys: _bind_parts(parts, request.only(keys)))


def _check_footers(parts: Sequence[FilePart]) -> None:
    """Raises SourceError for damaged metadata and for encrypted columns. To read either would end the process."""
    for part in parts:
        if _encrypted_columns(part).masters:
            raise _encrypted_file_error(part)


def _encrypted_file_error(part: FilePart) -> SourceError:
    hint = "Read an encrypted output with its keys: minimize.read(…, keys=…)."
    return SourceError(f"{part.name} has encrypted columns, but a source cannot have keys", hint=hint)


def _encrypted_columns(part: FilePart) -> EncryptedColumns:
    try:
        return check_footer(part.path)
    except pa.ArrowInvalid as caught:
        error = read_error(part.name, caught)
    raise error


def read_footer(part: FilePart) -> ParquetFooter:
    """The metadata of a file. Raises SourceError."""
    try:
        with open_parquet_file(part.path) as file:
            return ParquetFooter(file.metadata, file.schema_arrow)
    except (pa.ArrowException, OSError) as caught:
        error = read_error(part.name, caught)
    raise _encrypted_file_error(part) if has_encrypted_footer(part.path) else error


@dataclass(frozen=True, slots=True)
class ParquetPart(FileBackedPart):
    """One Parquet file bound to a request, or one of its row groups; `encoded` are the columns to read as dictionaries."""

    bound: BoundRequest
    encoded: tuple[str, ...]
    group: int | None = None

    @property
    def size(self) -> int:
        """Stored bytes; for a row group, its share."""
        return self.file.size if self.group is None else self.file.size // max(read_footer(self.file).groups, 1)

    def pieces(self) -> Sequence[ParquetPart]:
        """The row groups."""
        groups = read_footer(self.file).groups if self.group is None else 1
        return (self,) if groups < 2 else [replace(self, group=group) for group in range(groups)]

    def read(self) -> Iterator[Chunk]:
        """The records, with at most as many per chunk as requested, never across row groups. Raises SourceError."""
        foot, first = read_footer(self.file), 0
        with open_parquet_file(self._content(), read_dictionary=list(self.encoded)) as opened:
            for group in range(foot.groups):
                if self.group in (None, group):
                    yield from self._group(opened, foot, group, first)
                first += foot.rows(group)

    def _content(self) -> Location | bytes:
        """The file. For a small object that is not hashed yet its bytes, so that it is fetched once."""
        is_remote = isinstance(self.file.path, ObjectPath) and self.group is None
        return (
            self.file.read_bytes()
            if is_remote and self.file.size <= WHOLE_OBJECT_BYTES and not self.file.is_hashed
            else self.file.path
        )

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """The row groups that contain these rows. Raises SourceError."""
        foot, first = read_footer(self.file), 0
        for group in range(foot.groups):
            if any(first <= position < first + foot.rows(group) for position in positions):
                yield from replace(self, group=group).read()
            first += foot.rows(group)

    def _group(self, opened: pq.ParquetFile, foot: ParquetFooter, group: int, first: int) -> Iterator[Chunk]:
        look = _group_checks(foot, group, self.bound)
        carry = _undeclared_counts(foot, group, self.bound)
        partitions = self._partitions(foot.schema)
        for batch in self._batches(opened, foot, group, look):
            records = _append_partitions(batch, partitions)
            faults = [fault.cover_rows(records.num_rows) for fault in look.settled]
            named = {
                pointer: _with_subjects(
                    carried, foot.is_single_valued(pointer), records, self.bound.request.subject, foot.rows(group)
                )
                for pointer, carried in carry.items()
            }
            positions = np.arange(first, first + records.num_rows)
            carry, first = {}, first + records.num_rows
            yield validate_chunk(look.bound.chunk(records, positions, faults, named), damaged_file_error(self.name))
            del batch, records, positions, faults  # otherwise they stay in memory while the next ones are read

    def _batches(
        self, opened: pq.ParquetFile, foot: ParquetFooter, group: int, checks: _GroupChecks
    ) -> Iterator[pa.RecordBatch]:
        leaves = [*foot.needed_leaves(field_tree(self.bound.request)), *checks.leaves]
        if not leaves:
            rows, most = foot.rows(group), self.bound.request.rows
            yield from (batch_without_columns(min(most, rows - at)) for at in range(0, rows, most))
            return
        decoded = _decode_group(opened, group, self.bound.request.rows, foot.paths(leaves))
        yield from replace_errors(decoded, damaged_file_error(self.name), self.name)

    def _partitions(self, schema: pa.Schema) -> dict[str, pa.Scalar]:
        """The values of the declared hive partitions. Raises SchemaError if one is not of its type."""
        fields = {field.pointer.top: field for field in self.bound.request.fields if field.pointer.is_flat}
        values = hive_partitions(self.file.path, self.file.root)
        return {
            key: _partition_value(value, fields[key], self.name)
            for key, value in values.items()
            if key in fields and schema.get_field_index(key) < 0
        }


def _decode_group(opened: pq.ParquetFile, group: int, most: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A row group at once if it is small enough, which takes less memory than reading it in steps."""
    if opened.metadata.row_group(group).num_rows > most:
        yield from opened.iter_batches(most, row_groups=[group], columns=columns, use_threads=False)
    else:
        yield from opened.read_row_group(group, columns=columns, use_threads=False).to_batches()


@dataclass(frozen=True, slots=True)
class _WholeGroupFault:
    """A fault of every row of a row group, known from its metadata."""

    fault: FaultMask

    def cover_rows(self, rows: int) -> FaultMask:
        return replace(self.fault, mask=np.ones(rows, bool))


@dataclass(frozen=True, slots=True)
class _GroupChecks:
    """The checks of a row group that need data beyond the requested fields: their leaves, and the remaining request."""

    bound: BoundRequest
    leaves: list[int]
    settled: list[_WholeGroupFault]


def _group_checks(foot: ParquetFooter, group: int, bound: BoundRequest) -> _GroupChecks:
    never, required, leaves, settled = [], [], [], []
    for place in bound.never:
        verdict = _fill_state(foot, group, place.pointer)
        if verdict == "all":
            settled.append(_WholeGroupFault(FaultMask("forbidden_field", place.rule, np.ones(0, bool))))
        elif verdict == "some":
            never.append(place)
            leaves += foot.shape_leaves(place.pointer)
    for field in bound.required:
        filled = _fill_state(foot, group, field.pointer) == "all"
        if not filled or field.pointer in bound.request.ids:
            required.append(field)
        if not filled:
            leaves += foot.shape_leaves(field.pointer)
    return _GroupChecks(replace(bound, never=tuple(never), required=tuple(required)), leaves, settled)


def _fill_state(foot: ParquetFooter, group: int, pointer: Pointer) -> str:
    """Whether `all`, `some` or `none` of a row group's records have a path, as far as the metadata shows."""
    leaf = foot.flat_leaf(pointer)
    filled = None if leaf is None else foot.count_non_null(group, leaf)
    return {0: "none", foot.rows(group): "all"}.get(-1 if filled is None else filled, "some")


def _undeclared_counts(foot: ParquetFooter, group: int, bound: BoundRequest) -> dict[Pointer, UndeclaredCount]:
    """Number of records with each undeclared path, from the metadata; an upper bound for paths in lists."""
    rows = foot.rows(group)
    counts = {pointer: _record_upper_bound(foot, group, pointer, rows) for pointer in bound.undeclared}
    ranked = {
        pointer: UndeclaredCount(count, rank=bound.request.rank(pointer)) for pointer, count in counts.items() if count
    }
    return bound_undeclared(ranked)


def _record_upper_bound(foot: ParquetFooter, group: int, pointer: Pointer, rows: int) -> int:
    filled = [foot.count_non_null(group, leaf) for leaf in foot.leaves_below(pointer)]
    return max((rows if count is None else min(rows, count) for count in filled), default=rows)


def _with_subjects(
    carry: UndeclaredCount, certain: bool, records: pa.RecordBatch, subject: Pointer | None, rows: int
) -> UndeclaredCount:
    """The count with a sample of subjects, if enough of them certainly have the path.

    Each row without the path may remove one distinct subject.
    """
    values = None if subject is None or not certain else flat_values(records, subject)
    if values is None:
        return carry
    lacking = rows - carry.records
    enough = not lacking or len(pc.unique(canonical_column(values, fold=True))) - lacking > SUBJECT_SAMPLE
    return replace(carry, subjects=sample_subjects(records, subject)) if enough else carry


def _is_small_text(foot: ParquetFooter, name: str) -> bool:
    return foot.schema.get_field_index(name) >= 0 and foot.has_small_values(name)


def _dictionary_schema(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(kind) if field.name in names else field for field in schema])


def _schema_with_partitions(part: FilePart, schema: pa.Schema, request: SourceRequest) -> pa.Schema:
    """The file's columns and its hive partitions, in the declared types. The folder of a batch date is not a field."""
    words = {field.pointer.top: field.type for field in request.fields if field.pointer.is_flat}
    for key in hive_partitions(part.path, part.root):
        if schema.get_field_index(key) < 0 and (key in words or key != "date"):
            schema = schema.append(pa.field(key, arrow_type(words.get(key, "string"))))
    return schema


def _append_partitions(records: pa.RecordBatch, partitions: Mapping[str, pa.Scalar]) -> pa.RecordBatch:
    for key, value in partitions.items():
        records = records.append_column(key, pa.repeat(value, records.num_rows))
    return records


def _partition_value(value: str | None, field: DeclaredField, name: str) -> pa.Scalar:
    with suppress(pa.ArrowException):
        return pa.scalar(value, pa.string()).cast(arrow_type(field.type))
    raise_findings(
        [
            Finding(
                "S002", f"the partition of {field.pointer} is not of the type {field.type}", file=name, field=field.key
            )
        ]
    )
    raise AssertionError


def _footer_schema(part: FilePart) -> pa.Schema:
    return read_footer(part).schema


def _read_rows(path: Path) -> FileRows:
    if check_footer(path).masters:
        raise pa.ArrowInvalid("the file has encrypted columns")
    with open_parquet_file(path) as file:
        table = file.read()
    return table.column_names, [*enumerate(table.to_pylist(), start=1)]


PARQUET = SourceFormat(suffixes=(".parquet",), bind=parquet_source, read_rows=_read_rows, read_schema=_footer_schema)
"""Parquet: names and types in the footer."""
