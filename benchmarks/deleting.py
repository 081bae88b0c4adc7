"""Deleting many subjects from many files in one pass: CPU seconds and memory, beside rewriting those files once, and a copy."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from benchmarks.expiring import copy_of, write
from benchmarks.given import Given
from benchmarks.goals import DELETE
from benchmarks.measure import once

SUBJECTS = 1_000


def deleted(given: Given, work: Path, files: int, runs: int) -> dict[str, Any]:
    """The CPU seconds and megabytes of a deletion, of our rewriting of the files alone, and of a copy, in alternation."""
    house = work / "deleting"
    write(given, house, files)
    asked = _asked(given, house / "asked.csv")
    taken: dict[str, list[Any]] = {"delete": [], "rewrite": [], "copy": []}
    for _ in range(runs):
        for folder in (
            "again",
            "copied",
            "out/erasures",
        ):  # the ledger of `again` names `out`: a deletion adds its list
            shutil.rmtree(house / folder, ignore_errors=True)
        taken["copy"].append(once(copy_of(house), house / "log"))
        shutil.copytree(house / "out", house / "again")
        taken["rewrite"].append(once(_rewrite(given, house), house / "log"))
        taken["delete"].append(once(_delete(given, house), house / "log"))
    said = {
        f"{name} {what}": median(getattr(run, of) for run in each)
        for name, each in taken.items()
        for what, of in (("s", "cpu"), ("MB", "megabytes"))
    }
    return {"files": files, "subjects": asked, **said}


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What a deletion may cost."""
    names = {"rewrite s": "rewriting the files once", "copy s": "copying the files"}
    return [
        {"about": f"CPU of deleting subjects ÷ {name}", "goal": DELETE, "reached": figures["delete s"] / figures[key]}
        for key, name in names.items()
        if key in figures
    ]


def _asked(given: Given, path: Path) -> int:
    """The file of those who are deleted: the first so many devices of the fleet."""
    columns = ["tenant_id", "device_id"]
    first = next(pq.ParquetFile(given.files[0]).iter_batches(64 * SUBJECTS, columns=columns))
    pairs = list(dict.fromkeys(zip(*(first[name].to_pylist() for name in columns), strict=True)))[:SUBJECTS]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("tenant_id", "subject"), *pairs])
    return len(pairs)


def _rewrite(given: Given, house: Path) -> list[str]:
    """The command that rewrites every file and leaves every row."""
    return [sys.executable, "-m", "benchmarks.rewriting", str(house / "again"), str(given.keys)]


def _delete(given: Given, house: Path) -> list[str]:
    options = {
        "--file": house / "asked.csv",
        "--in": house / "again",
        "--keys": given.keys,
        "--ledger": house / "again" / "ledger.db",
        "--pipeline": house / "job",
    }
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", "minimize", "subject", "delete", *words, "--yes"]
