"""Whether Spark can be had here. In CI it must be."""

from __future__ import annotations

import os

import pytest

from benchmarks.sparking import lacking


def want_spark() -> None:
    """Skips where Spark cannot be had; in CI this fails."""
    what = lacking()
    if what and os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"in CI the tests of the Spark engine run, and {what}")
    if what:
        pytest.skip(f"no Spark: {what}")
