"""A whole block of NDJSON at once, by Arrow's parser: gives what the strict reader would give, or None where it is in doubt.

Arrow refuses duplicate keys, other types, numbers that do not fit and broken surrogates. It does not see NaN, bytes that are
not UTF-8, two objects on a line or one on two; those are looked for here. Any doubt is for the strict reader to settle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from minimize.io.base import Chunk
from minimize.io.columnar import Bound
from minimize.io.fit import forbidden, undeclared
from minimize.io.json_strict import DEPTH, depth
from minimize.io.lines import LIMIT, Block
from minimize.io.project import elements, offsets, whole
from minimize.io.rows import at
from minimize.io.shape import Node, listy, steps
from minimize.io.text import read
from minimize.io.types import accepts, arrow_type
from minimize.pointer import STAR, Part

_TEXTS = ("timestamp", "date", "binary")
_NEWLINE, _RETURN, _OPEN, _CLOSE, _LIST = b"\n\r{}["


class Doubt(Exception):
    """Something that only the strict reader can judge; says nothing of what it is."""


def applies(root: Node) -> bool:
    """Whether Arrow's parser can read these fields: it knows neither maps nor exact decimals."""
    word = root.declared.type if root.declared else ""
    return not root.mapped and not word.startswith("decimal") and all(map(applies, root.children.values()))


def fast(block: Block, bound: Bound, root: Node, types: pa.Schema) -> Chunk | None:
    """A block as a chunk, or None where there is doubt about any of its lines."""
    with suppress(Doubt, UnicodeDecodeError):
        positions = _positions(block)
        table = _parsed(block.data, types)
        if table.num_rows != len(positions) or _levels(pa.struct(list(table.schema))) > DEPTH:
            return None
        records = _typed(whole(table), root)
        open_ = replace(
            bound,
            never=tuple(forbidden(records.schema, bound.request)),
            extra=tuple(undeclared(records.schema, bound.request)),
        )
        if any(at(records, pointer).any() for pointer in open_.never):
            return None
        return replace(open_, never=()).chunk(records, positions, unit="byte")
    return None


def explicit(root: Node) -> pa.Schema:
    """The types that Arrow's parser is told: times and bytes as text, whole containers left for it to find out."""
    fields = ((str(part), _told(child)) for part, child in root.children.items())
    return pa.schema([(name, type_) for name, type_ in fields if type_ is not None])


def _told(node: Node) -> pa.DataType | None:
    if not node.children:
        word = node.declared.type if node.declared else "struct"
        return None if word in ("list", "struct", "map") else pa.string() if word in _TEXTS else arrow_type(word)
    if STAR in node.children:
        below = _told(node.children[STAR])
        return None if below is None else pa.list_(below)
    told = ((str(part), _told(child)) for part, child in node.children.items())
    return pa.struct([(name, type_) for name, type_ in told if type_ is not None])


def _positions(block: Block) -> npt.NDArray[np.int64]:
    """The positions of the lines, each of which begins with a brace and ends with one, so that it holds whole objects."""
    data = block.data
    data.decode("utf-8")
    if not data or b"\0" in data or b"NaN" in data or b"Inf" in data or b"\\u0000" in data or len(data) > LIMIT:
        raise Doubt
    marks = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(marks == _NEWLINE)
    if not len(ends) or ends[-1] != len(marks) - 1:
        ends = np.append(ends, len(marks))
    starts = np.concatenate([[0], ends[:-1] + 1])
    ends = ends - ((ends > starts) & (marks[ends - 1] == _RETURN))
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    if (marks[starts] != _OPEN).any() or (marks[ends - 1] != _CLOSE).any():
        raise Doubt
    _check_depth(data, marks, starts, ends)
    return np.asarray(starts + block.position, np.int64)


def _check_depth(
    data: bytes, marks: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> None:
    opening = np.flatnonzero((marks == _OPEN) | (marks == _LIST))
    many = np.searchsorted(opening, ends) - np.searchsorted(opening, starts) > DEPTH
    if any(depth(data[start:end]) > DEPTH for start, end in zip(starts[many], ends[many], strict=True)):
        raise Doubt


def _parsed(data: bytes, types: pa.Schema) -> pa.Table:
    """The objects as a table, undeclared parts too. What Arrow infers for `[null, "x"]` is not valid, hence the check."""
    reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
    parsing = pj.ParseOptions(explicit_schema=types, unexpected_field_behavior="infer")
    with suppress(pa.ArrowException):
        table = pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=parsing)
        table.validate()
        return table
    raise Doubt


def _levels(type_: pa.DataType) -> int:
    return 1 + max((_levels(field.type) for _, field in steps(type_)), default=0)


def _typed(records: pa.RecordBatch, root: Node) -> pa.RecordBatch:
    """The records with their declared times and bytes read from text. Raises Doubt where one is none."""
    columns = [
        _value(column, root.children[name]) if name in root.children else column
        for name, column in zip(records.schema.names, records.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=records.schema.names) if columns else records


def _value(values: pa.Array, node: Node) -> pa.Array:
    if node.declared is not None and node.declared.type not in _TEXTS and not accepts(node.declared.type, values.type):
        raise Doubt
    if node.children and STAR in node.children:
        return _list(values, node)
    if node.children:
        return _struct(values, node)
    word = node.declared.type if node.declared else ""
    if word in _TEXTS:
        return _sure(*read(values, word))
    if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values)).as_py() is False:
        raise Doubt
    return values


def _sure(values: pa.Array, bad: npt.NDArray[np.bool_]) -> pa.Array:
    if bad.any():
        raise Doubt
    return values


def _list(values: pa.Array, node: Node) -> pa.Array:
    if pa.types.is_null(values.type):
        return values
    if not listy(values.type):
        raise Doubt
    inner, lengths = elements(values)
    typed = _value(inner, node.children[STAR])
    return pa.ListArray.from_arrays(offsets(lengths, pa.int32()), typed, mask=values.is_null())


def _struct(values: pa.Array, node: Node) -> pa.Array:
    if pa.types.is_null(values.type):
        return values
    names = [name for name, _ in _named(values.type)]
    children = [
        _value(values.field(index), node.children[name]) if name in node.children else values.field(index)
        for index, name in enumerate(names)
    ]
    return pa.StructArray.from_arrays(children, names=names, mask=values.is_null())


def _named(type_: pa.DataType) -> Iterator[tuple[Part, pa.Field]]:
    if not pa.types.is_struct(type_):
        raise Doubt
    return steps(type_)
