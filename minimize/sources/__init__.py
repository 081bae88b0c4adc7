"""Sources: one format per module or folder, bound to the fields that a policy declares.

base              protocols: request, reject, chunk, part, source, format, sink
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
from minimize.sources.base import SourceFormat, SourceRequest
from minimize.sources.projection import field_tree, prune_schema

__all__ = ["FORMATS", "declared_schema"]


FORMATS: Final[Mapping[str, SourceFormat]] = Registry(
    "minimize.sources", {"ndjson": "ndjson.ndjson_source", "csv": "csv.csv_source", "parquet": "parquet.parquet_source"}
)
"""The format of each name that a pipeline uses."""


def declared_schema(request: SourceRequest) -> pa.Schema:
    """The needed columns in the types that the policy declares: the schema of a source without its own types."""
    return prune_schema(pa.schema([]), field_tree(request))
