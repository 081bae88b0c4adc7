"""Sources: one format per module or folder, bound to the fields that a policy declares.

base              protocols: request, reject, chunk, part, source, format, sink
file_discovery    the files that a source path names, by batch date
files             one file of a source, and its bytes as blocks of whole lines
types             the types that a policy names, and text parsed as them
projection        nested types and arrays reduced to the declared fields
record_checks     forbidden and missing fields, canonical ids
binding           a request bound to a schema, and chunks made of decoded columns
schema_inference  the fields of a source and their types, for drafting and drift
prefetch          the next item of an iterator computed ahead
csv, ndjson, parquet, memory  the formats
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.registry import Registry
from minimize.sources.base import Source, SourceFormat, SourceRequest
from minimize.sources.file_discovery import NameMask, find_files
from minimize.sources.projection import field_tree, prune_schema

__all__ = ["FORMATS", "bind_sources", "declared_schema"]


FORMATS: Final[Mapping[str, SourceFormat]] = Registry(
    "minimize.sources", {"ndjson": "ndjson.ndjson_source", "csv": "csv.csv_source", "parquet": "parquet.parquet_source"}
)
"""The word that a pipeline uses, and the way to read such files."""


def bind_sources(
    pattern: str,
    kind: str,
    base: Path,
    request: SourceRequest,
    dates: Collection[date] | None = None,
    shown: NameMask | None = None,
) -> dict[date | None, Source]:
    """The files that a path names as sources, one a batch date (None where the path has no `{date}`).

    Takes a pattern relative to a folder; `dates` leaves others out. Raises SchemaError, SourceError, ConfigurationError.
    """
    if kind not in FORMATS:
        raise ConfigurationError("the format of a source is unknown", hint=f"one of {', '.join(FORMATS)}")
    found = find_files(pattern, base)
    wanted = {day: files for day, files in found.files.items() if dates is None or day in dates}
    return {day: FORMATS[kind](files, found.root, request, shown=shown) for day, files in wanted.items()}


def declared_schema(request: SourceRequest) -> pa.Schema:
    """The needed columns in the types that the policy declares: what a source without types of its own would have."""
    return prune_schema(pa.schema([]), field_tree(request))
