"""Every contender on little data: it runs, and what must be the same is the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.compare import unequal
from benchmarks.contenders import BELOW, CONTENDERS, Contender, Job
from benchmarks.data import generate
from benchmarks.given import Given
from benchmarks.measure import Failed, Run, kept, once

ROWS, LINES = 20_000, 30_000
PEERS = [one for one in CONTENDERS if one.name != "minimize"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[Job, Given]:
    folder = tmp_path_factory.mktemp("data")
    devices = generate.devices(folder, ROWS)
    varied = generate.devices(folder, ROWS, vary=True)
    return {"a": devices, "b": devices, "h": varied, "ingest": generate.lines(folder, LINES)}


@pytest.fixture(scope="module")
def ours(data: dict[Job, Given], tmp_path_factory: pytest.TempPathFactory) -> dict[Job, Path]:
    folder = tmp_path_factory.mktemp("ours")
    for one in CONTENDERS:
        if one.name == "minimize":
            kept(one, data[one.job], folder / one.job)
    return {job: folder / job / below for job, below in BELOW.items()}


@pytest.mark.nightly
@pytest.mark.parametrize("peer", PEERS, ids=lambda one: f"{one.job} {one.name}")
def test_a_contender_comes_to_the_same_result(
    peer: Contender, data: dict[Job, Given], ours: dict[Job, Path], tmp_path: Path
) -> None:
    run = kept(peer, data[peer.job], tmp_path / "out")
    assert run.cpu > 0
    assert not peer.same_result or unequal(peer.job, ours[peer.job], tmp_path / "out") is None


@pytest.mark.nightly
def test_a_comparison_sees_one_changed_value(ours: dict[Job, Path], tmp_path: Path) -> None:
    files = sorted(ours["a"].glob("*.parquet"))
    table = pa.concat_tables(pq.read_table(file) for file in files)
    owners = table["owner_type"].to_pylist()
    owners[7] = "somebody"
    place = table.schema.get_field_index("owner_type")
    pq.write_table(table.set_column(place, "owner_type", pa.array(owners)), tmp_path / "records.parquet")
    assert unequal("a", ours["a"], tmp_path) == "the records differ in owner_type, whole_rows"


@pytest.mark.nightly
def test_a_comparison_sees_a_missing_group(ours: dict[Job, Path], tmp_path: Path) -> None:
    table = pq.read_table(next(ours["b"].glob("*.parquet")))
    pq.write_table(table.slice(1), tmp_path / "fleet.parquet")
    assert "1 groups" not in (unequal("b", ours["b"], tmp_path) or "")
    assert unequal("b", ours["b"], tmp_path) is not None


def _python(*words: str) -> Sequence[str]:
    import sys

    return [sys.executable, "-c", *words]


def test_a_failing_contender_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="exit 3"):
        once(_python("raise SystemExit(3)"), tmp_path / "log")


def test_the_memory_of_a_run_is_its_own(tmp_path: Path) -> None:
    small = once(_python("pass"), tmp_path / "log")
    large = once(_python("held = bytearray(b'x') * 200_000_000"), tmp_path / "log")
    assert isinstance(small, Run)
    assert small.megabytes < 60 < 200 <= large.megabytes < 300
