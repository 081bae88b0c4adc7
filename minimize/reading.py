"""`read` and `files`: the set in force of an output, for notebooks and for other engines."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import pyarrow as pa

from minimize.io import published
from minimize.io.published import Dates

PathLike_ = str | PathLike[str]


def read(
    output: PathLike_, name: str = "records", *, dates: Dates = None, keys: Any = None, mixed_keys: bool = False
) -> pa.Table:
    """The rows of an output that are in force, with `date` (date32) last where it is partitioned by date.

    Takes the output folder, the output's name, batch dates (all where none is given), and the keyring (nothing that is
    written today needs one to be read). Refuses, as OutputError, to mix two versions of a key, whose pseudonyms do not join;
    `mixed_keys=True` reads them all the same.
    """
    return published.read(Path(output), name, dates, mixed_keys=mixed_keys)


def files(output: PathLike_, name: str = "records", *, dates: Dates = None) -> list[str]:
    """The paths of the same files, for DuckDB, Polars or Spark. Raises OutputError where there is no such output."""
    return published.files(Path(output), name, dates)
