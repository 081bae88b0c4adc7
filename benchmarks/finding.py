"""Finding one subject: what the index costs a run, and what of the output is read with it and without."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.given import Given
from benchmarks.goals import INDEX
from benchmarks.layouts import PLAIN, job_a, run
from benchmarks.measure import once
from benchmarks.places import HERE

LAYOUTS = {
    "no index": "{must_be: pseudonymized, index: false}",
    "index": PLAIN,
    "index, a folder a tenant": "{must_be: pseudonymized, partition_by: [tenant_id]}",
}
"""How the records of job A are written, by what the pipeline says of them."""
LOOKS = 5
"""Subjects that are looked for, one after another."""


def found(given: Given, work: Path, runs: int) -> dict[str, Any]:
    """Per layout the CPU seconds of a run and the bytes of its output, and of a look for one subject CPU seconds and bytes."""
    outs = {name: work / f"finding-{number}" for number, name in enumerate(LAYOUTS)}
    jobs = {name: job_a(outs[name], said) for name, said in LAYOUTS.items()}
    cpu: dict[str, list[float]] = {name: [] for name in LAYOUTS}
    for _ in range(runs):
        for name, out in outs.items():
            shutil.rmtree(out / "out", ignore_errors=True)
            cpu[name].append(once(run(given, jobs[name], out / "out"), out / "log").cpu)
    return {
        name: {"run s": median(cpu[name]), **_sizes(outs[name] / "out"), **_looks(given, outs[name])} for name in outs
    }


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What the index may cost."""
    ratio = figures["index"]["run s"] / figures["no index"]["run s"]
    return [{"about": "job A CPU with an index ÷ without", "goal": INDEX, "reached": ratio}]


def _sizes(out: Path) -> dict[str, float]:
    return {
        name: sum(path.stat().st_size for path in (out / folder).rglob("*") if path.is_file()) / 1e6
        for name, folder in (("data MB", "records"), ("index MB", "index"))
    }


def _looks(given: Given, out: Path) -> dict[str, float]:
    """A look with the keyring, one without, which scans, and what `subject view` does; each in a process of its own."""
    found = {how: _look(out / "out", given, how) for how in ("look", "scan", "view")}
    return {
        f"{how} {what}": figure for how, both in found.items() for what, figure in zip(("s", "MB"), both, strict=True)
    }


def _look(out: Path, given: Given, how: str) -> Sequence[float]:
    """CPU seconds and megabytes read, for each subject."""
    words = [
        sys.executable,
        "-m",
        "benchmarks.looking",
        str(out),
        str(given.keys),
        how,
        str(LOOKS),
        str(given.files[0]),
    ]
    said = subprocess.run(words, check=True, capture_output=True, cwd=HERE.parent).stdout
    return [float(each) for each in json.loads(said)]
