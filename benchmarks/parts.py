"""What is measured beside the contenders of the three jobs: a part each, by the word that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import (
    calls,
    deleting,
    distributing,
    door,
    encrypting,
    expiring,
    finding,
    layouts,
    memory,
    retracting,
    sharing,
)
from benchmarks.given import Given

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run of the benchmarks was asked for.

    devices  the input of jobs A and B
    data     where inputs are kept, `work` where outputs go
    files    files that the expiring and deleting parts work on
    times    how much more input the memory part reads
    """

    devices: Given
    data: Path
    work: Path
    rows: int
    runs: int
    files: int
    times: int


@dataclass(frozen=True, slots=True)
class Part:
    """How something is measured, which goals the figures are held against, and how they are shown, if they are."""

    measured: Callable[[Asked], Figures]
    goals: Callable[[Figures], list[dict[str, Any]]]
    lines: Callable[[Figures], str] | None = None


PARTS: Mapping[str, Part] = {
    "memory": Part(lambda asked: memory.peaks(asked.data, asked.rows, asked.times, asked.work), memory.goals),
    "calls": Part(lambda asked: {**calls.prepared(asked.devices), **calls.starts()}, calls.goals),
    "finding": Part(lambda asked: finding.found(asked.devices, asked.work, asked.runs), finding.goals, layouts.lines),
    "expiring": Part(
        lambda asked: expiring.expired(asked.devices, asked.work, asked.files, asked.runs),
        expiring.goals,
        expiring.lines,
    ),
    "deleting": Part(
        lambda asked: deleting.deleted(asked.devices, asked.work, asked.files, asked.runs),
        deleting.goals,
        expiring.lines,
    ),
    "retracting": Part(
        lambda asked: retracting.retracted(asked.devices, asked.work, asked.runs), retracting.goals, expiring.lines
    ),
    "sharing": Part(lambda asked: sharing.shared(asked.devices, asked.runs), sharing.goals),
    "encrypting": Part(
        lambda asked: encrypting.encrypted(asked.devices, asked.work, asked.runs), encrypting.goals, layouts.lines
    ),
    "door": Part(lambda asked: door.read(asked.devices, asked.work, asked.runs), door.goals, door.lines),
    "spark": Part(
        lambda asked: distributing.distributed(asked.devices, asked.work, asked.runs),
        distributing.goals,
        distributing.lines,
    ),
}
