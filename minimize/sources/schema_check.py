"""A request bound to a schema: the schema check, and chunks made of decoded columns.

The check reports all differences at once, before anything is decoded:

S001  a declared field is missing
S002  a declared field has another type
S003  a column name occurs twice
S004  two files of the source have different types for a column
S005  a column in memory has values of more than one type
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.arrow.types import accepts_type, describe_type, storage_type
from minimize.errors import Finding, SchemaError, SourceError
from minimize.records import Chunk, PositionUnit, Reject, UndeclaredCount, bound_undeclared, merge_undeclared
from minimize.sources.base import SINK_CHUNK_ROWS, DeclaredField, SourceRequest
from minimize.sources.projection import (
    FieldNode,
    batch_without_columns,
    field_tree,
    nested_fields,
    project_columns,
    prune_schema,
)
from minimize.sources.record_checks import (
    FaultMask,
    ForbiddenPlace,
    canonicalize_ids,
    count_undeclared,
    first_faults,
    forbidden_places,
    is_forbidden,
)
from minimize.text import similar_words

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Pattern of names. Anything else could be a value and is not printed."""


def check_schema(schema: pa.Schema, request: SourceRequest, where: str | None = None) -> None:
    """Raises SchemaError with all missing fields and wrong types; `where` names the file."""
    findings = [
        *_duplicate_columns(schema, where),
        *(_findings_below(pa.struct(list(schema)), field_tree(request), (), where)),
    ]
    raise_findings(findings)


def raise_findings(findings: Sequence[Finding]) -> None:
    """Raises SchemaError if there are findings."""
    if findings:
        raise SchemaError("the source does not match the policy", findings=findings)


def undeclared_paths(schema: pa.Schema, request: SourceRequest) -> list[Pointer]:
    """The topmost undeclared paths of a schema, without forbidden paths."""
    pointers = map(Pointer, _undeclared_parts(pa.struct(list(schema)), field_tree(request), ()))
    return [pointer for pointer in pointers if not is_forbidden(pointer, request)]


def unify_schemas(schemas: Sequence[pa.Schema], names: Sequence[str]) -> pa.Schema:
    """One schema for files that differ in widths only. Raises SchemaError with the first file that does not fit."""
    together = schemas[0]
    for schema, name in zip(schemas[1:], names[1:], strict=True):
        if not schema.equals(together):
            joined = _unify_two(together, schema)
            if joined is None:
                raise_findings([Finding("S004", "has a column with another type than in earlier files", file=name)])
            together = joined or together
    return together


def _unify_two(first_schema: pa.Schema, second_schema: pa.Schema) -> pa.Schema | None:
    try:
        return pa.unify_schemas([first_schema, second_schema], promote_options="permissive")
    except pa.ArrowException:
        return None


def _duplicate_columns(schema: pa.Schema, where: str | None) -> list[Finding]:
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    return [Finding("S003", f"{len(twice)} column names occur more than once", file=where)] if twice else []


def _findings_below(
    type_: pa.DataType, node: FieldNode, above: tuple[PointerPart, ...], where: str | None
) -> Iterator[Finding]:
    if pa.types.is_null(storage_type(type_)):
        return
    have = {part: field.type for part, field in nested_fields(type_)}
    for part, child in node.children.items():
        parts = (*above, part)
        if part in have:
            yield from _type_findings(have[part], child, parts, where)
        elif part is STAR or not (pa.types.is_struct(storage_type(type_))):
            yield _type_mismatch(
                _any_declared_field(node), Pointer(above), "list" if part is STAR else "struct", type_, where
            )
        else:
            yield from (_missing_field(field, have, where) for field in _declared_fields(child) if not field.optional)


def _type_findings(
    type_: pa.DataType, node: FieldNode, parts: tuple[PointerPart, ...], where: str | None
) -> Iterator[Finding]:
    field = node.declared
    if field is not None and not accepts_type(field.type, type_):
        yield _type_mismatch(field, Pointer(parts), field.type, type_, where)
    elif node.children:
        yield from _findings_below(type_, node, parts, where)


