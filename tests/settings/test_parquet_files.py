"""Settings in Parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.errors import PolicyError
from minimize.settings import load_settings
from tests.settings.test_files import HEADER, ROW, written


def test_a_parquet_file_gives_the_same_settings(tmp_path: Path) -> None:
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


def test_each_file_of_a_folder_has_its_own_columns(tmp_path: Path) -> None:
    table = load_settings(written(tmp_path, HEADER + ROW.replace("t,,", "t,s,"))).table
    (tmp_path / "settings").mkdir()
    pq.write_table(table.drop_columns(["subject", "field"]), tmp_path / "settings/a.parquet")
    pq.write_table(table, tmp_path / "settings/b.parquet")
    assert load_settings(tmp_path / "settings").table["subject"].to_pylist() == [None, "s"]


@pytest.mark.parametrize("name", ["_opt_outs.parquet", ".opt_outs.pq", "below/_part.parquet", "_opt_outs.csv"])
def test_a_file_of_a_folder_is_read_under_any_name(tmp_path: Path, name: str) -> None:
    text = HEADER + ROW.replace(",on,", ",off,")
    table = load_settings(written(tmp_path, text)).table
    path = tmp_path / "settings" / name
    path.parent.mkdir(parents=True)
    if path.suffix == ".csv":
        path.write_text(text)
    else:
        pq.write_table(table, path)
    assert load_settings(tmp_path / "settings").table["value"].to_pylist() == ["off"]


def test_a_folder_without_files_is_not_read_as_no_settings(tmp_path: Path) -> None:
    (tmp_path / "settings" / "empty").mkdir(parents=True)
    with pytest.raises(PolicyError) as caught:
        load_settings(tmp_path / "settings")
    assert [finding.code for finding in caught.value.findings] == ["C001"]


def test_the_faults_of_all_files_of_a_folder_are_reported_by_file(tmp_path: Path) -> None:
    table = load_settings(written(tmp_path, HEADER + ROW)).table
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "notes.txt").write_text("opt-outs of March")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    pq.write_table(table.drop_columns("holder"), folder / "short.parquet")
    place = table.schema.get_field_index("tenant_id")
    pq.write_table(table.set_column(place, "tenant_id", pa.array([" "])), folder / "blank.parquet")
    with pytest.raises(PolicyError) as caught:
        load_settings(folder)
    found = {(finding.code, Path(finding.file or "").name) for finding in caught.value.findings}
    assert found == {
        ("C001", "notes.txt"),
        ("C001", "broken.parquet"),
        ("C002", "short.parquet"),
        ("C003", "blank.parquet"),
    }
