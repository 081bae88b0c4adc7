"""Where things stand."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
JOBS = HERE / "jobs"
EXACT_JOBS = HERE / "exact_jobs"
BOUNDED_JOBS = HERE / "bounded_jobs"
