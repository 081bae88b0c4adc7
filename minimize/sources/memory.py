"""Data in memory as a source: pandas, pyarrow, and any object with the Arrow PyCapsule interface (Polars, DuckDB, …).

Data that can be read only once stays lazy, and its source can be read only once. A part in memory has no stored bytes,
so its digest is empty.

Forbidden keys are also searched in columns of Python objects, which have no Arrow type: in mappings, lists, tuples, sets,
arrays, dataclasses, frames and series, at any depth. The first value of a pair counts as a key, because maps are written
so. An object of an unknown class could contain anything, so its record is rejected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import Bools
from minimize.arrow.types import STRING_TESTS, storage_type
from minimize.errors import ConfigurationError, Finding, SchemaError, SourceError
from minimize.records import Chunk
from minimize.sources.base import DeclaredField, SourcePart, SourceRequest
from minimize.sources.files import WrappingPart, replace_errors
from minimize.sources.library_warnings import call_without_warnings, iterate_without_warnings
from minimize.sources.record_checks import FaultMask, ForbiddenNames, any_depth_rule, forbidden_names
from minimize.sources.schema_check import MEMORY_CHUNK_ROWS, BoundRequest, bind_request, validate_chunk

_KEYLESS_TYPES: Final = frozenset(
    {type(None), str, bytes, bool, int, float, Decimal, date, datetime, time, timedelta, UUID}
)
"""Types of values that contain no keys. A column with only these is not examined value by value."""
_STRING_ONLY: Final = frozenset({str})
_SCALAR_TYPES: Final = (
    *(str, bytes, bytearray, int, float, complex, Decimal, Fraction, date, time, timedelta, tzinfo, UUID),
    *(np.generic, range, PurePath, IPv4Address, IPv6Address, type(None)),
)
_NULL_TYPES: Final = frozenset({"NAType", "NaTType"})
_PANDAS_SCALARS: Final = _NULL_TYPES | {"Period", "Interval"}
_OPAQUE: Final = ""
"""The result for an object whose content cannot be examined."""
_ObjectContent = tuple[Iterable[tuple[Any, Any]], Iterable[Any]]


def object_faults(values: Sequence[Any], names: ForbiddenNames, *, closed: bool = False) -> list[FaultMask]:
    """Masks of the records whose object has a forbidden key with a non-null value, or cannot be examined.

    If the column is `closed`, no object in it is examined.
    """
    if _KEYLESS_TYPES.issuperset(map(type, values)):
        return []
    distinct = {id(value): value for value in values if type(value) not in _KEYLESS_TYPES}
    verdicts = {key: _OPAQUE if closed else _violated_rule(value, names) for key, value in distinct.items()}
    masks: dict[str, Bools] = {}
    for row, value in enumerate(values):
        verdict = verdicts.get(id(value))
        if verdict is not None:
            masks.setdefault(verdict, np.zeros(len(values), bool))[row] = True
    return [FaultMask("forbidden_field", verdict or None, mask) for verdict, mask in masks.items()]


def _violated_rule(value: Any, names: ForbiddenNames) -> str | None:
    """The rule that an object violates, if any. An error during the examination counts as unknown content."""
    if _is_surely_free(value, names):
        return None
    names_in_value = {_OPAQUE}
    with suppress(Exception):
        names_in_value = set(_found_names(value, names))
    name = next((name for name in names.names if name in names_in_value), None)
    return any_depth_rule(name) if name is not None else _OPAQUE if _OPAQUE in names_in_value else None


def _is_surely_free(value: Any, names: ForbiddenNames, depth: int = 8) -> bool:
    """Whether a JSON-like value certainly has none of the keys. Much faster than `_found_names` for common values."""
    items = value
    if type(value) is dict:
        if not names.allow(value) or not _STRING_ONLY.issuperset(map(type, value)):
            return False
        items = value.values()
    elif type(value) is not list:
        return type(value) in _KEYLESS_TYPES
    return _KEYLESS_TYPES.issuperset(map(type, items)) or (
        depth > 0 and all(_is_surely_free(item, names, depth - 1) for item in items)
    )


def _found_names(value: Any, names: ForbiddenNames) -> Iterator[str]:
    objects_by_id: dict[int, Any] = {}  # keeps the objects alive, so that no id is reused
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if _is_scalar(inner) or id(inner) in objects_by_id:
            continue
        objects_by_id[id(inner)] = inner
        content = _object_content(inner)
        if content is None:
            yield _OPAQUE
            continue
        for key, item in content[0]:
            if not _is_null(item):
                yield from names.names_of(name for name in _key_names(key) if isinstance(name, str))
            waiting += (key, item)
        waiting += content[1]


def _object_content(value: Any) -> _ObjectContent | None:
    """The content of an object with and without keys; None if it cannot be examined."""
    if isinstance(value, Mapping):
        return value.items(), ()
    if isinstance(value, np.ndarray | np.void) and value.dtype.names:
        return [(name, value[name]) for name in value.dtype.names], ()
    if isinstance(value, np.ndarray):
        return (), value.ravel().tolist() if value.dtype.hasobject else ()
    if is_dataclass(value) and not isinstance(value, type):
        return [(each.name, getattr(value, each.name)) for each in fields(value)], ()
    if isinstance(value, tuple):
        named = zip(getattr(value, "_fields", ()), value, strict=False)
        return [*named, *([(value[0], value[1])] if len(value) == 2 else [])], value
    if isinstance(value, list | set | frozenset | deque):
        return (), value
    if isinstance(value, Enum):
        return [(value.name, value.value)], ()
    return _library_object_content(value)


def _library_object_content(value: Any) -> _ObjectContent | None:
    """The content of an object of pandas, Polars or pyarrow. None of these needs to be installed."""
    root = type(value).__module__.split(".")[0]
    if root == "pandas" and type(value).__name__ in _PANDAS_SCALARS:
        return (), ()
    if root not in ("pandas", "polars", "pyarrow"):
        return None
    for method in ("items", "to_pydict", "to_dict"):
        if hasattr(value, method):
            content = getattr(value, method)()
            return content.items() if isinstance(content, Mapping) else content, ()
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(value, method):
            return (), getattr(value, method)()
    return ((), (value.as_py(),)) if hasattr(value, "as_py") else None


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.void):
        return not value.dtype.names
    return isinstance(value, _SCALAR_TYPES) and not isinstance(value, Enum)


def _is_null(value: Any) -> bool:
    return value is None or type(value).__name__ in _NULL_TYPES or (isinstance(value, float) and value != value)


def _key_names(key: Any) -> Iterator[str]:
    """The names of a key: those of all levels, if it has several."""
    if isinstance(key, str):
        yield str(key)
    elif isinstance(key, bytes):
        yield key.decode("utf-8", "replace")
    elif isinstance(key, Enum):
        yield from (key.name, *_key_names(key.value))
    elif isinstance(key, tuple):
        for part in key:
            yield from _key_names(part)


MEMORY_NAME = "memory"
_WHAT: Final = "data in memory"
SMALL_BATCH_ROWS = 65_536
"""Rows below which batches of a table are combined."""
_INVALID_DATA = "the data in memory does not match its schema"
_HINT = (
    "Pass a pandas or Polars DataFrame, a pyarrow Table or RecordBatchReader, or any object with __arrow_c_stream__."
)


@dataclass(frozen=True, slots=True)
class MemoryData:
    """Data in memory: its schema, a function that opens it, whether it can be reopened, and the check of its Python objects."""

    schema: pa.Schema = field(repr=False)
    open: Callable[[], Iterator[pa.RecordBatch]]
    is_rereadable: bool
    faults: Sequence[FaultMask] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """The only part of data in memory."""

    bound: BoundRequest
    data: MemoryData
    name: str = MEMORY_NAME
    digest: str = ""
    size: int = 0

    def pieces(self) -> Sequence[SourcePart]:
        """The part itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The records in bounded chunks. Raises SourceError if data that can be read only once was read before."""
        first = 0
        for batch in iterate_without_warnings(self._batches(), _WHAT):
            end = first + batch.num_rows
            faults = [replace(each, mask=each.mask[first:end]) for each in self.data.faults]
            yield validate_chunk(self.bound.chunk(batch, np.arange(first, end), faults), SourceError(_INVALID_DATA))
            first = end

    def _batches(self) -> Iterator[pa.RecordBatch]:
        yield from _bounded_batches(self.data.open())


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Data in memory, bound to a request. `again` says whether it can be read more than once."""

    schema: pa.Schema
    parts: Sequence[SourcePart]
    is_rereadable: bool

    def only(self, keys: Collection[str]) -> MemorySource:
        """The source itself, because unread columns in memory cost nothing."""
        return self


