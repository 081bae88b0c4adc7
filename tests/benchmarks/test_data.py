"""Generated data: seeded, made once, and what its contenders rely on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.data.fleet import SCHEMA, events, fleet, varied
from benchmarks.data.generate import EDITION, devices, lines
from benchmarks.data.lines import rendered
from benchmarks.given import Given

WINDOW, SEED = (0.0, 1.0), (1, 2)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return events(fleet(4000, 1), 4000, WINDOW, SEED)


def test_the_same_seed_gives_the_same_events(table: pa.Table) -> None:
    assert events(fleet(4000, 1), 4000, WINDOW, SEED).equals(table)


def test_events_have_22_columns_in_the_order_of_their_time(table: pa.Table) -> None:
    assert len(SCHEMA) == 22
    assert table.schema == SCHEMA
    assert table["event_time"].to_pylist() == sorted(table["event_time"].to_pylist())


def test_no_degree_is_halfway_between_two_tenths(table: pa.Table) -> None:
    millionths = np.rint(table["latitude"].drop_null().to_numpy() * 1e6).astype(np.int64)
    assert not (millionths % 100_000 == 50_000).any()


def test_varied_events_have_20_columns_few_repeated_pairs_and_unique_doubles(table: pa.Table) -> None:
    found = varied(table, SEED)
    assert found.num_columns == 20
    assert all(len(found[name].unique()) == len(found) for name in ("latitude", "longitude", "battery_pct"))
    assert found.group_by(["device_id", "model"]).aggregate([]).num_rows > 0.95 * len(found)


def test_lines_read_back_as_the_events(table: pa.Table) -> None:
    _, clean = rendered(table, (3,))
    first, record = table.slice(0, 1).to_pylist()[0], json.loads(clean[0].as_py())
    there = {name: value for name, value in first.items() if value is not None}
    assert record.keys() >= there.keys()
    assert {**record, "event_time": 0} | {**there, "event_time": 0} == {**record, "event_time": 0}


def test_existing_data_is_reused(tmp_path: Path) -> None:
    made = lines(tmp_path, 100)
    before = made.lines.stat().st_mtime_ns
    assert lines(tmp_path, 100).lines.stat().st_mtime_ns == before


def test_incomplete_data_is_generated_again(tmp_path: Path) -> None:
    half = Given(tmp_path / f"lines-{EDITION}-100")
    half.folder.mkdir()
    half.lines.write_text("{")
    assert lines(tmp_path, 100).lines.read_bytes().count(b"\n") == 100


@pytest.mark.nightly
def test_ten_times_the_input_is_other_files_of_the_same_fleet(tmp_path: Path) -> None:
    once, more = devices(tmp_path, 1000), devices(tmp_path, 1000, 2)
    assert [len(given.files) for given in (once, more)] == [5, 10]
    assert len({file.read_bytes() for file in more.files}) == 10
