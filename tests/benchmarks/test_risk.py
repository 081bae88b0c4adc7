"""Benchmarks of disclosure risk: both contenders count the same, and the tables have the shape that they state."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.risk import (
    ADULT,
    FLEET,
    adult_minimize,
    adult_risk,
    adult_table,
    fleet_duckdb,
    fleet_minimize,
    fleet_table,
)


def test_combinations_of_single_devices_are_those_of_sql(tmp_path: Path) -> None:
    pq.write_table(fleet_table(6000), tmp_path / "fleet.parquet")
    counts = fleet_minimize(tmp_path / "fleet.parquet")
    assert counts == fleet_duckdb(tmp_path / "fleet.parquet")
    assert counts[0] >= counts[1] > 0


def test_a_table_of_adults_shape_has_its_columns(tmp_path: Path) -> None:
    table = adult_table(500)
    assert len(table.column_names) == len(ADULT) + 1 == len(FLEET) + 1 == 9
    pq.write_table(table, tmp_path / "adult.parquet")
    figures = adult_minimize(tmp_path / "adult.parquet")
    assert figures[:2] == adult_risk(tmp_path / "adult.parquet")[:2]