def _type_mismatch(
    field: DeclaredField, pointer: Pointer, expected: str, type_: pa.DataType, where: str | None
) -> Finding:
    message = f"{pointer} is declared as {expected}, but the source has {describe_type(type_)}"
    return Finding("S002", message, file=where, field=field.key, hint=_type_hint(expected, type_))


def _type_hint(expected: str, type_: pa.DataType) -> str:
    if expected == "integer" and pa.types.is_floating(storage_type(type_)):
        return "pandas turns integers with nulls into doubles. Convert the column to Int64."
    return "Correct the type in the policy or in the source."


def _missing_field(field: DeclaredField, have: dict[PointerPart, pa.DataType], where: str | None) -> Finding:
    hint = _similar_name_hint(str(field.pointer.parts[-1]), [str(part) for part in have if part is not STAR])
    message = f"{field.pointer} is declared as {field.type}, but the source has no such field"
    return Finding(
        "S001",
        message,
        file=where,
        field=field.key,
        hint=hint or "Add the field to the source, or declare it with `optional: true`.",
    )


def _similar_name_hint(name: str, names: Sequence[str]) -> str:
    same = [column for column in names if column.lower() == name.lower()]
    if same:
        return f"Did you mean {same[0]!r}? Names are case-sensitive."
    close = similar_words(name, filter(_NAME.fullmatch, names), cutoff=0.75)
    return f"Did you mean {close[0]!r}?" if close else ""


def _declared_fields(node: FieldNode) -> Iterator[DeclaredField]:
    if node.declared is not None:
        yield node.declared
    for child in node.children.values():
        yield from _declared_fields(child)


def _any_declared_field(node: FieldNode) -> DeclaredField:
    return next(_declared_fields(node))


def _undeclared_parts(
    type_: pa.DataType, node: FieldNode, above: tuple[PointerPart, ...]
) -> Iterator[tuple[PointerPart, ...]]:
    if not node.children:
        return
    for part, below in nested_fields(type_):
        child = node.child(part)
        if child is None:
            yield (*above, part)
        else:
            yield from _undeclared_parts(below.type, child, (*above, part))


MEMORY_CHUNK_ROWS = SINK_CHUNK_ROWS
"""Maximum rows of a chunk of data in memory."""


@dataclass(frozen=True, slots=True)
class BoundRequest:
    """A request bound to a matching schema."""

    request: SourceRequest
    schema: pa.Schema
    """The needed columns, with declared parts only."""
    never: tuple[ForbiddenPlace, ...]
    """The forbidden paths that the schema can contain."""
    undeclared: tuple[Pointer, ...] = field(repr=False)
    """The undeclared paths of the source."""
    required: tuple[DeclaredField, ...]
    """The required fields that can contain nulls."""
    source: pa.Schema | None = field(default=None, repr=False)
    """The schema of the source, if its columns can be used as they are; otherwise None."""

    def chunk(
        self,
        records: pa.RecordBatch,
        positions: npt.NDArray[np.int64],
        faults: Sequence[FaultMask] = (),
        carry: Mapping[Pointer, UndeclaredCount] | None = None,
        unit: PositionUnit = "row",
    ) -> Chunk:
        """Decoded records as a chunk: the valid ones pruned to the schema, the others as rejects.

        Takes the records' positions, the faults that the reader found, and the counts of undeclared paths, if the reader
        knows them already.
        """
        kept = canonicalize_ids(self._project(records), self.request.ids)
        record_faults = first_faults(records, self.required, self.never, faults, kept, self.request.ids)
        good = np.ones(records.num_rows, bool)
        if len(record_faults.rows):
            good[record_faults.rows] = False
            kept = kept.filter(pa.array(good))
        return Chunk(
            records=kept,
            read=records.num_rows,
            rejects=record_faults.rejects(positions, unit),
            undeclared=self.count_undeclared(records, good) if carry is None else carry,
            positions=pa.array(positions[good] if len(record_faults.rows) else positions, pa.int64()),
            unit=unit,
        )

    def _project(self, records: pa.RecordBatch) -> pa.RecordBatch:
        if self.source is not None and records.schema.equals(self.source, check_metadata=True):
            return records.select(self.schema.names)
        return project_columns(records, self.schema)

    def count_undeclared(self, records: pa.RecordBatch, good: Bools) -> dict[Pointer, UndeclaredCount]:
        """Counts of the undeclared paths in the valid records."""
        counted = {pointer: count_undeclared(records, pointer, self.request, good) for pointer in self.undeclared}
        return bound_undeclared({pointer: carry for pointer, carry in counted.items() if carry.records})


