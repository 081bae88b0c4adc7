"""Files of other processes: only what was adopted is staged, and who comes too late fails."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.output.sink import WorkerFiles, remove_attempts
from minimize.stores import relative_path

SCHEMA = pa.schema([("a", pa.string()), ("n", pa.int64())])
ROWS = pa.record_batch([pa.array(["x", "y"]), pa.array([1, 2])], schema=SCHEMA)


@pytest.fixture(name="elsewhere")
def _elsewhere(tmp_path: Path) -> WorkerFiles:
    return WorkerFiles(tmp_path, "records/date=2026-11-24", "run", SCHEMA, ("a",)).prepare()


def test_an_attempt_writes_outside_the_staged_files(elsewhere: WorkerFiles) -> None:
    sink = ForkingPickler.loads(ForkingPickler.dumps(elsewhere)).sink("00003-t7")
    sink.write(ROWS)
    written = sink.close()
    assert [file.path for file in written] == [
        f"records/date=2026-11-24/a={value}/run-00003-t7.parquet" for value in ("x", "y")
    ]
    assert not (elsewhere.root / "records").exists()


def test_only_adopted_files_are_staged(elsewhere: WorkerFiles) -> None:
    first, second = elsewhere.sink("00000-t0"), elsewhere.sink("00000-t1")
    for sink in (first, second):
        sink.write(ROWS)
    first.close()
    adopted = elsewhere.adopt("00000-t1", second.close())
    staged = sorted(
        relative_path(path, elsewhere.root).as_posix() for path in (elsewhere.root / "records").rglob("*.parquet")
    )
    assert staged == [file.path for file in adopted]
    assert all("t1" in path for path in staged)


def test_an_attempt_without_rows_leaves_no_file(elsewhere: WorkerFiles) -> None:
    assert elsewhere.sink("00000-t0").close() == ()


def test_unadopted_files_are_removed_and_a_late_worker_fails(elsewhere: WorkerFiles) -> None:
    sink = elsewhere.sink("00000-t0")
    sink.write(ROWS)
    sink.close()
    remove_attempts(elsewhere.root)
    assert [*elsewhere.root.iterdir()] == []
    with pytest.raises(FileNotFoundError):
        elsewhere.sink("00000-t1")


def test_without_attempts_of_other_processes_nothing_is_removed(tmp_path: Path) -> None:
    remove_attempts(tmp_path)
    assert [*tmp_path.iterdir()] == []
