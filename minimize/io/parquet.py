"""Parquet as a source: only needed column chunks are read, row group by row group.

What is undeclared is counted from the file's metadata. What must not arrive, and a required field that nobody reads, are
looked at only in row groups whose metadata does not settle it. A flat column of strings whose chunks are small for their
number of values is read as a dictionary. A position is the row's number in its file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minimize.canonical import canonical
from minimize.encryption import material_of
from minimize.errors import Finding, SourceError
from minimize.io.base import Carried, Chunk, Declared, Request
from minimize.io.columnar import Bound, bind, sound
from minimize.io.find import Shown, hive
from minimize.io.fit import refuse, unified
from minimize.io.footer import Footer
from minimize.io.part import FilePart, FileSource, OfFile, broken, damaged, steady
from minimize.io.project import rows_only
from minimize.io.rows import SUBJECTS, Fault, flat, subjects
from minimize.io.shape import pruned, tree
from minimize.io.types import arrow_type
from minimize.io.undeclared import bounded
from minimize.pointer import Pointer
from minimize.stores import Place, parquet_file


def parquet(files: Sequence[Place], root: Place, request: Request, *, shown: Shown | None = None) -> FileSource:
    """Parquet files as a source. Raises SchemaError with the diff of the first file that does not fit, SourceError."""
    parts = [FilePart(path, root, shown) for path in files]
    _check_plain(parts)
    return _bound(parts, request)


def _bound(parts: Sequence[FilePart], request: Request) -> FileSource:
    """Plain files bound to a request; to fewer fields with no more than another look at the footers, which are not kept."""
    footers = [footer(part) for part in parts]
    if not parts:
        return FileSource(pruned(pa.schema([]), tree(request)), ())
    bounds = [
        bind(_with_partitions(part, foot.schema, request), request, part.name)
        for part, foot in zip(parts, footers, strict=True)
    ]
    together = unified([bound.schema for bound in bounds], [part.name for part in parts])
    encoded = tuple(field.name for field in together if all(_small(foot, field.name) for foot in footers))
    schema = _encoded(together, encoded)
    bound_parts = [
        ParquetPart(part, replace(bound, schema=schema), encoded) for part, bound in zip(parts, bounds, strict=True)
    ]
    return FileSource(schema, bound_parts, lambda keys: _bound(parts, request.only(keys)))


def _check_plain(parts: Sequence[FilePart]) -> None:
    """To touch a column that is encrypted would end the process. Raises SourceError."""
    closed = [part.name for part in parts if material_of(part.path).masters]
    if closed:
        hint = "an output that is encrypted is read with its keys: minimize.read(…, keys=…)"
        raise SourceError(f"{closed[0]} has encrypted columns, and sources are read without keys", hint=hint)


def footer(part: FilePart) -> Footer:
    """What a file says of itself. Raises SourceError."""
    try:
        with parquet_file(part.path) as file:
            return Footer(file.metadata, file.schema_arrow)
    except (pa.ArrowException, OSError) as caught:
        error = broken(part.name, caught)
    raise error


@dataclass(frozen=True, slots=True)
class ParquetPart(OfFile):
    """One Parquet file bound to a request, or one of its row groups; `encoded` are the columns to read as dictionaries."""

    bound: Bound
    encoded: tuple[str, ...]
    group: int | None = None

    @property
    def size(self) -> int:
        """Stored bytes; of a row group its share."""
        return self.file.size if self.group is None else self.file.size // max(footer(self.file).groups, 1)

    def pieces(self) -> Sequence[ParquetPart]:
        """Its row groups."""
        groups = footer(self.file).groups if self.group is None else 1
        return (self,) if groups < 2 else [replace(self, group=group) for group in range(groups)]

    def read(self) -> Iterator[Chunk]:
        """The records, at most as many a chunk as the request wants, never across row groups. Raises SourceError."""
        foot, first = footer(self.file), 0
        with parquet_file(self.file.path, read_dictionary=list(self.encoded)) as opened:
            for group in range(foot.groups):
                if self.group in (None, group):
                    yield from self._group(opened, foot, group, first)
                first += foot.rows(group)

    def at(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """The row groups that these rows stand in. Raises SourceError."""
        foot, first = footer(self.file), 0
        for group in range(foot.groups):
            if any(first <= position < first + foot.rows(group) for position in positions):
                yield from replace(self, group=group).read()
            first += foot.rows(group)

    def _group(self, opened: pq.ParquetFile, foot: Footer, group: int, first: int) -> Iterator[Chunk]:
        look = _look(foot, group, self.bound)
        carry = _undeclared(foot, group, self.bound)
        partitions = self._partitions(foot.schema)
        for batch in self._batches(opened, foot, group, look):
            records = _beside(batch, partitions)
            known = [fault.over(records.num_rows) for fault in look.settled]
            named = {
                pointer: _named(carried, foot.single(pointer), records, self.bound.request.subject, foot.rows(group))
                for pointer, carried in carry.items()
            }
            positions = np.arange(first, first + records.num_rows)
            carry, first = {}, first + records.num_rows
            yield sound(look.bound.chunk(records, positions, known, named), damaged(self.name))
            del batch, records, positions, known  # or they would stay in memory while the next ones are read

    def _batches(self, opened: pq.ParquetFile, foot: Footer, group: int, look: _Look) -> Iterator[pa.RecordBatch]:
        leaves = [*foot.needed(tree(self.bound.request)), *look.leaves]
        if not leaves:
            rows, most = foot.rows(group), self.bound.request.rows
            yield from (rows_only(min(most, rows - at)) for at in range(0, rows, most))
            return
        decoded = _decoded(opened, group, self.bound.request.rows, foot.paths(leaves))
        yield from steady(decoded, damaged(self.name), self.name)

    def _partitions(self, schema: pa.Schema) -> dict[str, pa.Scalar]:
        """The values of the declared hive partitions. Raises SchemaError where one is not of its type."""
        fields = {field.pointer.top: field for field in self.bound.request.fields if field.pointer.is_flat}
        values = hive(self.file.path, self.file.root)
        return {
            key: _scalar(value, fields[key], self.name)
            for key, value in values.items()
            if key in fields and schema.get_field_index(key) < 0
        }


def _decoded(opened: pq.ParquetFile, group: int, most: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A row group at once where it is small enough, which takes less memory than to read it step by step."""
    if opened.metadata.row_group(group).num_rows > most:
        yield from opened.iter_batches(most, row_groups=[group], columns=columns, use_threads=False)
    else:
        yield from opened.read_row_group(group, columns=columns, use_threads=False).to_batches()


