"""`python -m benchmarks.copying FROM TO`: every Parquet file below a folder, read and written again with pyarrow."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq


def main(source: Path, target: Path) -> None:
    """Copies file by file."""
    for number, path in enumerate(sorted(source.rglob("*.parquet"))):
        target.mkdir(parents=True, exist_ok=True)
        pq.write_table(pq.read_table(path, partitioning=None), target / f"{number}.parquet", compression="zstd")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
