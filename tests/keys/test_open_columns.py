"""Other engines read what is open of a file in which other columns are encrypted."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.keys.files import SCHEMA, keyring, written


def test_duckdb_reads_open_columns(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    found = duckdb.execute(
        f"SELECT word, sum(open) FROM '{path}' WHERE open < 100 GROUP BY word ORDER BY word"
    ).fetchall()
    assert found == [("green", 2500), ("red", 2450)]


def test_duckdb_refuses_everything_and_what_is_closed(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    for what in ("*", "phone", "device"):
        with pytest.raises(duckdb.Error):
            duckdb.execute(f"SELECT {what} FROM '{path}'").fetchall()


def test_duckdb_counts_and_describes_without_a_key(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    assert duckdb.execute(f"SELECT count(*) FROM '{path}'").fetchall() == [(500,)]
    assert [row[0] for row in duckdb.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()] == SCHEMA.names


def test_polars_reads_open_columns(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    assert pl.scan_parquet(path).select("open", "word").filter(pl.col("open") > 490).collect().height == 9


def test_polars_refuses_what_is_closed(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    with pytest.raises(pl.exceptions.PolarsError):
        pl.scan_parquet(path).select("phone").collect()


def test_pyarrow_reads_open_columns(tmp_path: Path) -> None:
    path = written(tmp_path, keyring(tmp_path))
    batches = pq.ParquetFile(path).iter_batches(columns=["open"])
    assert sum(batch.num_rows for batch in batches) == 500
    with pytest.raises(OSError, match="Cannot decrypt"):
        pq.ParquetFile(path).read(columns=["device"])
