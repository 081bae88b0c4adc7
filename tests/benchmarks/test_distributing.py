"""The Spark engine beside the local one."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import distributing
from benchmarks.data.generate import devices
from benchmarks.measure import Failed, once
from tests.sparking import want_spark

BUSY = "import time; [None for _ in iter(lambda: time.process_time() < 0.5, False)]; time.sleep(2)"
"""It sleeps at its end, so that the watch sees all that it has used, however seldom it looks."""
START = f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {BUSY!r}])"
FORGETS = f"import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); {START}; child.wait()"


@pytest.mark.parametrize("code", [START, FORGETS], ids=["left behind", "waited for by nobody"])
def test_child_processes_of_a_command_are_measured(code: str, tmp_path: Path) -> None:
    assert once([sys.executable, "-c", code], tmp_path / "log").cpu >= 0.4


def test_figures_are_printed_one_engine_per_line() -> None:
    told = distributing.lines({"job a local": {"wall s": 1.0, "CPU s": 2.0, "MB": 30.0}})
    assert told.splitlines()[1].split() == ["job", "a", "local", "1.000", "2.000", "30.000"]


def test_without_java_spark_is_reported_as_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert distributing.lines(distributing.distributed(devices(tmp_path, 100), tmp_path, 1)) == (
        "spark    left out: there is no Java"
    )


@pytest.mark.nightly
@pytest.mark.spark
def test_both_engines_run_both_jobs_to_the_same_rows(tmp_path: Path) -> None:
    want_spark()
    found = distributing.distributed(devices(tmp_path, 20_000), tmp_path, 1)
    assert found.keys() == {f"job {job} {engine}" for job in "ab" for engine in distributing.ENGINES}
    assert all(each["CPU s"] > 0 for each in found.values())


@pytest.mark.nightly
@pytest.mark.spark
def test_other_rows_are_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want_spark()
    monkeypatch.setattr(distributing, "unequal", lambda job, ours, theirs: "the records differ")
    with pytest.raises(Failed, match="job a on Spark: the records differ"):
        distributing.distributed(devices(tmp_path, 2_000), tmp_path, 1)
