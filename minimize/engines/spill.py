"""Batches set aside on disk until everything was seen: in a file without a name, which only this process can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

import pyarrow as pa

from minimize.scrub import scrub

Again = Callable[[], Iterator[pa.RecordBatch]]


@contextmanager
def spilled(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[Again]:
    """Writes the batches, all of this schema, and gives a way to read them, in order, as often as wanted.

    The file is gone when the block ends, however it ends. What the batches do not show (values under nulls, entries of
    dictionaries that no row uses) is not written.
    """
    with TemporaryFile() as file:
        with pa.ipc.new_stream(file, schema) as writer:
            for batch in batches:
                writer.write_batch(scrub(batch, schema))
        yield lambda: _read(pa.PythonFile(file, "r"))


def _read(file: pa.PythonFile) -> Iterator[pa.RecordBatch]:
    file.seek(0)
    with pa.ipc.open_stream(file) as stream:
        yield from stream
