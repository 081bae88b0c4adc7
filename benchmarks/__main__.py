"""`python -m benchmarks`: generates its data, compares outputs, measures in alternation, prints ratios and goals."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks import calls
from benchmarks.compare import unequal
from benchmarks.contenders import CONTENDERS, Contender, Job
from benchmarks.data import generate
from benchmarks.given import Given
from benchmarks.goals import CEILING, GOALS, HELP, IMPORT, MEMORY, PREPARED, Figures
from benchmarks.measure import Figure, Run, kept, timed
from benchmarks.plot import plot

TIMES = 10
PARTS = ("a", "b", "ingest", "memory", "calls")


@click.command()
@click.option("--rows", default=10_000_000, show_default=True, help="Device rows.")
@click.option("--lines", default=None, type=int, help="NDJSON lines; a tenth of the rows where nothing is said.")
@click.option("--runs", default=5, show_default=True, help="Measured runs of each contender, after one to warm up.")
@click.option("--only", multiple=True, metavar="WORD", help=f"Parts ({', '.join(PARTS)}) or contenders; may be given again.")
@click.option("--data", default="out/benchmarks", show_default=True, type=click.Path(path_type=Path), help="Where data is kept.")
@click.option("--times", default=TIMES, show_default=True, help="How much more input the memory part reads.")
def main(rows: int, lines: int | None, runs: int, only: tuple[str, ...], data: Path, times: int) -> None:
    """Side-by-side figures against a plain copy and the peers."""
    lines = lines or max(100, rows // 10)
    chosen = [one for one in CONTENDERS if _wanted(one, only)]
    click.echo(f"{rows:,} rows, {lines:,} lines, {runs} runs, {os.cpu_count()} cores, data in {data}")
    given: dict[Job, Given] = {}
    if any(one.job != "ingest" for one in chosen) or _has(only, "memory") or _has(only, "calls"):
        given["a"] = given["b"] = generate.devices(data.absolute(), rows)
    if any(one.job == "ingest" for one in chosen):
        given["ingest"] = generate.lines(data.absolute(), lines)
    work = data.absolute() / "work"
    work.mkdir(exist_ok=True)
    equal = _compared(chosen, given, work)
    figures = _measured(chosen, given, work, runs)
    report = {
        "at": calls.now(),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "versions": _versions(),
        "rows": rows,
        "lines": lines,
        "runs": runs,
        "equal": equal,
        "figures": [_listed(one, figures[one.job, one.name]) for one in chosen],
        "goals": [{"about": goal.about, "goal": goal.limit, "reached": goal.reached(figures)} for goal in GOALS],
    }
    if _has(only, "memory"):
        report["memory"] = _memory(data.absolute(), rows, times, work)
        report["goals"] += _memory_goals(report["memory"], times)
    if _has(only, "calls"):
        found = {**calls.prepared(given["a"]), **calls.starts()}
        limits = dict(zip(calls.ratios(found), (PREPARED, IMPORT, HELP), strict=False))
        report["calls"] = found
        report["goals"] += [
            {"about": name, "goal": limits[name], "reached": ratio} for name, ratio in calls.ratios(found).items()
        ]
    _told(report)
    (data / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    if figures:
        plot(figures, data / "results.png", f"{rows:,} rows, {lines:,} lines, median of {runs} runs, {os.cpu_count()} cores")
    click.echo(f"\nresults in {data / 'results.json'}" + (f" and {data / 'results.png'}" if figures else ""))
    sys.exit(0 if all(word is None for word in equal.values()) else 1)
