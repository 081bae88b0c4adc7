"""What sources with columns share: a request bound to a schema, and decoded columns made into chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.errors import SourceError
from minimize.io.base import MANY, Carried, Chunk, Declared, Request, Unit
from minimize.io.fit import check, undeclared
from minimize.io.forbidden import ForbiddenPlace, forbidden
from minimize.io.ids import with_canonical_ids
from minimize.io.project import project
from minimize.io.rows import Fault, Mask, carried, faults
from minimize.io.shape import pruned, tree
from minimize.io.undeclared import bounded
from minimize.pointer import Pointer

ROWS = MANY
"""The most rows of a chunk of data in memory."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A request that fits a schema.

    schema    the needed columns, declared parts only
    never     what must not arrive and has a place in the source
    extra     what the source has and nobody declared
    required  the fields whose nulls are still to be looked for
    """

    request: Request
    schema: pa.Schema
    never: tuple[ForbiddenPlace, ...]
    extra: tuple[Pointer, ...] = field(repr=False)
    required: tuple[Declared, ...]

    def chunk(
        self,
        records: pa.RecordBatch,
        positions: npt.NDArray[np.int64],
        known: Sequence[Fault] = (),
        carry: Mapping[Pointer, Carried] | None = None,
        unit: Unit = "row",
    ) -> Chunk:
        """Decoded records as a chunk: the good ones pruned to the schema, the others as rejects.

        Takes the records' positions, faults that the reader found, and what the records carry undeclared, where
        the reader knows it without looking.
        """
        kept = with_canonical_ids(project(records, self.schema), self.request.ids)
        found = faults(records, self.required, self.never, known, kept, self.request.ids)
        good = np.ones(records.num_rows, bool)
        good[found.rows] = False
        if len(found.rows):
            kept = kept.filter(pa.array(good))
        return Chunk(
            records=kept,
            read=records.num_rows,
            rejects=found.rejects(positions, unit),
            undeclared=self.look(records, good) if carry is None else carry,
            positions=pa.array(positions[good], pa.int64()),
            unit=unit,
        )

    def look(self, records: pa.RecordBatch, good: Mask) -> dict[Pointer, Carried]:
        """What the good ones of these records carry that nobody declared."""
        counted = {pointer: carried(records, pointer, self.request, good) for pointer in self.extra}
        return bounded({pointer: carry for pointer, carry in counted.items() if carry.records})


def bind(schema: pa.Schema, request: Request, where: str | None = None) -> Bound:
    """A request bound to a schema. Raises SchemaError with the whole diff."""
    check(schema, request, where)
    return Bound(
        request=request,
        schema=pruned(schema, tree(request)),
        never=tuple(forbidden(schema, request)),
        extra=tuple(undeclared(schema, request)),
        required=tuple(field for field in request.fields if field.required),
    )


def sound(chunk: Chunk, error: SourceError) -> Chunk:
    """The chunk, if its arrays are what they say: offsets within bounds, text in UTF-8. Raises the error otherwise."""
    with suppress(pa.ArrowException):
        chunk.records.validate(full=True)
        return chunk
    raise error
