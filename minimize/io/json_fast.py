"""A block of NDJSON at once, by Arrow's parser: gives what the strict reader would give, and which lines are in doubt.

Arrow refuses duplicate keys, other types, numbers that do not fit and broken surrogates; what it does not see was looked for
before. Times, bytes and decimals are read here. Any doubt about a line is for the strict reader to settle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.io.base import Chunk
from minimize.io.columnar import Bound
from minimize.io.fit import undeclared
from minimize.io.forbidden import forbidden
from minimize.io.json_parse import Inferred, Told, tables
from minimize.io.json_scan import Places, Scanned
from minimize.io.project import elements, offsets, whole
from minimize.io.rows import Mask, at
from minimize.io.shape import Node, listy, steps
from minimize.io.text import read
from minimize.io.types import accepts, arrow_type
from minimize.pointer import STAR

SCALE = 38
"""The most digits after the point of a decimal that Arrow's parser reads."""
_TEXTS = ("timestamp", "date", "binary")


def fast(
    lines: Scanned, rows: Places, bound: Bound, root: Node, told: Told, inferred: Inferred | None = None
) -> Iterator[tuple[Chunk, Places]]:
    """Chunks of those of the lines that are beyond doubt, each with their indices. Raises TooMany."""
    for table, held in tables(lines, rows, told, inferred):
        records, sure = typed(whole(table), root)
        extra = tuple(undeclared(records.schema, bound.request))
        for place in forbidden(records.schema, bound.request):
            sure &= ~at(records, place.pointer)
        held = held[sure]
        places = lines.places(held)
        yield replace(bound, extra=extra).chunk(only(records, sure), places, unit="byte"), held


def only(records: pa.RecordBatch, sure: Mask) -> pa.RecordBatch:
    """The records beyond doubt."""
    return records if sure.all() else records.filter(pa.array(sure))


def explicit(root: Node) -> pa.Schema:
    """The types that Arrow's parser is told: times and bytes as text, whole containers and maps left for it to find out."""
    fields = ((str(part), _told(child)) for part, child in root.children.items())
    return pa.schema([(name, type_) for name, type_ in fields if type_ is not None])


def _told(node: Node) -> pa.DataType | None:
    if node.mapped:
        return None
    if not node.children:
        word = node.declared.type if node.declared else "struct"
        return None if word in ("list", "struct") else pa.string() if word in _TEXTS else _wide(arrow_type(word))
    if STAR in node.children:
        below = _told(node.children[STAR])
        return None if below is None else pa.list_(below)
    told = ((str(part), _told(child)) for part, child in node.children.items())
    return pa.struct([(name, type_) for name, type_ in told if type_ is not None])


def _wide(type_: pa.DataType) -> pa.DataType | None:
    """The type as Arrow's parser can read it: of decimals it does not see that one is too large, so there is room for it.

    That is so where no number has more than 38 digits before the point.
    """
    if not pa.types.is_decimal(type_):
        return type_
    return pa.decimal256(76, type_.scale) if type_.scale <= SCALE else None


def typed(records: pa.RecordBatch, root: Node) -> tuple[pa.RecordBatch, Mask]:
    """The records with their declared times and bytes read from text, and which of them are beyond doubt."""
    doubts = Doubts(np.zeros(records.num_rows, bool))
    columns = [
        doubts.value(column, root.children[name]) if name in root.children else doubts.other(column)
        for name, column in zip(records.schema.names, records.columns, strict=True)
    ]
    typed = pa.RecordBatch.from_arrays(columns, names=records.schema.names) if columns else records
    return typed, ~doubts.rows


@dataclass(frozen=True, slots=True)
class Doubts:
    """Columns made typed, and the rows in which something does not read as its type.

    `owners` says for values in lists which row each belongs to; None where they are the rows themselves.
    """

    rows: Mask
    owners: npt.NDArray[np.int64] | None = field(default=None)

    def value(self, values: pa.Array, node: Node) -> pa.Array:
        """These values of a node, typed as far down as it goes."""
        word = node.declared.type if node.declared else ""
        if pa.types.is_null(values.type):
            return values
        if pa.types.is_decimal(values.type):
            return self._decimal(values, word)
        if not _fits(values.type, node, word):
            return self._no_value(values)
        if node.children and not node.mapped:
            return self._list(values, node) if STAR in node.children else self._struct(values, node)
        if word in _TEXTS:
            return self._text(values, word)
        return self.other(values)

    def other(self, values: pa.Array) -> pa.Array:
        """These values as they are: they hold no number that is none, however deep."""
        if pa.types.is_floating(values.type):
            self._mark(_false(pc.is_finite(values)))
        elif pa.types.is_struct(values.type):
            for index in range(values.type.num_fields):
                self.other(values.field(index))
        elif listy(values.type):
            inner, lengths = elements(values)
            self._within(lengths).other(inner)
        return values

    def _mark(self, bad: Mask) -> None:
        if bad.any():
            self.rows[bad if self.owners is None else self.owners[bad]] = True

    def _no_value(self, values: pa.Array) -> pa.Array:
        self._mark(np.asarray(values.is_valid()))
        return pa.nulls(len(values))

    def _text(self, values: pa.Array, word: str) -> pa.Array:
        found, bad = read(values, word)
        self._mark(bad)
        return found

    def _decimal(self, values: pa.Array, word: str) -> pa.Array:
        type_ = arrow_type(word)
        if type_.precision < values.type.precision:
            limit = pa.scalar(Decimal(10) ** (type_.precision - type_.scale), values.type)
            bad = np.asarray(pc.fill_null(pc.greater_equal(pc.abs(values), limit), False))
            self._mark(bad)
            values = pc.if_else(pa.array(bad), None, values) if bad.any() else values
        return values.cast(type_)

    def _list(self, values: pa.Array, node: Node) -> pa.Array:
        inner, lengths = elements(values)
        below = self._within(lengths).value(inner, node.children[STAR])
        return pa.ListArray.from_arrays(offsets(lengths, pa.int32()), below, mask=values.is_null())

    def _within(self, lengths: pa.Array) -> Doubts:
        """The same rows, for the elements of lists."""
        rows = np.arange(len(lengths)) if self.owners is None else self.owners
        return replace(self, owners=np.repeat(rows, np.asarray(lengths)))

    def _struct(self, values: pa.Array, node: Node) -> pa.Array:
        names = [str(name) for name, _ in steps(values.type)]
        children = [
            self.value(values.field(index), node.children[name])
            if name in node.children
            else self.other(values.field(index))
            for index, name in enumerate(names)
        ]
        return pa.StructArray.from_arrays(children, names=names, mask=values.is_null())


def _fits(type_: pa.DataType, node: Node, word: str) -> bool:
    """Whether what Arrow made of it is what the policy says, as far as its kind goes. Of a map Arrow makes a struct."""
    if node.mapped:
        return bool(pa.types.is_struct(type_))
    if word in _TEXTS:
        return bool(pa.types.is_string(type_))
    if node.children and not (listy(type_) if STAR in node.children else pa.types.is_struct(type_)):
        return False
    return not word or accepts(word, type_)


def _false(flags: pa.BooleanArray) -> Mask:
    return np.zeros(len(flags), bool) if pc.all(flags).as_py() is not False else ~np.asarray(pc.fill_null(flags, True))
