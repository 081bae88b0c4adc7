"""Comparisons of figures: with noise within its bounds, without noise exactly; each sees what it must not accept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.compare import NOISE_SD, unequal, unequal_exact

GROUPS = 400
DEVICES = 40 + np.arange(GROUPS) % 60


def exact_table() -> pa.Table:
    keys = {name: pa.array([f"{name} {number}" for number in range(GROUPS)]) for name in ("tenant_id", "model")}
    return pa.table(
        {
            "day": pa.array([0] * GROUPS, pa.timestamp("ms")),
            **keys,
            "os_version": pa.nulls(GROUPS, pa.string()),
            "compliance_state": pa.array(["compliant"] * GROUPS),
            "events": pa.array(4 * DEVICES),
            "devices": pa.array(DEVICES),
            "battery_mean": pa.array(np.full(GROUPS, 50.0)),
            "storage_median": pa.array(np.full(GROUPS, 4_000_000_000)),
            "storage_p95": pa.array(np.full(GROUPS, 16_000_000_000)),
        }
    )


def noisy_table() -> pa.Table:
    random = np.random.default_rng(7)
    noise = np.clip(np.rint(random.normal(0, NOISE_SD, GROUPS)), -12, 12).astype(np.int64)
    changed = replaced(exact_table(), "devices", DEVICES + noise)
    return replaced(changed, "events", 4 * DEVICES + 24 * noise)


def replaced(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


def written(table: pa.Table, folder: Path) -> Path:
    folder.mkdir()
    pq.write_table(table, folder / "fleet.parquet")
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return written(exact_table(), tmp_path / "theirs")


def test_figures_with_noise_are_the_same_within_its_bounds(theirs: Path, tmp_path: Path) -> None:
    assert unequal("b", written(noisy_table(), tmp_path / "ours"), theirs) is None


@pytest.mark.parametrize("name", ["devices", "events", "battery_mean", "storage_median"])
def test_a_figure_beyond_the_bounds_is_seen(name: str, theirs: Path, tmp_path: Path) -> None:
    values = noisy_table()[name].to_numpy().copy()
    values[3] += 1000
    assert unequal("b", written(replaced(noisy_table(), name, values), tmp_path / "ours"), theirs) == (
        f"of {GROUPS} groups 1 are off by more than noise can be"
    )


def test_a_large_group_that_is_missing_is_seen(theirs: Path, tmp_path: Path) -> None:
    ours = written(noisy_table().slice(1), tmp_path / "ours")
    assert unequal("b", ours, theirs) == f"of {GROUPS - 1} groups 1 are off by more than noise can be"


def test_a_group_that_others_do_not_have_is_seen(theirs: Path, tmp_path: Path) -> None:
    names = pc.replace_substring(noisy_table()["model"], "model 5", "another")
    table = noisy_table().set_column(2, "model", names)
    assert unequal("b", written(table, tmp_path / "ours"), theirs) is not None


def test_figures_without_noise_are_seen(theirs: Path, tmp_path: Path) -> None:
    ours = written(exact_table(), tmp_path / "ours")
    assert unequal("b", ours, theirs) == "the noise has a standard deviation of 0.00, not 2.83"


def test_exact_figures_are_compared_exactly(theirs: Path, tmp_path: Path) -> None:
    assert unequal_exact(written(exact_table(), tmp_path / "exact"), theirs) is None
    changed = DEVICES.copy()
    changed[3] += 1
    assert unequal_exact(written(replaced(exact_table(), "devices", changed), tmp_path / "changed"), theirs) == (
        f"of {GROUPS} groups {GROUPS} are ours, {GROUPS} theirs, 1 differ"
    )
