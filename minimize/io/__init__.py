"""Sources and sinks, one format a file; publication that survives a crash; rewriting; quarantine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.io.base import Format, Request, Source
from minimize.io.find import Shown, find
from minimize.io.shape import pruned, tree
from minimize.table import Table

__all__ = ["FORMATS", "declared_schema", "sources"]


FORMATS: Final[Mapping[str, Format]] = Table(
    "minimize.io", {"ndjson": "ndjson.ndjson", "csv": "csv.csv", "parquet": "parquet.parquet"}
)
"""The word that a pipeline uses, and the way to read such files."""


def sources(
    pattern: str,
    kind: str,
    base: Path,
    request: Request,
    dates: Collection[date] | None = None,
    shown: Shown | None = None,
) -> dict[date | None, Source]:
    """The files that a path names as sources, one a batch date (None where the path has no `{date}`).

    Takes a pattern relative to a folder; `dates` leaves others out. Raises SchemaError, SourceError, ConfigurationError.
    """
    if kind not in FORMATS:
        raise ConfigurationError("the format of a source is unknown", hint=f"one of {', '.join(FORMATS)}")
    found = find(pattern, base)
    wanted = {day: files for day, files in found.files.items() if dates is None or day in dates}
    return {day: FORMATS[kind](files, found.root, request, shown=shown) for day, files in wanted.items()}


def declared_schema(request: Request) -> pa.Schema:
    """The needed columns in the types that the policy declares: what a source without types of its own would have."""
    return pruned(pa.schema([]), tree(request))
