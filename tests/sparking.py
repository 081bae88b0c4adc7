"""Whether Spark can be had here. In CI it must be."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def lacking() -> str:
    """What Spark wants and this machine does not have."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and (Path(home) / "bin" / "java").exists()):
        return "there is no Java"
    return ""


def want_spark() -> None:
    """Skips where Spark cannot be had; in CI this fails."""
    what = lacking()
    if what and os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"in CI the tests of the Spark engine run, and {what}")
    if what:
        pytest.skip(f"no Spark: {what}")