def memory_source(data: Any, request: SourceRequest) -> MemorySource:
    """Data in memory as a source.

    Takes pandas, pyarrow and any object with the Arrow PyCapsule interface. The index of pandas is not data. Raises SchemaError
    with all differences, and ConfigurationError for an object that is not a table.
    """
    return MemorySourceFactory(request)(data)


class MemorySourceFactory:
    """Makes sources of data in memory. The binding is reused if the schema is the same as the last one. Threads may share it."""

    def __init__(self, request: SourceRequest) -> None:
        self._request = replace(request, fields=tuple(map(_optional_if_unread, request.fields)))
        self._named = frozenset(pointer.top for pointer in (*(each.pointer for each in request.fields), *request.never))
        self._never = forbidden_names(request)
        self._pointed = frozenset(pointer.top for pointer in request.never)
        self._last: tuple[pa.Schema, BoundRequest] | None = None

    def __call__(self, data: Any) -> MemorySource:
        """The data as a source, as from `memory_source`."""
        taken = read_memory(data, self._named)
        if self._never or self._pointed:
            faults = call_without_warnings(_frame_faults, data, self._never, self._pointed, name=_WHAT)
            taken = replace(taken, faults=faults)
        bound = self._bind(taken.schema)
        return MemorySource(bound.schema, (MemoryPart(bound, taken),), taken.is_rereadable)

    def _bind(self, schema: pa.Schema) -> BoundRequest:
        last = self._last
        if last is not None and schema.equals(last[0]):
            return last[1]
        bound = bind_request(schema, self._request)
        self._last = (schema, bound)
        return bound


