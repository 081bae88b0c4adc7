"""A block of NDJSON half by hand: Arrow's parser reads what has a type of its own, and each line is parsed in Python beside it.

That is for maps whose items are read, of which Arrow would make a struct, and for blocks in which undeclared values are of
so many kinds that Arrow refuses them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from minimize.io.base import Chunk
from minimize.io.columnar import Bound
from minimize.io.forbidden import holds_key
from minimize.io.ids import blank_ids
from minimize.io.json_build import Wrong, reader
from minimize.io.json_fast import SCALE, explicit, only, typed
from minimize.io.json_lines import Extra
from minimize.io.json_parse import Told, tables
from minimize.io.json_scan import Places, Scanned
from minimize.io.json_strict import Malformed, lacks, parse, reached
from minimize.io.project import whole
from minimize.io.shape import Node
from minimize.io.types import decimal_digits
from minimize.pointer import STAR


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
        places = lines.places(held)
        yield bound.chunk(taken.beside(only(records, sure)), places, carry=taken.extra.carried(), unit="byte"), held


def needing(lines: Scanned, root: Node) -> Places:
    """The lines that may hold something that must be read by hand: its key is there, or an escape, which may be in a key."""
    names = (str(name) for name, node in root.children.items() if by_hand_only(node))
    found = [lines.holding(json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")) for name in names]
    return reduce(np.union1d, found, lines.holding(b"\\"))


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


def beyond(node: Node) -> Callable[[Any], bool]:
    """Whether a value that is what this node with parts says may hold something that is not declared, null or not."""
    below = node.children.get(STAR)
    if below is not None:
        return _any_beyond(beyond(below)) if below.children else lambda value: False
    names = frozenset(map(str, node.children))
    parts = [(str(name), beyond(child)) for name, child in node.children.items() if child.children]
    if not parts:
        return lambda value: not names.issuperset(value)
    return lambda value: (
        not names.issuperset(value)
        or any((inner := value.get(name)) is not None and more(inner) for name, more in parts)
    )


def _any_beyond(more: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda items: any(item is not None and more(item) for item in items)


class Taken:
    """What is read by hand of lines that Arrow's parser has read, too."""

    def __init__(self, bound: Bound, root: Node, hand: frozenset[str]) -> None:
        types = {field.name: field.type for field in bound.schema if field.name in hand}
        self._columns = {name: (type_, list[object]()) for name, type_ in types.items()}
        self._reads = [(name, reader(root.children[name], types.get(name))) for name in sorted(hand)]
        self._never = [pointer.parts for pointer in bound.request.never]
        self._any_depth = frozenset(bound.request.any_depth)
        self._required = [field.pointer.parts for field in bound.required]
        self._ids = bound.request.ids
        children = {name: node for name, node in root.children.items() if name not in hand}
        self._beyond = beyond(Node(children={**dict.fromkeys(root.children, Node()), **children}))
        self.extra = Extra(bound.request, root)

    def take(self, line: bytes) -> bool:
        """Takes a line in; False, and nothing is taken, where there is doubt about it."""
        record, held, seen = None, dict[str, object](), list[None]()
        with suppress(Malformed, Wrong):
            record = parse(line)
            held = {
                name: None if (value := record.get(name)) is None else read(value, seen) for name, read in self._reads
            }
        if record is None or len(held) < len(self._reads) or self._is_faulty(record):
            return False
        for name, (_, values) in self._columns.items():
            values.append(held[name])
        if seen or self._beyond(record):
            self.extra.take(record)
        return True

    def _is_faulty(self, record: Mapping[str, Any]) -> bool:
        """Whether there is what must not arrive, or something required is not there."""
        if any(
            parts[0] in record and any(item is not None for item in reached(record, parts)) for parts in self._never
        ):
            return True
        if self._any_depth and holds_key(record, self._any_depth):
            return True
        return any(lacks(record, parts) for parts in self._required) or blank_ids(record, self._ids)

    def beside(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """The records with the columns that were read by hand."""
        columns = {name: pa.array(values, type_) for name, (type_, values) in self._columns.items()}
        return pa.RecordBatch.from_arrays(
            [*records.columns, *columns.values()], names=[*records.schema.names, *columns]
        )
