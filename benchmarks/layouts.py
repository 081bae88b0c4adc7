"""Job A with its records written in another way, for the parts that measure what a way of writing costs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.data.fleet import AT
from benchmarks.given import Given
from benchmarks.places import JOBS

PLAIN = "{must_be: pseudonymized}"
"""What job A says of its records."""


def job_a(folder: Path, records: str) -> Path:
    """Job A with other words about its records, in a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "job").mkdir(parents=True)
    shutil.copy(JOBS / "job_a" / "policy.yaml", folder / "job")
    text = (JOBS / "job_a" / "pipeline.yaml").read_text().replace(PLAIN, records)
    (folder / "job" / "pipeline.yaml").write_text(text)
    return folder / "job"


def run(given: Given, job: Path, out: Path) -> list[str]:
    """The command that runs such a job."""
    options = {"--input": given.devices / "*.parquet", "--settings": given.settings, "--keys": given.keys}
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", "minimize", "run", str(job), *words, "--at", AT.isoformat(), "--output", str(out)]


def lines(figures: dict[str, Any], what: str = "layout") -> str:
    """The figures of each layout (or of what else they are of) as lines of text."""
    names = list(next(iter(figures.values())))
    told = [f"{layout:28}" + "".join(f"{row[name]:>10.3f}" for name in names) for layout, row in figures.items()]
    return "\n".join([f"{what:28}" + "".join(f"{name:>10}" for name in names), *told])
