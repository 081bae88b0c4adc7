"""How rows become row groups: how large they are, and what waits until there is enough for one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Shape:
    """How files are written.

    row_group  rows of a row group, about: a dictionary is written once for each of them
    enough     rows that are written at once, as a row group of their own, rather than wait for more
    buffered   bytes that wait, at most about, before a row group is written early
    level      of zstd
    open       files that are open at once, at most, where partitions have folders of their own
    """

    row_group: int = 1 << 20
    enough: int = 500_000
    buffered: int = 256 << 20
    level: int = 1
    open: int = 64


@dataclass(slots=True)
class Waiting:
    """Batches of one folder that wait until they make a row group."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes one batch in."""
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes
