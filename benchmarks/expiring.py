"""Expiring one feature in many files: CPU seconds and memory, beside a copy of those files with pyarrow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.data.fleet import AT, FIRST
from benchmarks.given import Given
from benchmarks.goals import EXPIRE
from benchmarks.measure import once
from benchmarks.places import HERE, JOBS

KEPT = ("location: {about: position of a device}", "location: {about: position of a device, retention: 24h}")
"""What the policy says of the feature when files are written, and when they are expired."""


def expired(given: Given, work: Path, files: int, runs: int) -> dict[str, Any]:
    """The CPU seconds and megabytes of an expiry and of a copy, in alternation, and what was written before."""
    house = work / "expiring"
    write(given, house, files)
    policy = house / "job" / "policy.yaml"
    policy.write_text(policy.read_text().replace(*KEPT))
    taken: dict[str, list[Any]] = {"expire": [], "copy": []}
    for _ in range(runs):
        for folder in ("again", "copied"):
            shutil.rmtree(house / folder, ignore_errors=True)
        taken["copy"].append(once(copy_of(house), house / "log"))
        shutil.copytree(house / "out", house / "again")
        taken["expire"].append(once(_expire(given, house), house / "log"))
    size = sum(path.stat().st_size for path in (house / "out" / "records").rglob("*.parquet")) / 1e6
    said = {
        f"{name} {what}": median(getattr(run, of) for run in each)
        for name, each in taken.items()
        for what, of in (("s", "cpu"), ("MB", "megabytes"))
    }
    return {"files": files, "data MB": size, **said}


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What an expiry may cost."""
    ratio = figures["expire s"] / figures["copy s"]
    return [{"about": "CPU of expiring a feature ÷ copying the files", "goal": EXPIRE, "reached": ratio}]


def lines(figures: dict[str, Any]) -> str:
    """The figures as lines of text."""
    return "\n".join(f"{name:28}{figure:>12.3f}" for name, figure in figures.items())


def write(given: Given, house: Path, files: int) -> None:
    """So many dates, each from one of the fleet's files, through job A: into `out`, from `data`, by `job`."""
    shutil.rmtree(house, ignore_errors=True)
    write_job(house)
    for number in range(files):
        day = house / "data" / f"{FIRST + timedelta(days=number):%Y-%m-%d}"
        day.mkdir(parents=True)
        (day / "a.parquet").hardlink_to(given.files[number % len(given.files)])
    options = {"--settings": given.settings, "--keys": given.keys, "--at": AT.isoformat(), "--output": house / "out"}
    words = [str(word) for pair in options.items() for word in pair]
    subprocess.run([sys.executable, "-m", "minimize", "run", str(house / "job"), *words], check=True, cwd=HERE.parent)


def write_job(house: Path, name: str = "job") -> None:
    """Job A by date, from `data`: into a folder of this name."""
    (house / name).mkdir(parents=True)
    pipeline = (JOBS / "job_a" / "pipeline.yaml").read_text().splitlines()
    said = [
        f'source: {{path: "{house}/data/{{date}}/*.parquet", format: parquet}}' if line.startswith("source:") else line
        for line in pipeline
    ]
    (house / name / "pipeline.yaml").write_text("\n".join(said) + "\n")
    (house / name / "policy.yaml").write_text((JOBS / "job_a" / "policy.yaml").read_text())


def _expire(given: Given, house: Path) -> list[str]:
    options = {"--pipeline": house / "job", "--keys": given.keys, "--at": (AT + timedelta(days=1)).isoformat()}
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", "minimize", "expire", str(house / "again"), *words, "--yes"]


def copy_of(house: Path) -> list[str]:
    """The command that copies the records that were written."""
    return [sys.executable, "-m", "benchmarks.copying", str(house / "out" / "records"), str(house / "copied")]
