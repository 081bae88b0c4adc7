"""The set in force of an output, as a table and as files."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import minimize
from minimize.datasets.reader import find_subjects
from minimize.errors import OutputError
from minimize.keys import add_key
from tests.project import AT, BEFORE, DAY, Builds, Project, events


def content(project: Project) -> None:
    project.records(events(20))
    project.records(events(30), day=BEFORE)
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_LEDGER")  # the ledger is in the output
    return builds.fill(project, content)


def test_everything_in_force_comes_with_its_date(project: Project) -> None:
    table = minimize.read(project.out)
    assert table.num_rows == 50
    assert table.schema.names[-1] == "date"
    assert set(table["date"].to_pylist()) == {date(2026, 11, 23), date(2026, 11, 24)}


@pytest.mark.parametrize("dates", [DAY, [DAY], date(2026, 11, 24)])
def test_dates_can_be_chosen(project: Project, dates: Any) -> None:
    table = minimize.read(project.out, dates=dates)
    assert table.num_rows == 20


def test_an_aggregate_is_read_by_its_name(project: Project) -> None:
    assert {"day", "model", "events", "date"} <= set(minimize.read(project.out, "per_model").column_names)


def test_a_name_that_nothing_was_published_under_is_a_mistake(project: Project) -> None:
    with pytest.raises(OutputError, match="unknown output name"):
        minimize.read(project.out, "per_modle")


def test_the_files_are_those_that_other_engines_read(project: Project) -> None:
    files = minimize.files(project.out)
    assert len(files) == 2
    assert sum(len(pd.read_parquet(file)) for file in files) == 50
    assert pl.read_parquet(files).height == 50
    assert len(duckdb.read_parquet(files).fetchall()) == 50


def test_the_folder_opens_as_a_plain_dataset(project: Project) -> None:
    folder = project.out / "records"
    assert len(pd.read_parquet(folder)) == 50
    assert pl.read_parquet(folder).height == 50
    assert len(duckdb.read_parquet(f"{folder}/**/*.parquet").fetchall()) == 50


def test_two_versions_of_a_key_are_not_mixed_unless_asked(project: Project) -> None:
    add_key(project.keys, "device", now=AT)
    project.run(date=DAY)
    with pytest.raises(OutputError):
        minimize.read(project.out)
    assert minimize.read(project.out, dates=DAY).num_rows == 20
    assert minimize.read(project.out, mixed_keys=True).num_rows == 50


def test_columns_carry_their_meaning(project: Project) -> None:
    field = minimize.read(project.out).schema.field("device_id")
    assert field.type == pa.string()
    assert field.metadata is not None
    assert field.metadata[b"minimize:technique"].startswith(b"pseudonymize")


def test_the_records_of_some_subjects_can_be_read_alone(project: Project) -> None:
    everything = minimize.read(project.out)
    wanted = everything["device_id"].to_pylist()[:2]
    due = everything.filter(pa.compute.is_in(everything["device_id"], value_set=pa.array(wanted)))
    for keys in (project.keys, None):
        found = minimize.read(project.out, subjects=wanted, keys=keys)
        assert found.schema == everything.schema
        assert sorted(map(str, found.to_pylist())) == sorted(map(str, due.to_pylist()))


def test_a_subject_that_is_not_there_has_no_rows_and_all_columns(project: Project) -> None:
    found = minimize.read(project.out, subjects=["nobody", 7, b"x"], keys=project.keys)
    assert (found.num_rows, found.schema) == (0, minimize.read(project.out).schema)


def test_subjects_are_not_looked_for_in_aggregates_or_by_a_column_that_was_dropped(project: Project) -> None:
    with pytest.raises(OutputError, match="per_model has no rows of single subjects"):
        minimize.read(project.out, "per_model", subjects=["x"], keys=project.keys)
    project.policy({"device_id": {"type": "string", "role": "identifier", "do": "drop"}})
    project.pipeline(aggregates=None)
    project.run()
    with pytest.raises(OutputError, match="has no column of its subject"):
        minimize.read(project.out, subjects=["x"], keys=project.keys)


def test_files_that_may_hold_a_subject_are_named_with_their_row_groups(project: Project) -> None:
    one = minimize.read(project.out, dates=DAY)["device_id"][0].as_py()
    [place] = find_subjects(project.out, [one], dates=DAY, keys=project.keys)
    assert (place.file.path.split("/")[1], place.groups) == (f"date={DAY}", (0,))
    assert find_subjects(project.out, ["nobody"], keys=project.keys) == []
    assert [place.groups for place in find_subjects(project.out, ["nobody"])] == [None, None]


def test_one_subject_alone_is_a_subject_and_not_its_letters(project: Project) -> None:
    mine = minimize.read(project.out)["device_id"][0].as_py()
    assert minimize.read(project.out, subjects=mine, keys=project.keys).equals(
        minimize.read(project.out, subjects=[mine], keys=project.keys)
    )
    assert minimize.read(project.out, subjects=mine).num_rows
    assert find_subjects(project.out, mine, keys=project.keys) == find_subjects(project.out, [mine], keys=project.keys)
