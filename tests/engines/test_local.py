from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.engines.local import read_batches
from minimize.sources.base import DeclaredField, SourceRequest
from minimize.sources.parquet import parquet_source

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
    source = parquet_source([path], tmp_path, SourceRequest((DeclaredField("a", Pointer.parse("a"), "integer"),)))
    for batch in read_batches(source):
        given.append(weakref.ref(batch.raw.column(0)))
        given.append(weakref.ref(batch.raw))
        del batch
    assert alive == [0] * GROUPS
