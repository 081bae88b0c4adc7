"""Everything that is held of somebody, as files."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from minimize.errors import ConfigurationError, OutputError
from minimize.governance.subjects import Exported, Subject, export, view
from minimize.switching import House as Places
from tests.job.house import AT, BEFORE, House, events

RECORDS = events(120)
OF_D3 = sum(each["device_id"] == "d3" for each in RECORDS)


def exported(house: House, *subjects: Subject, **options: Any) -> tuple[Exported, ...]:
    places = Places(keys=house.keys, ledger=house.out / "ledger.db")
    return export(view(subjects or [Subject("d3")], places, AT), house.folder / "export", places, **options)


@pytest.fixture(name="folder")
def _folder(house: House) -> Path:
    house.brings(RECORDS)
    house.brings(RECORDS, BEFORE)
    house.run()
    return house.folder / "export"


def test_records_come_as_json_csv_and_parquet(house: House, folder: Path) -> None:
    (done,) = exported(house)
    assert done.rows == 2 * OF_D3
    with (folder / "1-checkins.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * OF_D3
    assert len((folder / "1-checkins.ndjson").read_text().splitlines()) == 2 * OF_D3
    assert pl.read_parquet(folder / "1-checkins.parquet").height == 2 * OF_D3
    assert duckdb.read_parquet(str(folder / "1-checkins.parquet")).shape[0] == 2 * OF_D3


def test_only_the_formats_that_are_asked_for_are_written(house: House, folder: Path) -> None:
    (done,) = exported(house, formats=["csv"])
    assert {each for each in done.files if each[0] == "1"} == {"1-checkins.csv"}
    with pytest.raises(ConfigurationError, match="no format xml"):
        exported(house, formats=["xml"])


def test_everything_is_its_owners_alone(house: House, folder: Path) -> None:
    exported(house)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_what_the_organization_leaves_out_is_in_no_file(house: House, folder: Path) -> None:
    exported(house, redact=["model"])
    assert b"model" not in (folder / "1-checkins.csv").read_bytes()
    assert "model" not in pl.read_parquet(folder / "1-checkins.parquet").columns
    body = json.loads((folder / "view.json").read_text())
    assert body["redacted"] == ["model"]
    assert all("model" not in each["fields"] for each in body["held"])


def test_several_subjects_have_a_folder_each(house: House, folder: Path) -> None:
    first, second = exported(house, Subject("d3"), Subject("d4"))
    assert (first.folder, second.folder) == (folder / "1", folder / "2")
    assert second.rows == 2 * sum(each["device_id"] == "d4" for each in RECORDS)


def test_an_export_is_never_written_over_another(house: House, folder: Path) -> None:
    exported(house)
    with pytest.raises(OutputError, match="there already"):
        exported(house)


def test_entries_of_the_log_in_which_the_subject_acts_go_along(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "d3")
    house.run()
    (done,) = exported(house)
    lines = [json.loads(line) for line in (folder / "audit.ndjson").read_text().splitlines()]
    assert len(lines) == done.audit > 0
    assert {line["event"]["actor"]["user"] for line in lines} == {"d3"}


def test_nested_columns_are_json_text_in_csv(house: House) -> None:
    house.policy({"/apps/*/name": {"type": "string", "do": "keep"}})
    house.brings({**each, "apps": [{"name": "a"}, {"name": "b"}]} for each in RECORDS)
    house.run()
    exported(house)
    with (house.folder / "export" / "1-checkins.csv").open(newline="") as file:
        assert json.loads(next(csv.DictReader(file))["apps"]) == [{"name": "a"}, {"name": "b"}]
