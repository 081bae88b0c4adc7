"""Data in memory that comes again and again, in a schema that may vary in what does not matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from minimize.errors import Finding, SchemaError
from minimize.io.base import Chunk, Part
from minimize.io.memory import MemorySource
from minimize.io.part import Around
from minimize.io.types import is_string, plain


def as_prepared(source: MemorySource, schema: pa.Schema) -> MemorySource:
    """The source with its columns as they were prepared for; raises SchemaError, with the diff, where they are others.

    Columns may come in any order. Any kind of string stands for another, dictionary-encoded or not, and a column that holds
    nothing stands for any type.
    """
    if source.schema == schema:
        return source
    others = [name for name in schema.names if not _stands_for(source.schema, schema.field(name))]
    if others:
        findings = [Finding("S011", "is not as it was prepared", field=name) for name in others]
        hint = "prepare for this schema"
        message = "the batch has another schema than the one that was prepared"
        raise SchemaError(message, findings=findings, hint=hint)
    return MemorySource(schema, [Recast(part, schema) for part in source.parts], source.again)


def _stands_for(given: pa.Schema, wanted: pa.Field) -> bool:
    if wanted.name not in given.names:
        return False
    one, other = plain(given.field(wanted.name).type), plain(wanted.type)
    return one == other or pa.types.is_null(one) or (_is_text(one) and _is_text(other))


def _is_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in is_string)


@dataclass(frozen=True, slots=True)
class Recast(Around):
    """A part whose records are cast to a schema that they can stand for."""

    schema: pa.Schema

    def pieces(self) -> Sequence[Part]:
        """Itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The part's chunks, of the schema."""
        for chunk in self.part.read():
            columns = [_cast(chunk.records.column(field.name), field.type) for field in self.schema]
            yield replace(chunk, records=pa.RecordBatch.from_arrays(columns, schema=self.schema))


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return pa.nulls(len(column), kind) if pa.types.is_null(column.type) else column.cast(kind)
