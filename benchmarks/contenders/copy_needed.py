"""A copy with pyarrow of the columns that the records job keeps."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.contenders.words import KEPT
from benchmarks.given import Given


def run(given: Given, out: Path) -> None:
    """Copies file by file."""
    for file in given.files:
        pq.write_table(pq.read_table(file, columns=list(KEPT)), out / file.name, compression="zstd")
