"""Jobs A and B on Spark, with two processors of this machine, beside the local engine: what a run takes, and the same rows.

Of Spark all processes count: the driver, its Java, and the Python workers.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import layouts
from benchmarks.compare import unequal
from benchmarks.contenders import BELOW, CONTENDERS, Contender
from benchmarks.given import Given
from benchmarks.measure import Failed, Figure, Run, command, once
from benchmarks.sparking import lacking

ENGINES: Mapping[str, tuple[str, ...]] = {"local": (), "spark local[2]": ("--engine", "spark")}
MASTER = {"MINIMIZE_SPARK_MASTER": "local[2]"}
LACKING = "left out"


def distributed(given: Given, work: Path, runs: int) -> dict[str, Any]:
    """Per job and engine medians of wall and CPU seconds and of memory, in alternation after one run each to warm up.

    Without pyspark or Java it says so. Raises Failed where the two engines do not write the same.
    """
    if missing := lacking():
        return {LACKING: missing}
    found: dict[str, Any] = {}
    for job in (one for one in CONTENDERS if one.module is None and not one.exact):
        outs = {engine: work / f"{job.job}-on-{number}" for number, engine in enumerate(ENGINES)}
        for engine, out in outs.items():
            _run(job, given, engine, out)
        local, spark = (out / BELOW[job.job] for out in outs.values())
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
    return f"spark    {LACKING}: {figures[LACKING]}" if LACKING in figures else layouts.lines(figures, "engine")


def _run(job: Contender, given: Given, engine: str, out: Path) -> Run:
    shutil.rmtree(out, ignore_errors=True)
    return once([*command(job, given, out), *ENGINES[engine]], out.with_suffix(".log"), MASTER)


def _told(figure: Figure) -> dict[str, float]:
    return {"wall s": figure.of("wall"), "CPU s": figure.of("cpu"), "MB": figure.of("megabytes")}
