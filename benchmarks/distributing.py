"""Jobs A and B on Spark, with two processors of this machine, beside the local engine: what a run takes, and the same rows.

Of Spark all processes count: the driver, its Java, and the Python workers.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.compare import unequal
from benchmarks.contenders import CONTENDERS, Contender, Job
from benchmarks.given import Given
from benchmarks.measure import Failed, Figure, Run, command, once

ENGINES: Mapping[str, tuple[str, ...]] = {"local": (), "spark local[2]": ("--engine", "spark")}
MASTER = {"MINIMIZE_SPARK_MASTER": "local[2]"}
RECORDS: Mapping[Job, str] = {"a": "records", "b": "fleet"}
"""What each job writes, below its output."""
LACKING = "left out"


def distributed(given: Given, work: Path, runs: int) -> dict[str, Any]:
    """Per job and engine medians of wall and CPU seconds and of memory, in alternation after one run each to warm up.

    Without pyspark or Java it says so. Raises Failed where the two engines do not write the same.
    """
    missing = _missing()
    if missing:
        return {LACKING: missing}
    found: dict[str, Any] = {}
    for job in (one for one in CONTENDERS if one.module is None):
        outs = {engine: work / f"{job.job}-on-{number}" for number, engine in enumerate(ENGINES)}
        for engine, out in outs.items():
            _run(job, given, engine, out)
        local, spark = (out / RECORDS[job.job] for out in outs.values())
        if (wrong := unequal(job.job, local, spark)) is not None:
            raise Failed(f"job {job.job} on Spark: {wrong}")
        taken: dict[str, list[Run]] = {engine: [] for engine in ENGINES}
        for _ in range(runs):
            for engine, out in outs.items():
                taken[engine].append(_run(job, given, engine, out))
        found |= {f"job {job.job} {engine}": _told(Figure(tuple(some))) for engine, some in taken.items()}
    return found


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """None: what a cluster is for is more input than a machine takes."""
    return []


def lines(figures: dict[str, Any]) -> str:
    """The figures of each engine as lines of text."""
    if LACKING in figures:
        return f"spark    {LACKING}: {figures[LACKING]}"
    told = [f"{name:24}{row['wall s']:>10.2f}{row['CPU s']:>10.2f}{row['MB']:>10.0f}" for name, row in figures.items()]
    return "\n".join([f"{'engine, the same rows':24}{'wall s':>10}{'CPU s':>10}{'MB':>10}", *told])


def _run(job: Contender, given: Given, engine: str, out: Path) -> Run:
    shutil.rmtree(out, ignore_errors=True)
    return once([*command(job, given, out), *ENGINES[engine]], out.with_suffix(".log"), MASTER)


def _told(figure: Figure) -> dict[str, float]:
    return {"wall s": figure.of("wall"), "CPU s": figure.of("cpu"), "MB": figure.of("megabytes")}


def _missing() -> str:
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed (--group spark)"
    home = os.environ.get("JAVA_HOME", "")
    there = shutil.which("java") or (Path(home) / "bin" / "java").exists()
    return "" if there else "there is no Java (JAVA_HOME)"
