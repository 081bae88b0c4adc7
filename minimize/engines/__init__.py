"""Engines only move batches: the protocol (base), one engine a file, and the table of them."""

from __future__ import annotations

from minimize.engines.base import Engine, Job, Outcome
from minimize.engines.local import run as local
from minimize.engines.spark import run as spark

__all__ = ["ENGINES", "Engine", "Job", "Outcome"]

ENGINES: dict[str, Engine] = {"local": local, "spark": spark}
