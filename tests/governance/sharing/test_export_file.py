"""A payload's file is private until it is whole, and never stands in the way of another."""

from __future__ import annotations

import json
import multiprocessing
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from minimize.errors import ConfigurationError, OutputError
from minimize.governance.sharing.export_file import StagedExport
from minimize.stores.durable_files import file_digest

ROWS = pa.table(
    {
        "text": ["a", None, 'q"x'],
        "time": pa.array([datetime(2026, 11, 25, tzinfo=UTC)] * 3),
        "day": [date(2026, 11, 25), None, None],
        "price": pa.array([Decimal("1.50"), None, None]),
        "bytes": [b"\x00\xff", None, b""],
    }
)


def written(path: Path, table: pa.Table) -> StagedExport:
    file = StagedExport(path, table.schema)
    for batch in table.to_batches(max_chunksize=2):
        file.take(batch)
    return file


def test_a_file_left_by_a_killed_process_is_removed_by_the_next_payload(tmp_path: Path) -> None:
    def dies() -> None:
        written(tmp_path / "p.parquet", ROWS)
        os._exit(137)

    process = multiprocessing.get_context("fork").Process(target=dies)
    process.start()
    process.join()
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == [".sharing"]
    file = written(tmp_path / "p.parquet", ROWS)
    file.finish()
    file.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]


def test_parquet_has_the_rows_and_the_digest_of_its_bytes(tmp_path: Path) -> None:
    file = written(tmp_path / "p.parquet", ROWS)
    digest, rows = file.finish()
    path = file.publish()
    assert rows == 3
    assert pq.read_table(path).to_pylist() == ROWS.to_pylist()
    assert digest == file_digest(path)


def test_ndjson_is_an_object_a_line(tmp_path: Path) -> None:
    file = written(tmp_path / "p.ndjson", ROWS)
    assert file.finish()[1] == 3
    lines = [json.loads(line) for line in file.publish().read_text().splitlines()]
    assert lines[0] == {
        "text": "a",
        "time": "2026-11-25T00:00:00Z",
        "day": "2026-11-25",
        "price": "1.50",
        "bytes": "AP8=",
    }
    assert lines[1]["text"] is None


def test_csv_can_be_read_again(tmp_path: Path) -> None:
    file = written(tmp_path / "p.csv", ROWS.select(["text", "day"]))
    file.finish()
    assert pv.read_csv(file.publish()).column("day").to_pylist() == [date(2026, 11, 25), None, None]


@pytest.mark.parametrize("encoded", [False, True])
def test_csv_runs_no_formula(tmp_path: Path, encoded: bool) -> None:
    texts = ["=1+1", "+cmd", "-a", "@x", "\tx", "-5", "+33612345678", "-1.5e3", "a=1", "", None, "'=1"]
    column = pa.array(texts).dictionary_encode() if encoded else pa.array(texts)
    file = written(tmp_path / "p.csv", pa.table({"text": column, "n": pa.array([-1] * len(texts))}))
    file.finish()
    found = pv.read_csv(file.publish(), convert_options=pv.ConvertOptions(column_types={"text": pa.string()}))
    assert found.column("text").to_pylist()[:10] == [
        *("'=1+1", "'+cmd", "'-a", "'@x", "'\tx", "-5", "+33612345678", "-1.5e3", "a=1", "")
    ]
    assert found.column("n").to_pylist() == [-1] * len(texts)


def test_csv_has_no_place_for_what_is_nested(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nested column"):
        StagedExport(tmp_path / "p.csv", pa.schema([("list", pa.list_(pa.string()))]))
    assert list(tmp_path.iterdir()) == []


def test_before_it_is_published_only_its_owner_can_look_into_its_folder(tmp_path: Path) -> None:
    file = written(tmp_path / "p.parquet", ROWS)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    file.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    file = written(tmp_path / "p.parquet", ROWS)
    file.finish()
    (tmp_path / "p.parquet").write_text("mine")
    with pytest.raises(OutputError, match="cannot be created"):
        file.publish()
    assert (tmp_path / "p.parquet").read_text() == "mine"


@pytest.mark.parametrize("name", ["p", "p.xlsx"])
def test_an_ending_that_names_no_format_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown file type"):
        StagedExport(tmp_path / name, ROWS.schema)


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is not writable"):
        StagedExport(tmp_path / "nowhere" / "p.csv", pa.schema([("a", pa.string())]))
