"""What the readers of lines share: the declared columns, and what becomes of what they read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data.fleet import SCHEMA

KEEP = "BENCHMARKS_KEEP"
"""Set where the outcome is written to be compared; else it is read and let go."""
DECLARED = tuple(SCHEMA.names)
DOUBLES, INTEGERS, TIME = ("latitude", "longitude", "battery_pct"), ("free_storage_bytes",), "event_time"
REQUIRED, NEVER = ("tenant_id", "event_time", "device_id"), "contacts"
Reject = tuple[int, str | None, str]
"""The byte where the line begins, the pointer, the code."""


@dataclass(frozen=True)
class Piece:
    """Some lines, read: good rows, what could not be processed, and how often something undeclared was there."""

    rows: pa.Table | pa.RecordBatch
    rejects: Sequence[Reject] = ()
    undeclared: Mapping[str, int] = field(default_factory=dict)


def finish(pieces: Iterable[Piece], out: Path) -> None:
    """Reads all pieces, and keeps them only where somebody wants to compare."""
    keep = bool(os.environ.get(KEEP))
    rejects: list[Reject] = []
    undeclared: Counter[str] = Counter()
    writer = None
    for piece in pieces:
        rejects += piece.rejects
        undeclared.update(piece.undeclared)
        if keep:
            rows = pa.Table.from_batches([piece.rows]) if isinstance(piece.rows, pa.RecordBatch) else piece.rows
            rows = rows.select(DECLARED).cast(SCHEMA)
            writer = writer or pq.ParquetWriter(out / "rows.parquet", SCHEMA)
            writer.write_table(rows)
    if writer is not None:
        writer.close()
        _write(out / "rejects.parquet", rejects, ("position", "field", "code"))
        _write(out / "undeclared.parquet", list(undeclared.items()), ("name", "records"))


def _write(path: Path, rows: Sequence[tuple[object, ...]], names: Sequence[str]) -> None:
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    pq.write_table(pa.table([pa.array(column) for column in columns], names=list(names)), path)
