"""Batches set aside on disk until everything was seen: sealed, in a file without a name, which only this process can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from minimize.scrub import scrub
from minimize.spill import Vault

Again = Callable[[], Iterator[pa.RecordBatch]]


@contextmanager
def spilled(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[Again]:
    """Writes the batches, all of this schema, and gives a way to read them, in order, as often as wanted.

    The file is gone when the block ends, however it ends. What the batches do not show (values under nulls, entries of
    dictionaries that no row uses) is not written, and nothing is written that is not encrypted.
    """
    with Vault() as vault:
        pieces = [vault.put(_packed(scrub(batch, schema))) for batch in batches]
        yield lambda: (_unpacked(vault.get(piece)) for piece in pieces)


def _packed(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _unpacked(content: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(pa.py_buffer(content)) as stream:
        return stream.read_next_batch()
