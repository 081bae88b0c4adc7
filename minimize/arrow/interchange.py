"""Results as the same kind of object as the input: pandas, Polars, DuckDB or pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa

Batches = Iterator[pa.RecordBatch]
NativeConverter = Callable[[pa.Schema, Batches], Any]
_NULLABLE = {f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
"""Arrow's integer types and the nullable types of pandas. As doubles, large integers would change."""


_MAX_TEXT_BYTES = 2**31 - 1
"""Maximum bytes of a text column that 32-bit offsets can address."""


def native_converter(data: Any) -> NativeConverter:
    """A function that converts batches to the kind of `data`: pandas, pyarrow, Polars, DuckDB; a Table for any other kind."""
    if isinstance(data, pa.RecordBatchReader):
        return _to_reader
    if isinstance(data, pa.Table):
        return _to_table
    if isinstance(data, pa.RecordBatch):
        return _to_batch
    package = _package_of(data)
    ways: dict[str, NativeConverter] = {"pandas": _to_pandas(data), "polars": _to_polars, "duckdb": _to_duckdb}
    return ways.get(package, _to_table)


def _package_of(data: Any) -> str:
    return type(data).__module__.split(".")[0].lstrip("_")


def has_row_labels(data: Any) -> bool:
    """Whether the rows of `data` have labels: those of pandas have."""
    return _package_of(data) == "pandas"


def decode_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with every dictionary decoded, as callers expect their columns."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [
        column if column.type == type_ else _decode_column(column, type_)
        for column, type_ in zip(batch.columns, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _decode_column(column: pa.Array, type_: pa.DataType) -> pa.Array:
    even = _decode_equal_lengths(column, type_) if pa.types.is_dictionary(column.type) else None
    return column.cast(type_) if even is None else even


def _decode_equal_lengths(column: pa.Array, type_: pa.DataType) -> pa.Array | None:
    """Dictionary-encoded texts of equal length, decoded by a faster method; None for other columns."""
    if type_ != pa.string() or column.type.value_type != type_ or column.null_count or not len(column):
        return None
    entries = column.dictionary
    ends = np.frombuffer(entries.buffers()[1], np.int32)[entries.offset : entries.offset + len(entries) + 1]
    width = int(ends[1] - ends[0])
    if entries.null_count or not width or width * len(column) > _MAX_TEXT_BYTES or (np.diff(ends) != width).any():
        return None
    texts = np.frombuffer(entries.buffers()[2], np.uint8)[ends[0] : ends[-1]].reshape(-1, width)
    laid = np.take(texts, np.asarray(column.indices), axis=0)
    offsets = np.arange(0, width * len(column) + 1, width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(column), pa.py_buffer(offsets), pa.py_buffer(laid))


def _to_reader(schema: pa.Schema, batches: Batches) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(schema, batches)


def _to_table(schema: pa.Schema, batches: Batches) -> pa.Table:
    return pa.Table.from_batches(batches, schema=schema)


def _to_batch(schema: pa.Schema, batches: Batches) -> pa.RecordBatch:
    table = _to_table(schema, batches)
    return pa.RecordBatch.from_arrays([_combine_chunks(column) for column in table.columns], schema=schema)


def _combine_chunks(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _to_pandas(data: Any) -> NativeConverter:
    def give(schema: pa.Schema, batches: Batches) -> Any:
        pandas = import_module("pandas")
        table = _to_table(schema, batches)
        if any(isinstance(kind, pandas.ArrowDtype) for kind in data.dtypes):
            return table.to_pandas(types_mapper=pandas.ArrowDtype)
        frame = table.to_pandas()
        for name, column in zip(table.column_names, table.columns, strict=True):
            if pa.types.is_integer(column.type) and column.null_count:
                dtype = pandas.api.types.pandas_dtype(_NULLABLE[str(column.type)])
                frame[name] = column.to_pandas(types_mapper=lambda _, dtype=dtype: dtype)
        return frame

    return give


def _to_polars(schema: pa.Schema, batches: Batches) -> Any:
    return import_module("polars").from_arrow(_to_table(schema, batches))


def _to_duckdb(schema: pa.Schema, batches: Batches) -> Any:
    return import_module("duckdb").from_arrow(_to_table(schema, batches))
