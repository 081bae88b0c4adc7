"""`python -m benchmarks`: generates its data, compares outputs, measures in alternation, prints ratios and goals."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks import calls, report
from benchmarks.compare import unequal, unequal_exact
from benchmarks.contenders import BELOW, CONTENDERS, OURS, Contender, Job
from benchmarks.data import generate
from benchmarks.given import Given
from benchmarks.goals import Figures
from benchmarks.measure import Figure, Run, kept, timed
from benchmarks.parts import PARTS, Asked
from benchmarks.plot import plot

WORDS = ("a", "b", "h", "ingest", *PARTS)
Inputs = dict[Job, Given]


@click.command()
@click.option("--rows", default=10_000_000, show_default=True, help="Device rows.")
@click.option("--lines", default=None, type=int, help="NDJSON lines; a tenth of the rows where nothing is said.")
@click.option("--runs", default=5, show_default=True, help="Measured runs of each contender, after one to warm up.")
@click.option(
    "--only", multiple=True, metavar="WORD", help=f"A part ({', '.join(WORDS)}) or a contender; may be repeated."
)
@click.option(
    "--files",
    default=5,
    show_default=True,
    help="Files of a fifth of the rows that the expiring and deleting parts work on.",
)
@click.option("--times", default=10, show_default=True, help="How much more input the memory part reads.")
@click.option(
    "--data",
    default="out/benchmarks",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where all of it is kept.",
)
def main(rows: int, lines: int | None, runs: int, only: tuple[str, ...], files: int, times: int, data: Path) -> None:
    """Side-by-side figures against a plain copy and the peers. Exit 1 where outputs that must be equal are not."""
    lines, data, parts = lines or max(100, rows // 10), data.absolute(), _parts(only)
    chosen = [one for one in CONTENDERS if one.job in parts and _named(one, only)]
    note = f"{rows:,} rows, {lines:,} lines, {runs} runs, {os.cpu_count()} cores"
    click.echo(f"{note}; data in {data}")
    given, work = _inputs(parts, data, rows, lines), data / "work"
    work.mkdir(exist_ok=True)
    _compiled(data / "bytecode")
    equal = _compared(chosen, given, work)
    figures = _measured(chosen, given, work, runs)
    found: dict[str, Any] = {
        "at": calls.now(),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "versions": report.versions(),
        "rows": rows,
        "lines": lines,
        "runs": runs,
        "unequal": equal,
        "figures": [report.listed(one, figures[one.job, one.name]) for one in chosen],
        "goals": report.goals(figures),
    }
    for word in (word for word in parts if word in PARTS):
        part = PARTS[word]
        found[word] = part.measured(Asked(given["a"], data, work, rows, runs, files, times))
        found["goals"] += part.goals(found[word])
        if part.lines is not None:
            click.echo("\n" + part.lines(found[word]))
    click.echo("\n" + report.table(found["figures"]) + "\n\n" + report.goal_table(found["goals"]))
    (data / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    if figures:
        plot(figures, data / "results.png", note)
    click.echo(f"\nresults.json and results.png in {data}")
    sys.exit(1 if equal else 0)


def _compiled(folder: Path) -> None:
    """Every module compiled once and kept, as `pip install` leaves them: also where the environment says not to."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


def _parts(only: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in WORDS if word in only) or WORDS


def _named(contender: Contender, only: Sequence[str]) -> bool:
    names = set(only) - set(WORDS)
    return not names or contender.name in names


def _inputs(parts: Sequence[str], data: Path, rows: int, lines: int) -> Inputs:
    given: Inputs = {}
    if set(parts) - {"h", "ingest"}:
        given["a"] = given["b"] = generate.devices(data, rows)
    if "h" in parts:
        given["h"] = generate.devices(data, rows, vary=True)
    if "ingest" in parts:
        given["ingest"] = generate.lines(data, lines)
    return given


def _compared(chosen: Sequence[Contender], given: Inputs, work: Path) -> dict[str, str]:
    """Every contender once, to warm up and to compare; what differs from ours, by contender."""
    differing = {}
    for job in dict.fromkeys(one.job for one in chosen):
        ours = next(one for one in CONTENDERS if one.job == job and one.name == OURS)
        kept(ours, given[job], _out(ours, work))
        for one in chosen:
            if one.job == job and one is not ours:
                kept(one, given[job], _out(one, work))
                wrong = _difference(ours, one, work) if one.same_result else None
                said = wrong or ("the same result" if one.same_result else "does less, not compared")
                click.echo(f"  {job:8}{one.name:18}{said}")
                differing.update({f"{job} {one.name}": wrong} if wrong else {})
    return differing


def _difference(ours: Contender, one: Contender, work: Path) -> str | None:
    """What differs between our result and another; figures of others also from our exact ones, if those were made."""
    below, theirs = BELOW[one.job], _out(one, work)
    wrong = unequal(one.job, _out(ours, work) / below, theirs)
    exact = next((_out(each, work) / below for each in CONTENDERS if each.exact and each.job == one.job), None)
    if wrong or one.exact or exact is None or not exact.exists():
        return wrong
    return unequal_exact(exact, theirs)


def _measured(chosen: Sequence[Contender], given: Inputs, work: Path, runs: int) -> Figures:
    """All contenders of a job in turn, and again, so that whatever else the machine does meets them all."""
    found: dict[tuple[Job, str], list[Run]] = {(one.job, one.name): [] for one in chosen}
    for turn in range(runs):
        for one in chosen:
            found[one.job, one.name].append(timed(one, given[one.job], _out(one, work)))
        click.echo(f"  turn {turn + 1} of {runs}", err=True)
    return {key: Figure(tuple(taken)) for key, taken in found.items()}


def _out(contender: Contender, work: Path) -> Path:
    return work / f"{contender.job}-{contender.name.replace(' ', '-')}"


if __name__ == "__main__":
    main()
