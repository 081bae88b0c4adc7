"""Runs of a pipeline: resolve, execute, publish with a receipt; backfill, replay, verification, data in memory."""

from __future__ import annotations

from minimize.runs.guards import quarantine_exceeded, unfinished_parts
from minimize.runs.runner import run

__all__ = ["quarantine_exceeded", "run", "unfinished_parts"]
