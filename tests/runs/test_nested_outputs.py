"""Outputs with lists, structs and maps open in pandas, DuckDB and Polars as plain datasets, with the rows of the receipt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

import minimize
from tests.project import BEFORE, DAY, event, new_project

FIELDS = {
    "/apps/*/name": {"type": "string", "do": "keep"},
    "/apps/*/rights/*": {"type": "string", "do": "keep"},
    "/labels": {"type": "map", "do": "drop", "keys": "keep"},
    "/labels/*": {"type": "string", "do": "keep"},
    "/hardware/cpu/cores": {"type": "integer", "do": {"clip": {"max": 8}}},
}
APPS = [{"name": "mail", "rights": ["camera", "files"]}, {"name": None, "rights": []}, {"rights": None}]


COUNT = 400
"""The records of a day, each of another device: a group of a hundred is above all noise."""


def records(first: int) -> list[dict[str, object]]:
    shapes: list[dict[str, object]] = [
        {"apps": APPS, "labels": {"team": "a", "floor": None}, "hardware": {"cpu": {"cores": 12}}},
        {"apps": [], "labels": {}, "hardware": {}},
        {"apps": None, "labels": None, "hardware": {"cpu": None}},
        {},
    ]
    return [event(first + n, device_id=f"d{n}", **shapes[n % len(shapes)]) for n in range(COUNT)]


@pytest.fixture(scope="module", name="out")
def _out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = new_project(tmp_path_factory.mktemp("project"))
    project.policy(FIELDS)
    project.pipeline(
        aggregates={
            "by_app": {
                "group_by": {"app": "/apps/*/name"},
                "measures": {"records": "count", "tenants": {"histogram": "tenant_id"}},
                "suppress": {"below": 2},
                "per_subject": {"rows": 1},
            }
        }
    )
    project.records(records(0))
    project.records(records(COUNT), day=BEFORE)
    project.run()
    minimize.verify(project.out, keys=project.keys)
    return project.out


def in_pandas(root: Path) -> int:
    return len(pd.read_parquet(root))


def in_duckdb(root: Path) -> int:
    with duckdb.connect() as connection:
        found = connection.read_parquet(f"{root}/**/*.parquet", hive_partitioning=True)
        return len(found.fetchall())


def in_polars(root: Path) -> int:
    return pl.read_parquet(root).height


def lazily_in_polars(root: Path) -> int:
    return int(pl.scan_parquet(f"{root}/**/*.parquet", hive_partitioning=True).collect().height)


@pytest.mark.parametrize("name", ["records", "by_app"])
@pytest.mark.parametrize("opened", [in_pandas, in_duckdb, in_polars, lazily_in_polars])
def test_an_output_opens_as_a_plain_dataset(out: Path, name: str, opened: Callable[[Path], int]) -> None:
    assert opened(out / name) == minimize.read(out, name).num_rows == (2 * COUNT if name == "records" else 2 * 2)


def test_all_see_the_same_values_and_what_holds_nothing_is_null(out: Path) -> None:
    files = minimize.files(out, dates=DAY)
    kept = {"apps", "labels", "hardware"}
    rows = minimize.read(out, dates=DAY).select(sorted(kept)).to_pylist()
    assert rows[0] == {
        "apps": [
            {"name": "mail", "rights": ["camera", "files"]},
            {"name": None, "rights": []},
            None,
        ],
        "labels": [("team", "a"), ("floor", None)],
        "hardware": {"cpu": {"cores": 8}},
    }
    with duckdb.connect() as connection:
        apps = [row[0] for row in connection.read_parquet(files).project("apps").fetchall()]
    assert apps == pl.read_parquet(files)["apps"].to_list() == [row["apps"] for row in rows]
