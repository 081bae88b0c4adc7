"""A block of NDJSON half by hand: Arrow's parser reads what has a type of its own, and each line is parsed in Python beside it.

That is for maps whose items are read, of which Arrow would make a struct, and for blocks in which undeclared values are of
so many kinds that Arrow refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from minimize.io.base import Chunk
from minimize.io.columnar import Bound
from minimize.io.json_fast import SCALE, explicit, only, typed
from minimize.io.json_lines import Extra
from minimize.io.json_parse import Told, tables
from minimize.io.json_scan import Places, Scanned
from minimize.io.json_strict import Malformed, build, fault, lacks, parse
from minimize.io.project import whole
from minimize.io.shape import Node
from minimize.io.types import decimal_digits


def by_hand(lines: Scanned, rows: Places, bound: Bound, root: Node) -> Iterator[tuple[Chunk, Places]]:
    """Chunks of those of the lines that are beyond doubt, each with their indices. Raises TooMany."""
    hand = untold(root)
    types = pa.schema([field for field in explicit(root) if field.name not in hand])
    for table, held in tables(lines, rows, Told(types, "ignore")):
        records, sure = typed(whole(table), root)
        taken = Taken(bound, root, hand)
        for row in np.flatnonzero(sure).tolist():
            sure[row] = taken.take(lines.line(int(held[row])))
        held = held[sure]
        places = lines.starts[held] + lines.block.position
        yield bound.chunk(taken.beside(only(records, sure)), places, carry=taken.extra.carried(), unit="byte"), held


def untold(root: Node) -> frozenset[str]:
    """The columns in which there is something that Arrow's parser is told nothing of."""
    return frozenset(str(name) for name, node in root.children.items() if _is_untold(node))


def by_hand_only(node: Node) -> bool:
    """Whether at this node or below the items of a map are read, or how many there are, or a decimal that Arrow cannot read."""
    here = node.mapped and (bool(node.children) or node.needed)
    return here or _is_fine(node) or any(map(by_hand_only, node.children.values()))


def _is_fine(node: Node) -> bool:
    digits = decimal_digits(node.declared.type) if node.declared else None
    return digits is not None and digits[1] > SCALE


def _is_untold(node: Node) -> bool:
    if node.mapped or not node.children:
        return node.mapped or _is_fine(node) or node.declared is None or node.declared.type in ("list", "struct")
    return any(map(_is_untold, node.children.values()))


class Taken:
    """What is read by hand of lines that Arrow's parser has read, too."""

    def __init__(self, bound: Bound, root: Node, hand: frozenset[str]) -> None:
        self._request, self._root = bound.request, root
        self._columns = {field.name: (field.type, list[object]()) for field in bound.schema if field.name in hand}
        self._some = replace(
            bound.request, fields=tuple(field for field in bound.request.fields if field.pointer.top in hand)
        )
        self._required = [field.pointer.parts for field in bound.required]
        self.extra = Extra(bound.request, root)

    def take(self, line: bytes) -> bool:
        """Takes a line in; False, and nothing is taken, where there is doubt about it."""
        try:
            record = parse(line)
        except Malformed:
            return False
        if fault(record, self._some, self._root) is not None or any(lacks(record, parts) for parts in self._required):
            return False
        for name, (type_, values) in self._columns.items():
            values.append(build(record.get(name), self._root.children[name], type_))
        self.extra.take(record)
        return True

    def beside(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """The records with the columns that were read by hand."""
        columns = {name: pa.array(values, type_) for name, (type_, values) in self._columns.items()}
        return pa.RecordBatch.from_arrays(
            [*records.columns, *columns.values()], names=[*records.schema.names, *columns]
        )
