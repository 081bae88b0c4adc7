"""Quarantine: one row per record that could not be processed, with a stable code and a pointer to it. Never a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa

from minimize.output.sink import WorkerFiles
from minimize.records import Reject, Sink, WrittenFile

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