def _optional_if_unread(declared: DeclaredField) -> DeclaredField:
    """The field, which may be absent if nothing reads it: a caller need not fetch what the policy drops."""
    return declared if declared.needed or declared.required else replace(declared, optional=True)


def read_memory(data: Any, named: Collection[str] | None = None) -> MemoryData:
    """Data in memory as Arrow record batches. Raises ConfigurationError for an object that is not a table.

    Takes the names of the relevant columns, if they are known. Other columns are neither examined nor named in an error.
    """
    if isinstance(data, pa.RecordBatch):
        return MemoryData(data.schema, lambda: iter([data]), is_rereadable=True)
    if isinstance(data, pa.Table):
        return MemoryData(data.schema, lambda: _combined_batches(data), is_rereadable=True)
    if isinstance(data, pa.RecordBatchReader):
        return MemoryData(data.schema, _SingleRead(lambda: data), is_rereadable=False)
    if _is_frame(data, "pandas"):
        return read_memory(call_without_warnings(_from_pandas, data, named, name=_WHAT))
    if hasattr(data, "__arrow_c_stream__"):
        return call_without_warnings(_from_stream, data, name=_WHAT)
    if hasattr(data, "__arrow_c_array__"):
        return read_memory(call_without_warnings(_read_array, data, name=_WHAT))
    raise ConfigurationError(f"data of the type {type(data).__name__} cannot be read", hint=_conversion_hint(data))