def bind_request(schema: pa.Schema, request: SourceRequest, where: str | None = None) -> BoundRequest:
    """A request bound to a schema. Raises SchemaError with all differences."""
    check_schema(schema, request, where)
    pruned = prune_schema(schema, field_tree(request))
    return BoundRequest(
        request=request,
        schema=pruned,
        source=schema if _has_columns(schema, pruned) else None,
        never=tuple(forbidden_places(schema, request)),
        undeclared=tuple(undeclared_paths(schema, request)),
        required=tuple(field for field in request.fields if field.required),
    )


def _has_columns(schema: pa.Schema, columns: pa.Schema) -> bool:
    """Whether a schema has columns exactly like these."""
    fields = [schema.field(index) for name in columns.names if (index := schema.get_field_index(name)) >= 0]
    return bool(pa.schema(fields, schema.metadata).equals(columns, check_metadata=True))


def validate_chunk(chunk: Chunk, error: SourceError) -> Chunk:
    """The chunk, if its arrays are valid: offsets within bounds, text in UTF-8. Otherwise raises the error."""
    with suppress(pa.ArrowException):
        chunk.records.validate(full=True)
        return chunk
    raise error


def concat_chunks(chunks: Sequence[Chunk], schema: pa.Schema) -> Chunk:
    """Several chunks of one part as one, in order."""
    if len(chunks) == 1:
        return chunks[0]
    places = [chunk.positions for chunk in chunks if chunk.positions is not None]
    return Chunk(
        records=_concat_records([chunk.records for chunk in chunks], schema),
        read=sum(chunk.read for chunk in chunks),
        rejects=tuple(chain.from_iterable(chunk.rejects for chunk in chunks)),
        undeclared=merge_undeclared(chunk.undeclared for chunk in chunks),
        positions=pa.concat_arrays([pa.array([], pa.int64()), *places]),
        unit=chunks[0].unit if chunks else "row",
    )


def sort_chunk(chunk: Chunk) -> Chunk:
    """The chunk with its records and rejects sorted by position."""
    rejects = sorted(chunk.rejects, key=lambda reject: reject.position)
    places = np.zeros(0, np.int64) if chunk.positions is None else np.asarray(chunk.positions)
    if not (places[1:] < places[:-1]).any():
        return replace(chunk, rejects=tuple(rejects))
    order = np.argsort(places, kind="stable")
    records = chunk.records.take(pa.array(order)) if chunk.records.num_columns else chunk.records
    return replace(chunk, records=records, rejects=tuple(rejects), positions=pa.array(places[order], pa.int64()))


def add_rejects(chunk: Chunk, more: Sequence[Reject]) -> Chunk:
    """A chunk with additional rejects, sorted by position."""
    if not more:
        return chunk
    rejects = sorted([*chunk.rejects, *more], key=lambda reject: reject.position)
    return replace(chunk, read=chunk.read + len(more), rejects=tuple(rejects))


def _concat_records(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if not schema.names:
        return batch_without_columns(sum(batch.num_rows for batch in batches))
    batches = [batch for batch in batches if batch.num_rows] or batches
    if len(batches) == 1:
        return batches[0]
    columns = [
        pa.concat_arrays([pa.array([], field.type), *(batch.column(index) for batch in batches)])
        for index, field in enumerate(schema)
    ]
    return pa.record_batch(columns, schema=schema)
