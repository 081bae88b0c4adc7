"""Earlier names of `tests.project`, for the tests that still use them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.project import (
    AGGREGATES,
    AT,
    BEFORE,
    DAY,
    FIELDS,
    LASTING,
    PIPELINE,
    POLICY,
    SCHEMA,
    SETTINGS,
    TIME,
    Project,
    event,
    events,
    table,
    write_project,
)

__all__ = [
    "AGGREGATES",
    "AT",
    "BEFORE",
    "DAY",
    "FIELDS",
    "LASTING",
    "PIPELINE",
    "POLICY",
    "SCHEMA",
    "SETTINGS",
    "TIME",
    "House",
    "built",
    "event",
    "events",
    "table",
]


class House(Project):
    """A project with methods by their earlier names."""

    brings = Project.records
    says = Project.write
    reads = Project.source
    keeps_for_ever = Project.keeps_everything


def built(folder: Path, keys: Iterable[str] = ("device",), *, lasting: bool = False) -> House:
    """A new project with the usual policy, pipeline and settings, a keyring, and no data."""
    return write_project(House(folder, lasting), keys)
