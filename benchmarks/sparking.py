"""Whether Spark can be had here."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


def lacking() -> str:
    """What Spark wants and this machine does not have; '' where it has all of it."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and (Path(home) / "bin" / "java").exists()):
        return "there is no Java"
    return ""
