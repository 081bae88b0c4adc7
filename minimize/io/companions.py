"""Files that are published and removed together with a file of an output: the index of records, the sketches of an aggregate."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from minimize.io.index.write import INDEX

SKETCHES: Final = "sketches"
"""The folder of contribution sketches, with a folder for each aggregate."""
SEALED: Final = ".sealed"


def is_companion(path: str) -> bool:
    """Whether a path, relative to the output folder, is one of an index or of sketches."""
    return path.startswith((f"{INDEX}/", f"{SKETCHES}/"))


def sketches_path(path: str) -> str:
    """Where the sketches of an aggregate's file are stored, relative to the output folder.

    >>> sketches_path("fleet/date=2026-11-24/run-0.parquet")
    'sketches/fleet/date=2026-11-24/run-0.sealed'
    """
    return str(PurePosixPath(SKETCHES, path).with_suffix(SEALED))
