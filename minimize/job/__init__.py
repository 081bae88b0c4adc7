"""The one sentence: a pipeline, and out comes a receipt."""

from __future__ import annotations

from minimize.job.job import quarantine_exceeded, run

__all__ = ["quarantine_exceeded", "run"]
