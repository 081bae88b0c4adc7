"""Data in memory as a source: pandas, pyarrow, and whatever speaks the Arrow PyCapsule interface (Polars, DuckDB, …).

Data that can be read only once stays lazy, and its source can be read once. A part in memory has no stored bytes, so
its digest is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.errors import ConfigurationError, Finding, SchemaError, SourceError
from minimize.io.base import Chunk, Part, Request
from minimize.io.columnar import ROWS, Bound, bind, sound
from minimize.io.forbidden import rule_of
from minimize.io.forbidden_objects import object_faults
from minimize.io.part import steady
from minimize.io.rows import Fault

NAME = "memory"
FEW = 65_536
"""Rows below which batches of a table are put together."""
_UNSOUND = "the data in memory is not what its schema says"
_HINT = "give a pandas or Polars DataFrame, a pyarrow Table or RecordBatchReader, or anything with __arrow_c_stream__"


@dataclass(frozen=True, slots=True)
class Data:
    """Data in memory: its schema, a way to open it, whether that works more than once, and what its objects must not hold."""

    schema: pa.Schema = field(repr=False)
    open: Callable[[], Iterator[pa.RecordBatch]]
    again: bool
    faults: Sequence[Fault] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """The one part of data in memory."""

    bound: Bound
    data: Data
    name: str = NAME
    digest: str = ""
    size: int = 0

    def pieces(self) -> Sequence[Part]:
        """Itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The records in bounded chunks. Raises SourceError where data that is read once was read before."""
        first = 0
        for batch in _sliced(self.data.open()):
            end = first + batch.num_rows
            known = [replace(each, mask=each.mask[first:end]) for each in self.data.faults]
            yield sound(self.bound.chunk(batch, np.arange(first, end), known), SourceError(_UNSOUND))
            first = end


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Data in memory, bound to a request. `again` says whether it can be read more than once."""

    schema: pa.Schema
    parts: Sequence[Part]
    again: bool

    def only(self, keys: Collection[str]) -> MemorySource:
        """The same: in memory, a column that nobody reads costs nothing."""
        return self


def memory(data: Any, request: Request) -> MemorySource:
    """Data in memory as a source.

    Takes pandas, pyarrow and any object of the Arrow PyCapsule interface; pandas' index is not data. Raises SchemaError with
    the whole diff, and ConfigurationError for what is no table.
    """
    return Memory(request)(data)


class Memory:
    """Makes data in memory a source, again and again: a schema like the last one is not bound anew. Threads may share it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._named = frozenset(pointer.top for pointer in (*(each.pointer for each in request.fields), *request.never))
        self._never = request.any_depth
        self._pointed = frozenset(pointer.top for pointer in request.never)
        self._last: tuple[pa.Schema, Bound] | None = None

    def __call__(self, data: Any) -> MemorySource:
        """The data as a source, as `memory` has it."""
        taken = take(data, self._named)
        if self._never or self._pointed:
            taken = replace(taken, faults=_object_faults(data, self._never, self._pointed))
        bound = self._bound(taken.schema)
        return MemorySource(bound.schema, (MemoryPart(bound, taken),), taken.again)

    def _bound(self, schema: pa.Schema) -> Bound:
        last = self._last
        if last is not None and schema.equals(last[0]):
            return last[1]
        bound = bind(schema, self._request)
        self._last = (schema, bound)
        return bound


def take(data: Any, named: Collection[str] | None = None) -> Data:
    """Data in memory as Arrow record batches. Raises ConfigurationError for what is no table.

    Takes the names of the columns that matter, where that is known: no other column is looked into or named in an error.
    """
    if isinstance(data, pa.RecordBatch):
        return Data(data.schema, lambda: iter([data]), again=True)
    if isinstance(data, pa.Table):
        return Data(data.schema, lambda: _gathered(data), again=True)
    if isinstance(data, pa.RecordBatchReader):
        return Data(data.schema, _Once(lambda: data), again=False)
    if _is_frame(data, "pandas"):
        return take(_from_pandas(data, named))
    if hasattr(data, "__arrow_c_stream__"):
        return _from_stream(data)
    if hasattr(data, "__arrow_c_array__"):
        return take(_table_of(data))
    raise ConfigurationError(f"data of the type {type(data).__name__} cannot be read", hint=_HINT)


class _Once:
    """Opens a reader the first time, and refuses the second."""

    def __init__(self, reader: Callable[[], pa.RecordBatchReader]) -> None:
        self._reader: Callable[[], pa.RecordBatchReader] | None = reader

    def __call__(self) -> Iterator[pa.RecordBatch]:
        reader, self._reader = self._reader, None
        if reader is None:
            raise SourceError("this data can be read only once", hint="give a table, or a new reader")
        return _batches(reader())


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    return steady(reader, SourceError("the data in memory could not be read to its end"))


def _from_stream(data: Any) -> Data:
    """A foreign object. Frames can be opened again and again; of anything else only the first stream is sure."""
    reader = _opened(data)
    if _root(data) == "polars":
        return Data(reader.schema, lambda: _batches(_opened(data)), again=True)
    return Data(reader.schema, _Once(lambda: reader), again=False)


def _opened(data: Any) -> pa.RecordBatchReader:
    with suppress(Exception):
        return pa.RecordBatchReader.from_stream(data)
    raise ConfigurationError(f"data of the type {type(data).__name__} is no table", hint=_HINT)


def _table_of(data: Any) -> pa.RecordBatch:
    with suppress(Exception):
        return pa.record_batch(data)
    raise ConfigurationError(f"data of the type {type(data).__name__} is no table", hint=_HINT)


def _from_pandas(frame: Any, named: Collection[str] | None) -> pa.Table:
    """A data frame's columns, its index left out. A column that holds values of several types is an error of the schema."""
    names = [str(name) for name in frame.columns]
    columns = [
        _column(frame.iloc[:, index]) if named is None or name in named else _unnamed(frame.iloc[:, index])
        for index, name in enumerate(names)
    ]
    mixed = [name for name, column in zip(names, columns, strict=True) if column is None]
    if mixed:
        message = "holds values of more than one type"
        hint = "convert it to one type, or leave the column out"
        raise SchemaError(
            "columns in memory are not of one type",
            findings=[Finding("S005", message, field=name, hint=hint) for name in mixed],
        )
    return pa.Table.from_arrays(columns, names=names)


