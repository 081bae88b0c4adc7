"""Sharing with a recipient beside the same `apply` without it: consents, counts, digest, subjects and the signed record."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.given import Given
from benchmarks.goals import SHARING
from benchmarks.places import HERE

WAYS = ("apply", "share", "mixed")
"""`apply` alone; shared where every tenant agrees, so that the rows are the same; and where nine in ten do."""


def shared(given: Given, runs: int) -> dict[str, Any]:
    """Per way the least CPU seconds of a call, and the rows that it gave; turns alternate, each in a process of its own."""
    taken: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(runs):
        for way in WAYS:
            taken[way].append(_once(given, way))
    return {way: {"s": min(each[0] for each in took), "rows": took[0][1]} for way, took in taken.items()}


def goals(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """What sharing may cost."""
    about = {
        "share": "sharing CPU ÷ the same apply without it",
        "mixed": "the same where one tenant in ten does not agree",
    }
    plain = figures["apply"]["s"]
    return [
        {"about": said, "goal": SHARING, "reached": figures[way]["s"] / plain}
        for way, said in about.items()
        if way in figures
    ]


def _once(given: Given, way: str) -> list[float]:
    words = [sys.executable, "-m", "benchmarks.handing", str(given.folder), way]
    found: list[float] = json.loads(subprocess.run(words, check=True, capture_output=True, cwd=HERE.parent).stdout)
    return found
