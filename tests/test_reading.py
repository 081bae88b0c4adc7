"""The set in force of an output, as a table and as files."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import minimize
from minimize.errors import OutputError
from minimize.keys import add_key
from tests.job.house import AT, BEFORE, DAY, House, built, events


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    house = built(tmp_path)
    house.brings(events(20))
    house.brings(events(30), day=BEFORE)
    house.run()
    return house


def test_everything_in_force_comes_with_its_date(house: House) -> None:
    table = minimize.read(house.out)
    assert table.num_rows == 50
    assert table.schema.names[-1] == "date"
    assert set(table["date"].to_pylist()) == {date(2026, 11, 23), date(2026, 11, 24)}


@pytest.mark.parametrize("dates", [DAY, [DAY], date(2026, 11, 24)])
def test_dates_can_be_chosen(house: House, dates: Any) -> None:
    table = minimize.read(house.out, dates=dates)
    assert table.num_rows == 20


def test_an_aggregate_is_read_by_its_name(house: House) -> None:
    assert {"day", "model", "events", "date"} <= set(minimize.read(house.out, "per_model").column_names)


def test_a_name_that_nothing_was_published_under_is_a_mistake(house: House) -> None:
    with pytest.raises(OutputError, match="no output of that name"):
        minimize.read(house.out, "per_modle")


def test_the_files_are_those_that_other_engines_read(house: House) -> None:
    files = minimize.files(house.out)
    assert len(files) == 2
    assert sum(len(pd.read_parquet(file)) for file in files) == 50
    assert pl.read_parquet(files).height == 50
    assert len(duckdb.read_parquet(files).fetchall()) == 50


def test_the_folder_opens_as_a_plain_dataset(house: House) -> None:
    folder = house.out / "records"
    assert len(pd.read_parquet(folder)) == 50
    assert pl.read_parquet(folder).height == 50
    assert len(duckdb.read_parquet(f"{folder}/**/*.parquet").fetchall()) == 50


def test_two_versions_of_a_key_are_not_mixed_unless_asked(house: House) -> None:
    add_key(house.keys, "device", now=AT)
    house.run(date=DAY)
    with pytest.raises(OutputError):
        minimize.read(house.out)
    assert minimize.read(house.out, dates=DAY).num_rows == 20
    assert minimize.read(house.out, mixed_keys=True).num_rows == 50


def test_columns_carry_their_meaning(house: House) -> None:
    field = minimize.read(house.out).schema.field("device_id")
    assert field.type == pa.string()
    assert field.metadata is not None
    assert field.metadata[b"minimize:technique"].startswith(b"pseudonymize")