def _conversion_hint(data: Any) -> str:
    """How data that is not a table becomes one."""
    if isinstance(data, list | tuple) and data and all(isinstance(record, Mapping) for record in data):
        return "Pass `pyarrow.RecordBatch.from_pylist(records)`; for a prepared policy, with `schema=`."
    if _package_name(data) == "polars" and hasattr(data, "collect"):
        return "Pass `frame.collect()`: a policy is applied to rows, not to a query."
    return _HINT


class _SingleRead:
    """Opens a reader once, and refuses the second time."""

    def __init__(self, reader: Callable[[], pa.RecordBatchReader]) -> None:
        self._reader: Callable[[], pa.RecordBatchReader] | None = reader

    def __call__(self) -> Iterator[pa.RecordBatch]:
        reader, self._reader = self._reader, None
        if reader is None:
            raise SourceError("this data can be read only once", hint="Pass a table or a new reader.")
        return _stream_batches(reader())


def _stream_batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    return replace_errors(reader, SourceError("the data in memory could not be read completely"))


def _from_stream(data: Any) -> MemoryData:
    """An object of another library. Data frames can be opened repeatedly; of other objects only the first stream is reliable."""
    reader = _open_stream(data)
    if _package_name(data) == "polars":
        return MemoryData(reader.schema, lambda: _stream_batches(_open_stream(data)), is_rereadable=True)
    return MemoryData(reader.schema, _SingleRead(lambda: reader), is_rereadable=False)


def _open_stream(data: Any) -> pa.RecordBatchReader:
    with suppress(Exception):
        return pa.RecordBatchReader.from_stream(data)
    raise ConfigurationError(f"data of the type {type(data).__name__} is not a table", hint=_HINT)


def _read_array(data: Any) -> pa.RecordBatch:
    with suppress(Exception):
        return pa.record_batch(data)
    raise ConfigurationError(f"data of the type {type(data).__name__} is not a table", hint=_HINT)


def _from_pandas(frame: Any, named: Collection[str] | None) -> pa.Table:
    """A data frame's columns, without the index. A column with values of several types is a schema error."""
    names = [str(name) for name in frame.columns]
    columns = [
        _convert_series(frame.iloc[:, index])
        if named is None or name in named
        else _presence_column(frame.iloc[:, index])
        for index, name in enumerate(names)
    ]
    mixed = [name for name, column in zip(names, columns, strict=True) if column is None]
    if mixed:
        message = "contains values of more than one type"
        hint = "Convert the column to one type, or remove it."
        raise SchemaError(
            "columns in memory have values of more than one type",
            findings=[Finding("S005", message, field=name, hint=hint) for name in mixed],
        )
    return pa.Table.from_arrays(columns, names=names)


def _presence_column(series: Any) -> pa.Array | pa.ChunkedArray:
    """An undeclared column: Arrow's values, whose type shows their keys; without an Arrow type, the mask of non-null values."""
    if hasattr(series.dtype, "pyarrow_dtype"):
        return _convert_series(series)
    present = np.asarray(series.notna(), np.bool_)
    return pa.array(present, mask=~present)


def _frame_faults(data: Any, names: ForbiddenNames, pointed: Collection[str]) -> list[FaultMask]:
    """Masks of the rows of a data frame whose Python objects have a forbidden key or cannot be examined."""
    if _is_frame(data, "pandas"):
        columns = [data.iloc[:, index] for index in range(data.shape[1])] if names else []
        columns_of_objects = [series.tolist() for series in columns if _holds_objects(series.dtype)]
        labels = [_label_fault(series, label, names) for series, label in zip(columns, data.columns, strict=False)]
        return [
            *filter(None, labels),
            *(fault for values in columns_of_objects for fault in object_faults(values, names)),
        ]
    if not _is_frame(data, "polars"):
        return []
    objects = [name for name, dtype in zip(data.columns, data.dtypes, strict=True) if str(dtype) == "Object"]
    return [
        fault
        for name in objects
        if names or name in pointed
        for fault in object_faults(data[name].to_list(), names, closed=name in pointed)
    ]


