"""Settings in Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from minimize.settings import load_settings
from tests.settings.test_files import HEADER, ROW, written


def test_a_parquet_file_is_read_alike(tmp_path: Path) -> None:
    table = load_settings(written(tmp_path, HEADER + ROW)).table
    pq.write_table(table, tmp_path / "settings.parquet")
    rows = load_settings(tmp_path / "settings.parquet")
    assert rows.table.equals(table)
    assert rows.digest == load_settings(tmp_path / "settings.csv").digest


def test_a_folder_of_files_is_read_whole(tmp_path: Path) -> None:
    table = load_settings(written(tmp_path, HEADER + ROW)).table
    (tmp_path / "settings").mkdir()
    for name in ("a", "b"):
        pq.write_table(table, tmp_path / f"settings/{name}.parquet")
    assert load_settings(tmp_path / "settings").table.num_rows == 2
