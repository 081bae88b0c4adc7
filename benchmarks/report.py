"""What a run of the benchmarks tells: figures as plain data, and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.goals import GOALS, Figures
from benchmarks.measure import Figure

MEASURES = ("wall", "cpu", "megabytes")
PACKAGES = ("minimize", "pyarrow", "duckdb", "polars", "numpy")


def versions() -> dict[str, str]:
    """Of what was measured."""
    return {name: version(name) for name in PACKAGES}


def listed(contender: Contender, figure: Figure) -> dict[str, Any]:
    """One contender's figures."""
    measures = {what: {"median": figure.of(what), "spread": figure.spread(what)} for what in MEASURES}
    return {"job": contender.job, "name": contender.name, **measures}


def goals(figures: Figures) -> list[dict[str, Any]]:
    """The ratios that were measured, each with its goal."""
    found = [{"about": goal.about, "goal": goal.limit, "reached": goal.reached(figures)} for goal in GOALS]
    return [goal for goal in found if goal["reached"] is not None]


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """The figures as lines of text: median, and from the smallest to the largest."""
    lines = [f"{'job':8}{'contender':18}{'wall s':>24}{'CPU s':>24}{'peak MB':>20}"]
    for row in figures:
        wall, cpu, peak = (_cell(row[what], digits) for what, digits in zip(MEASURES, (2, 2, 0), strict=True))
        lines.append(f"{row['job']:8}{row['name']:18}{wall:>24}{cpu:>24}{peak:>20}")
    return "\n".join(lines)


def goal_table(found: Sequence[Mapping[str, Any]]) -> str:
    """The goals as lines of text."""
    width = max((len(goal["about"]) for goal in found), default=0) + 2
    lines = [f"{'goal':{width}}{'at most':>10}{'reached':>10}"]
    for goal in found:
        mark = "" if goal["reached"] <= goal["goal"] else "  not yet"
        lines.append(f"{goal['about']:{width}}{goal['goal']:>10,.2f}{goal['reached']:>10,.2f}{mark}")
    return "\n".join(lines)


def _cell(measure: Mapping[str, Any], digits: int) -> str:
    low, high = measure["spread"]
    return f"{measure['median']:,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"