def _unnamed(series: Any) -> pa.Array | pa.ChunkedArray:
    """A column that is not declared: Arrow's values, whose type has their keys, and else only where it has any."""
    if hasattr(series.dtype, "pyarrow_dtype"):
        return _column(series)
    there = np.asarray(series.notna(), np.bool_)
    return pa.array(there, mask=~there)


def _object_faults(data: Any, names: Sequence[str], pointed: Collection[str]) -> list[Fault]:
    """The rows of a data frame whose Python objects hold a key that must not arrive, or cannot be looked into."""
    if _is_frame(data, "pandas"):
        columns = [data.iloc[:, index] for index in range(data.shape[1])] if names else []
        held = [series.tolist() for series in columns if _holds_objects(series.dtype)]
        labels = [_label_fault(series, label, names) for series, label in zip(columns, data.columns, strict=False)]
        return [*filter(None, labels), *(fault for values in held for fault in object_faults(values, names))]
    if not _is_frame(data, "polars"):
        return []
    objects = [name for name, dtype in zip(data.columns, data.dtypes, strict=True) if str(dtype) == "Object"]
    return [
        fault
        for name in objects
        if names or name in pointed
        for fault in object_faults(data[name].to_list(), names, closed=name in pointed)
    ]


def _label_fault(series: Any, label: Any, names: Sequence[str]) -> Fault | None:
    """The rows of a column whose label has several levels, one of which must not arrive."""
    name = next((name for name in names if isinstance(label, tuple) and name in label), None)
    return None if name is None else Fault("forbidden_field", rule_of(name), np.asarray(series.notna(), np.bool_))


def _holds_objects(dtype: Any) -> bool:
    """Whether a column of pandas may hold Python objects: of numpy's types only `object`, of Arrow's none."""
    return getattr(dtype, "kind", "O") == "O" and not hasattr(dtype, "pyarrow_dtype")


def _is_frame(data: Any, package: str) -> bool:
    """Whether data is a data frame of this package, or of a class derived from it."""
    roots = {each.__module__.split(".")[0] for each in type(data).__mro__}
    return package in roots and hasattr(data, "columns") and hasattr(data, "shape")


def _root(data: Any) -> str:
    return type(data).__module__.split(".")[0]


def _column(series: Any) -> pa.Array | pa.ChunkedArray | None:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _gathered(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """A table's batches, small ones put together: each batch has a cost of its own."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in table.to_batches():
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= FEW:
            yield _one(waiting)
            waiting, rows = [], 0
    if waiting:
        yield _one(waiting)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches)
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _sliced(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if batch.num_rows:
            yield from (batch.slice(first, ROWS) for first in range(0, batch.num_rows, ROWS))
