"""Planning a retraction of an output with many dates: CPU seconds and memory, beside the same with few dates.

Each date has a run of its own and a small file, so that the cost is that of receipts, policies and sources, not that of rows. It
is measured with the policy of the runs, which leaves nothing to do, and with a changed one, under which every date runs again.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow.parquet as pq

import minimize
from benchmarks.data.fleet import AT, FIRST
from benchmarks.expiring import KEPT, write_job
from benchmarks.given import Given
from benchmarks.goals import RETRACT
from benchmarks.measure import Run, once

FEW: Final = 10
MANY: Final = 400
ROWS: Final = 200
"""Rows of a date."""


COUNTS: Final[Mapping[str, int]] = {"few": FEW, "many": MANY}
POLICIES: Final = ("same", "changed")


def retracted(given: Given, work: Path, runs: int) -> dict[str, Any]:
    """The CPU seconds and megabytes of the plan with few and with many dates, in alternation."""
    house = work / "retracting"
    for name, dates in COUNTS.items():
        _write(given, house / name, dates)
    return measured(given, house, runs)


def measured(given: Given, house: Path, runs: int) -> dict[str, Any]:
    """The same for outputs that were written."""
    taken: dict[str, list[Run]] = {f"{name} {policy}": [] for policy in POLICIES for name in COUNTS}
    for _ in range(runs):
        for key, each in taken.items():
            name, policy = key.split()
            each.append(once(_plan(given, house / name, policy), house / "log"))
    return {
        f"{name} {what}": median(getattr(run, of) for run in each)
        for name, each in taken.items()
        for what, of in (("s", "cpu"), ("MB", "megabytes"))
    }


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What the plan may cost."""
    ratios = {policy: figures[f"many {policy} s"] / figures[f"few {policy} s"] for policy in POLICIES}
    about = f"CPU of a retraction's plan, {MANY} dates ÷ {FEW}, policy"
    return [{"about": f"{about} {policy}", "goal": RETRACT, "reached": ratio} for policy, ratio in ratios.items()]


def _write(given: Given, house: Path, dates: int) -> None:
    """So many dates through job A, one run each: into `out`, from `data`, by `same`; and its changed policy in `changed`."""
    shutil.rmtree(house, ignore_errors=True)
    for policy in POLICIES:
        write_job(house, policy)
    changed = house / "changed" / "policy.yaml"
    changed.write_text(changed.read_text().replace(*KEPT))
    rows = next(pq.ParquetFile(given.files[0]).iter_batches(ROWS))
    for number in range(dates):
        day = house / "data" / f"{FIRST - timedelta(days=number):%Y-%m-%d}"
        day.mkdir(parents=True)
        with pq.ParquetWriter(day / "a.parquet", rows.schema) as writer:
            writer.write_batch(rows)
        minimize.run(
            house / "same",
            date=day.name,
            at=AT,
            settings=given.settings,
            keys=given.keys,
            output=house / "out",
        )


def _plan(given: Given, house: Path, policy: str) -> list[str]:
    options = {"--pipeline": house / policy, "--keys": given.keys, "--settings": given.settings, "--at": AT.isoformat()}
    words = [str(word) for pair in options.items() for word in pair]
    return [sys.executable, "-m", "minimize", "retract", str(house / "out"), *words]
