"""Settings from Parquet, with the names that CSV has in its header; a folder of such files is read whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.settings.check import Given, unreadable


def read(path: Path) -> Given:
    """The rows of a file. Raises PolicyError where it cannot be read."""
    table: pa.Table | None = None
    refused: OSError | None = None
    try:
        with suppress(pa.ArrowException):
            table = pq.read_table(path, partitioning=None)
    except OSError as error:
        refused = error
    if table is None:
        raise unreadable(path, "Parquet", refused)
    return Given(table, str(path))
