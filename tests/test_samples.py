"""Samples as files."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from minimize_samples import WRITERS, SampleFile, column_bytes
from minimize_samples.dataset import DatasetFaults, SampleRecords

FAULTS = DatasetFaults(("id",), {}, "day", {"contacts": []}, {"strange": 1})


def file(count: int = 3) -> SampleFile:
    rows, day = pa.array(np.arange(count)), pa.array([date(2026, 11, 24)] * count, pa.date32())
    ids = pa.array([f"a{row}" for row in range(count)], pa.string())
    records = SampleRecords({"id": ids}, {}, {"day": day}, pa.nulls(count, pa.string()), rows)
    return SampleFile(records, FAULTS, 0, np.random.default_rng(1))


@pytest.mark.parametrize("format_", ["ndjson", "ndjson.gz", "ndjson.zst"])
def test_each_line_ends_in_a_line_break(tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"part.{format_}"
    WRITERS[format_](file(), path)
    assert [json.loads(line)["id"] for line in _plain(path).splitlines(keepends=False)] == ["a0", "a1", "a2"]
    assert _plain(path).endswith(b"\n")


def test_gzip_bears_no_time(tmp_path: Path) -> None:
    WRITERS["ndjson.gz"](file(), tmp_path / "part.gz")
    assert (tmp_path / "part.gz").read_bytes()[4:8] == b"\0\0\0\0"


def test_parquet_has_the_types_of_the_columns(tmp_path: Path) -> None:
    WRITERS["parquet"](file(), tmp_path / "part.parquet")
    assert pq.read_schema(tmp_path / "part.parquet").equals(pa.schema([("id", pa.string()), ("day", pa.date32())]))


def test_parquet_holds_clean_records_only(tmp_path: Path) -> None:
    WRITERS["parquet"](file(3000), tmp_path / "part.parquet")
    assert pq.read_table(tmp_path / "part.parquet").column("id").null_count == 0
    assert b"contacts" in file(3000).spoiled_lines()


@pytest.mark.parametrize("format_", list(WRITERS))
def test_no_records_make_an_empty_file(tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"part.{format_}"
    WRITERS[format_](file(0), path)
    assert (pq.read_table(path).num_rows == 0) if format_ == "parquet" else (_plain(path) == b"")


def test_the_text_of_a_slice_is_that_of_the_slice() -> None:
    assert column_bytes(pa.array(["a", "bc", "d", "e"]).slice(1, 2)) == b"bcd"


def _plain(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    return zstandard.ZstdDecompressor().decompressobj().decompress(content) if path.suffix == ".zst" else content
