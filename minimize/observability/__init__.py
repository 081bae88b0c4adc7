"""What others are told of a run: lineage as OpenLineage events, metrics as a Prometheus text file. Names and counts only."""

from __future__ import annotations

from minimize.observability.observer import Observer, observed

__all__ = ["Observer", "observed"]