def _label_fault(series: Any, label: Any, names: ForbiddenNames) -> FaultMask | None:
    """Mask of the rows of a column with a label of several levels, one of which is forbidden."""
    levels = [level for level in label if isinstance(level, str)] if isinstance(label, tuple) else []
    forbidden_names = names.names_of(levels)
    name = next((name for name in names.names if name in forbidden_names), None)
    return (
        None
        if name is None
        else FaultMask("forbidden_field", any_depth_rule(name), np.asarray(series.notna(), np.bool_))
    )


def _holds_objects(dtype: Any) -> bool:
    """Whether a pandas column may contain Python objects: of NumPy's types only `object`, of Arrow's none."""
    return getattr(dtype, "kind", "O") == "O" and not hasattr(dtype, "pyarrow_dtype")


def _is_frame(data: Any, package: str) -> bool:
    """Whether data is a data frame of this package, or of a subclass."""
    roots = {each.__module__.split(".")[0] for each in type(data).__mro__}
    return package in roots and hasattr(data, "columns") and hasattr(data, "shape")


def _package_name(data: Any) -> str:
    return type(data).__module__.split(".")[0]


def _convert_series(series: Any) -> pa.Array | pa.ChunkedArray | None:
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _combined_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """A table's batches, with small ones combined, because each batch has a fixed cost."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in table.to_batches():
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= SMALL_BATCH_ROWS:
            yield _combine_batches(waiting)
            waiting, rows = [], 0
    if waiting:
        yield _combine_batches(waiting)


def _combine_batches(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches)
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _bounded_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if 0 < batch.num_rows <= MEMORY_CHUNK_ROWS:
            yield batch
        else:
            yield from (batch.slice(first, MEMORY_CHUNK_ROWS) for first in range(0, batch.num_rows, MEMORY_CHUNK_ROWS))


def match_prepared_schema(source: MemorySource, schema: pa.Schema) -> MemorySource:
    """The source with its columns in the prepared types. Raises SchemaError, with all differences, if they do not fit.

    Columns may come in any order. All kinds of strings are interchangeable, dictionary-encoded or not, and a column of nulls fits
    any type.
    """
    if source.schema == schema:
        return source
    others = [name for name in schema.names if not _can_stand_for(source.schema, schema.field(name))]
    if others:
        findings = [Finding("S011", "differs from the prepared schema", field=name) for name in others]
        hint = "Call `prepare` for this schema."
        message = "the schema of the batch differs from the prepared schema"
        raise SchemaError(message, findings=findings, hint=hint)
    return MemorySource(schema, [CastPart(part, schema) for part in source.parts], source.is_rereadable)


def _can_stand_for(schema: pa.Schema, field: pa.Field) -> bool:
    if field.name not in schema.names:
        return False
    column_type, field_type = storage_type(schema.field(field.name).type), storage_type(field.type)
    return (
        column_type == field_type
        or pa.types.is_null(column_type)
        or (_is_string_type(column_type) and _is_string_type(field_type))
    )


def _is_string_type(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in STRING_TESTS)


@dataclass(frozen=True, slots=True)
class CastPart(WrappingPart):
    """A part whose records are cast to a compatible schema."""

    schema: pa.Schema

    def pieces(self) -> Sequence[SourcePart]:
        """The part itself."""
        return (self,)

    def read(self) -> Iterator[Chunk]:
        """The part's chunks in the schema."""
        for chunk in self.part.read():
            columns = [_cast_column(chunk.records.column(field.name), field.type) for field in self.schema]
            yield replace(chunk, records=pa.RecordBatch.from_arrays(columns, schema=self.schema))


def _cast_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return pa.nulls(len(column), kind) if pa.types.is_null(column.type) else column.cast(kind)
