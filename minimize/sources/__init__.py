"""Sources: one format per module or folder, bound to the fields that a policy declares.

base              protocols: request, part, source
file_discovery    the files that a source path names, by batch date
files             one file of a source, its bytes as blocks of whole lines, and items computed ahead (prefetch)
projection        nested types and arrays restricted to the declared fields
record_checks     forbidden and missing fields, keys that are forbidden at any depth with their spellings, canonical ids
library_warnings  warnings of libraries while a source is read
schema_check      a request bound to a schema, every difference between them, and chunks made of decoded columns
csv, ndjson, parquet, memory  the formats

`SourceFormat` is everything that other modules ask about a format. To add one, write a module in this folder with a
`SourceFormat`, a row in `FORMATS` (below) and a test file.

People write the files of settings, events and lists of subjects; their headers are checked here. In these files, a row without
a subject is about a whole tenant. A misspelt column of subjects must therefore never count as an absent one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from minimize.identifiers import canonical_word
from minimize.records import PositionUnit
from minimize.sources.base import Source, SourceRequest
from minimize.sources.files import FilePart, uncompressed_suffix
from minimize.sources.library_warnings import QuietSource, call_without_warnings, iterate_without_warnings
from minimize.sources.projection import field_tree, prune_schema
from minimize.stores import Location
from minimize.text import Registry, similar_words


class FileBinding(Protocol):
    """Binds files to a request."""

    def __call__(self, parts: Sequence[FilePart], request: SourceRequest) -> Source:
        """The bound source. Raises SchemaError with all differences, before anything is decoded."""
        ...


FileRows = tuple[Sequence[str] | None, list[tuple[int, Any]]]
"""The columns of a small file (None if each row has its own names), and its rows, each with its line or number from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFormat:
    """A format of source files. It has either `read_schema` or `read_records`.

    The functions may use libraries that warn: warnings are hidden and counted here, because their text may contain values.
    """

    suffixes: tuple[str, ...]
    """Endings of its files, in lower case and without the ending of a compression."""
    bind: FileBinding
    """Binds files to a request."""
    read_rows: Callable[[Path], FileRows]
    """Reads the rows of a small local file of events, subjects or expected values. Raises OSError, ValueError or
    ArrowException."""
    read_schema: Callable[[FilePart], pa.Schema] | None = None
    """Reads the columns of a file and their types. None if each record has its own names."""
    read_records: Callable[[FilePart, int], Iterator[Mapping[str, Any]]] | None = None
    """Reads up to a number of the first records of a file, as mappings, without malformed ones."""
    unit: PositionUnit = "row"
    """Unit of positions: the byte at which a line begins, or the number of the row."""
    has_types: bool = True
    """Whether values have types of their own; otherwise every value is text."""
    text_types: tuple[str, ...] = ()
    """The policy's types, other than `string`, that text is read as."""

    def __post_init__(self) -> None:
        """Hide the warnings of all functions, so that no format has to. The class is frozen, hence `object.__setattr__`."""
        for name in ("bind", "read_rows", "read_schema", "read_records"):
            work = getattr(self, name)
            if work is not None and not hasattr(work, "__wrapped__"):
                quiet = partial(_WITHOUT_WARNINGS.get(name, call_without_warnings), work)
                object.__setattr__(self, name, update_wrapper(quiet, work))

    @property
    def has_columns(self) -> bool:
        """Whether names are columns of the whole file. Otherwise a name in one record may be a value."""
        return self.read_schema is not None


def _bind_quietly(bind: FileBinding, parts: Sequence[FilePart], request: SourceRequest) -> Source:
    return QuietSource(call_without_warnings(bind, parts, request))


def _read_records_quietly(
    read: Callable[[FilePart, int], Iterator[Mapping[str, Any]]], part: FilePart, most: int
) -> Iterator[Mapping[str, Any]]:
    return iterate_without_warnings(read(part, most), part.name)


_WITHOUT_WARNINGS: Mapping[str, Callable[..., Any]] = {"bind": _bind_quietly, "read_records": _read_records_quietly}

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


_LEAST_SIMILARITY = 0.75


def misspelt_columns(names: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The columns of which a header may have another spelling, each with a message.

    >>> [name for name, _ in misspelt_columns(["tenant_id", "Subject", "note"], ["tenant_id", "subject"])]
    ['subject']
    """
    others = [canonical_word(name) for name in names if name not in columns]
    missing = [name for name in columns if name not in names]
    for name in columns:
        if name in others or (name in missing and similar_words(name, others, cutoff=_LEAST_SIMILARITY)):
            yield name, f"the header has another spelling of the column {name}"
        elif name == "subject" and name in missing and any(header_name.endswith("id") for header_name in others):
            yield name, "the header has a column of unknown ids and no subject"


def header_hint(columns: Sequence[str]) -> str:
    """What to do about a misspelt column."""
    *others, last = columns
    return f"The columns are {', '.join(others)} and {last}. Write them in lower case; add an empty one, or correct the header."
