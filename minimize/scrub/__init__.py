"""Arrow columns without hidden bytes: the last thing that happens to data before a sink, a spill, a worker or a caller.

An Arrow array can carry more than it shows: the value under a null, the rest of the column that a slice was cut from, entries
of a dictionary that no row uses, children under a null parent, metadata. Whoever gets the buffers gets all of it. `scrub`
gives an equal array whose buffers hold what is shown and zeros, nothing else. A flat array that is whole and has no nulls
keeps its buffers; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from minimize.errors import SchemaError
from minimize.scrub.nested import clean


def scrub(data: Any, schema: pa.Schema | None = None) -> Any:
    """Equal data whose buffers hold nothing but what is shown.

    Takes an array or a record batch. Gives the same type; a dictionary keeps only the entries in use, each once, in order,
    and no null among them. Metadata is dropped but for what `schema` (whose columns are those of the batch, by name; a
    plain type there also stands for its dictionary encoding) says. Nulls stay null. Raises SchemaError for a union, an
    extension type, or a column that the schema does not have.

    >>> rest = scrub(pa.array(["kept", "dropped"]).dictionary_encode()[:1])
    >>> rest.dictionary.to_pylist()
    ['kept']
    """
    if not isinstance(data, pa.RecordBatch):
        return clean(data, None, None)
    if not data.num_columns:
        return data.replace_schema_metadata(None if schema is None else schema.metadata)
    return scrubbed(data.columns, data.schema.names, schema)


def scrubbed(columns: Iterable[pa.Array], names: Sequence[str], schema: pa.Schema | None) -> pa.RecordBatch:
    """Columns (one at least) of these names as a batch, scrubbed as `scrub` does it."""
    arrays = [clean(column, None, None) for column in columns]
    if schema is not None and schema.names == names and schema.types == [array.type for array in arrays]:
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
    fields = [_field(name, array, schema) for name, array in zip(names, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, None if schema is None else schema.metadata))


def _field(name: str, array: pa.Array, schema: pa.Schema | None) -> pa.Field:
    if schema is None:
        return pa.field(name, array.type)
    index = schema.get_field_index(name)
    if index < 0:
        raise SchemaError("a column is to be written that the output's schema does not have")
    allowed = schema.field(index)
    return allowed if allowed.type == array.type else pa.field(name, array.type, allowed.nullable, allowed.metadata)
