"""Indexes of small files of records, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.arrow.pointers import Pointer
from minimize.output.sink import index_files, output_files
from minimize.output.subject_index import SubjectIndexer
from minimize.receipts import ReceiptFile, WrittenOutput, files_with_companions
from minimize.records import WrittenFile
from minimize.stores.durable_files import file_digest


class Keys:
    """Stands in for a keyring; every version of the key has bytes of its own."""

    def __init__(self, newest: int = 1, seed: str = "") -> None:
        self.newest, self.seed = newest, seed

    def version_of(self, name: str) -> int:
        return self.newest

    def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
        return hashlib.sha256(f"{self.seed} {name}/{version or self.newest} {purpose}".encode()).digest()


DEVICE = Pointer.parse("device")


def table(values: pa.Array) -> pa.Table:
    return pa.table({"device": values, "n": pa.array(range(len(values)), pa.int64())})


def written(
    root: Path, groups: Sequence[pa.Array], keys: Keys | None = None, *, name: str = "run-0", subject: Pointer = DEVICE
) -> ReceiptFile:
    """A file of records whose column `device` has these values, a row group each; indexed where there are keys."""
    path = f"records/{name}.parquet"
    (root / "records").mkdir(parents=True, exist_ok=True)
    beside = None if keys is None else SubjectIndexer.from_keys(keys, subject)(root, path)
    tables = [table(values) for values in groups]
    schema = tables[0].schema if tables else table(pa.array([], pa.string())).schema
    with pq.ParquetWriter(root / path, schema) as writer:
        for each in tables:
            writer.write_table(each)
            if beside is not None:
                beside.group(each)
    made = WrittenFile(path, sum(map(len, groups)), file_digest(root / path))
    made = made if beside is None else beside.close(made)
    files = output_files([made])
    return files_with_companions(WrittenOutput("pseudonymized", made.rows, files=files, index=index_files([made])))[0]
