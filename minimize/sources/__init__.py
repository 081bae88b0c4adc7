"""Sources: one format per module or folder, bound to the fields that a policy declares.

base              protocols: request, reject, chunk, part, source, sink
source_format     description of a format
file_discovery    the files that a source path names, by batch date
files             one file of a source, and its bytes as blocks of whole lines
types             the types that a policy names, and text parsed as them
projection        nested types and arrays restricted to the declared fields
record_checks     forbidden and missing fields, canonical ids
binding           a request bound to a schema, and chunks made of decoded columns
schema_inference  the fields of a source and their types, for drafting and drift
prefetch          the next item of an iterator, computed in the background
csv, ndjson, parquet, memory  the formats
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from minimize.registry import Registry
from minimize.sources.base import SourceRequest
from minimize.sources.files import uncompressed_suffix
from minimize.sources.projection import field_tree, prune_schema
from minimize.sources.source_format import SourceFormat
from minimize.stores import Location

__all__ = ["FORMATS", "declared_schema", "format_by_name", "format_suffixes"]


FORMATS: Final[Mapping[str, SourceFormat]] = Registry(
    "minimize.sources", {"ndjson": "ndjson.NDJSON", "csv": "csv.CSV", "parquet": "parquet.PARQUET"}
)
"""The formats by the names that pipelines use. The first one is the default where nothing names a format."""


def format_by_name(path: Location) -> str:
    """The format for a file's suffix; '' for an unknown one."""
    suffix = uncompressed_suffix(path)
    return next((name for name, each in FORMATS.items() if suffix in each.suffixes), "")


def format_suffixes() -> str:
    """The suffixes of all formats, for messages."""
    return ", ".join(suffix for each in FORMATS.values() for suffix in each.suffixes)


def declared_schema(request: SourceRequest) -> pa.Schema:
    """The needed columns in the types that the policy declares: the schema of a source without its own types."""
    return prune_schema(pa.schema([]), field_tree(request))
