"""Chunks put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa

from minimize.io.base import Chunk, Reject
from minimize.io.project import rows_only
from minimize.io.undeclared import added


def joined(chunks: Sequence[Chunk], schema: pa.Schema) -> Chunk:
    """Chunks of one part as one, in order."""
    if len(chunks) == 1:
        return chunks[0]
    places = [chunk.positions for chunk in chunks if chunk.positions is not None]
    return Chunk(
        records=_records([chunk.records for chunk in chunks], schema),
        read=sum(chunk.read for chunk in chunks),
        rejects=tuple(chain.from_iterable(chunk.rejects for chunk in chunks)),
        undeclared=added(chunk.undeclared for chunk in chunks),
        positions=pa.concat_arrays([pa.array([], pa.int64()), *places]),
        unit=chunks[0].unit if chunks else "row",
    )


def ordered(chunk: Chunk) -> Chunk:
    """The chunk with its records and its rejects in order of position."""
    rejects = sorted(chunk.rejects, key=lambda reject: reject.position)
    places = np.zeros(0, np.int64) if chunk.positions is None else np.asarray(chunk.positions)
    if not (places[1:] < places[:-1]).any():
        return replace(chunk, rejects=tuple(rejects))
    order = np.argsort(places, kind="stable")
    records = chunk.records.take(pa.array(order)) if chunk.records.num_columns else chunk.records
    return replace(chunk, records=records, rejects=tuple(rejects), positions=pa.array(places[order], pa.int64()))


def with_rejects(chunk: Chunk, more: Sequence[Reject]) -> Chunk:
    """A chunk with records that were rejected before it was made, in order of position."""
    if not more:
        return chunk
    rejects = sorted([*chunk.rejects, *more], key=lambda reject: reject.position)
    return replace(chunk, read=chunk.read + len(more), rejects=tuple(rejects))


def _records(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if not schema.names:
        return rows_only(sum(batch.num_rows for batch in batches))
    batches = [batch for batch in batches if batch.num_rows] or batches
    if len(batches) == 1:
        return batches[0]
    columns = [
        pa.concat_arrays([pa.array([], field.type), *(batch.column(index) for batch in batches)])
        for index, field in enumerate(schema)
    ]
    return pa.record_batch(columns, schema=schema)
