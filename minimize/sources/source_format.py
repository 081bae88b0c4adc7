"""Description of a source format: everything that other modules ask about it.

To add a format, write a module in this folder with a `SourceFormat`, a row in `FORMATS` (`__init__.py`) and a test file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from minimize.records import PositionUnit
from minimize.sources.base import Source, SourceRequest
from minimize.sources.files import FilePart
from minimize.sources.library_warnings import QuietSource, call_without_warnings, iterate_without_warnings


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

    suffixes      endings of its files, in lower case and without the ending of a compression
    bind          binds files to a request
    read_schema   the columns of a file and their types; None if each record has its own names
    read_records  up to so many of the first records of a file, as mappings, without malformed ones
    read_rows     the rows of a small local file of events, subjects or expected values; raises OSError, ValueError or
                  ArrowException
    unit          unit of positions: the byte at which a line begins, or the number of the row
    has_types     whether values have types of their own; otherwise every value is text
    text_types    the policy's types, other than `string`, that text is read as

    The functions may use libraries that warn: warnings are hidden and counted here, because their text may contain values.
    """

    suffixes: tuple[str, ...]
    bind: FileBinding
    read_rows: Callable[[Path], FileRows]
    read_schema: Callable[[FilePart], pa.Schema] | None = None
    read_records: Callable[[FilePart, int], Iterator[Mapping[str, Any]]] | None = None
    unit: PositionUnit = "row"
    has_types: bool = True
    text_types: tuple[str, ...] = ()

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
