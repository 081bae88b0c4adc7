from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.engines.local import batches
from minimize.io.base import Declared, Request
from minimize.io.parquet import parquet
from minimize.pointer import Pointer

GROUPS = 4


def test_a_batch_is_gone_before_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": range(GROUPS)}), path, row_group_size=1)
    given: list[weakref.ref[Any]] = []
    alive: list[int] = []
    read = pq.ParquetFile.read_row_group

    def watched(self: pq.ParquetFile, *words: Any, **named: Any) -> pa.Table:
        alive.append(sum(each() is not None for each in given))
        return read(self, *words, **named)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    source = parquet([path], tmp_path, Request((Declared("a", Pointer.parse("a"), "integer"),)))
    for batch in batches(source):
        given.append(weakref.ref(batch.raw.column(0)))
        given.append(weakref.ref(batch.raw))
        del batch
    assert alive == [0] * GROUPS
