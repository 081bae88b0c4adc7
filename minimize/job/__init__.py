"""The one sentence: a pipeline, and out comes a receipt."""

from __future__ import annotations

from minimize.job.job import run
from minimize.job.limits import quarantine_exceeded, unfinished

__all__ = ["quarantine_exceeded", "run", "unfinished"]