@dataclass(frozen=True, slots=True)
class _Always:
    """A fault of every row of a row group, known from its metadata."""

    fault: Fault

    def over(self, rows: int) -> Fault:
        return replace(self.fault, mask=np.ones(rows, bool))


@dataclass(frozen=True, slots=True)
class _Look:
    """What of a row group must be looked at beside what is needed: leaves, and the request that is still open."""

    bound: Bound
    leaves: list[int]
    settled: list[_Always]


def _look(foot: Footer, group: int, bound: Bound) -> _Look:
    never, required, leaves, settled = [], [], [], []
    for place in bound.never:
        verdict = _filled(foot, group, place.pointer)
        if verdict == "all":
            settled.append(_Always(Fault("forbidden_field", place.rule, np.ones(0, bool))))
        elif verdict == "some":
            never.append(place)
            leaves += foot.shape(place.pointer)
    for field in bound.required:
        filled = _filled(foot, group, field.pointer) == "all"
        if not filled or field.pointer in bound.request.ids:
            required.append(field)
        if not filled:
            leaves += foot.shape(field.pointer)
    return _Look(replace(bound, never=tuple(never), required=tuple(required)), leaves, settled)


def _filled(foot: Footer, group: int, pointer: Pointer) -> str:
    """Whether `all`, `some` or `none` of a row group's records carry a path, as far as the metadata says."""
    leaf = foot.flat(pointer)
    filled = None if leaf is None else foot.filled(group, leaf)
    return {0: "none", foot.rows(group): "all"}.get(-1 if filled is None else filled, "some")


def _undeclared(foot: Footer, group: int, bound: Bound) -> dict[Pointer, Carried]:
    """How many records carry each undeclared path, from the metadata: for what stands in lists an upper bound."""
    rows = foot.rows(group)
    counts = {pointer: _most(foot, group, pointer, rows) for pointer in bound.extra}
    ranked = {pointer: Carried(count, rank=bound.request.rank(pointer)) for pointer, count in counts.items() if count}
    return bounded(ranked)


def _most(foot: Footer, group: int, pointer: Pointer, rows: int) -> int:
    filled = [foot.filled(group, leaf) for leaf in foot.under(pointer)]
    return max((rows if count is None else min(rows, count) for count in filled), default=rows)


def _named(carry: Carried, sure: bool, records: pa.RecordBatch, subject: Pointer | None, rows: int) -> Carried:
    """The count with subjects, where at least as many are sure to carry it: each row that lacks it may take one away."""
    values = None if subject is None or not sure else flat(records, subject)
    if values is None:
        return carry
    lacking = rows - carry.records
    enough = not lacking or len(pc.unique(canonical(values, fold=True))) - lacking > SUBJECTS
    return replace(carry, subjects=subjects(records, subject)) if enough else carry


def _small(foot: Footer, name: str) -> bool:
    return foot.schema.get_field_index(name) >= 0 and foot.small(name)


def _encoded(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    kind = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([field.with_type(kind) if field.name in names else field for field in schema])


def _with_partitions(part: FilePart, schema: pa.Schema, request: Request) -> pa.Schema:
    """The file's columns and its hive partitions, as the policy declares them; the folder of a batch date is no field."""
    words = {field.pointer.top: field.type for field in request.fields if field.pointer.is_flat}
    for key in hive(part.path, part.root):
        if schema.get_field_index(key) < 0 and (key in words or key != "date"):
            schema = schema.append(pa.field(key, arrow_type(words.get(key, "string"))))
    return schema


def _beside(records: pa.RecordBatch, partitions: Mapping[str, pa.Scalar]) -> pa.RecordBatch:
    for key, value in partitions.items():
        records = records.append_column(key, pa.repeat(value, records.num_rows))
    return records


def _scalar(value: str | None, field: Declared, name: str) -> pa.Scalar:
    with suppress(pa.ArrowException):
        return pa.scalar(value, pa.string()).cast(arrow_type(field.type))
    refuse([Finding("S002", f"the partition of {field.pointer} is no {field.type}", file=name, field=field.key)])
    raise AssertionError
