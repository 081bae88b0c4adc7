"""Does memory stay the same when the input does not? Ours, jobs A and B, on one and on ten times the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.data import generate
from benchmarks.goals import CEILING, MEMORY
from benchmarks.measure import timed


def peaks(data: Path, rows: int, times: int, work: Path) -> dict[str, dict[str, float]]:
    """The most memory that each job held, in megabytes, by how much input it read."""
    sizes = {"x1": generate.devices(data, rows), f"x{times}": generate.devices(data, rows, times)}
    ours = [one for one in CONTENDERS if one.module is None and not one.exact]
    return {
        one.job: {size: timed(one, given, work / f"{one.job}-memory").megabytes for size, given in sizes.items()}
        for one in ours
    }


def goals(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """The ratios, and the most that was held at all."""
    lines: list[dict[str, Any]] = []
    for job, sizes in found.items():
        once, more = sizes.values()
        name = f"job {job.upper()} peak memory"
        lines.append({"about": f"{name}, {list(sizes)[1]} ÷ x1 input", "goal": MEMORY, "reached": more / once})
        lines.append({"about": f"{name}, MB", "goal": CEILING, "reached": max(once, more)})
    return lines
