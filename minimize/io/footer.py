"""What a Parquet file says of itself: which column chunks a request needs, and what its statistics settle without decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.io.shape import Node, listy, steps
from minimize.io.types import plain
from minimize.pointer import STAR, Part, Pointer

Place = tuple[pa.DataType, int]
"""A type, and the number of its first leaf."""
SMALL = 4.0
"""Uncompressed bytes a value, up to which a chunk of strings is worth reading as a dictionary."""


@dataclass(frozen=True, slots=True)
class Footer:
    """The metadata of a file, and its schema as Arrow. Leaves are numbered as the file numbers its columns."""

    metadata: pq.FileMetaData
    schema: pa.Schema
    tops: Mapping[str, tuple[Place, ...]] = field(init=False, repr=False, compare=False)
    """Where each column of the schema stands: a file of ten thousand columns is walked once, not once a path."""

    def __post_init__(self) -> None:
        """Looks where the columns stand."""
        object.__setattr__(self, "tops", _tops(self.schema))

    @property
    def groups(self) -> int:
        """How many row groups the file has."""
        return int(self.metadata.num_row_groups)

    def rows(self, group: int) -> int:
        """How many rows a row group has."""
        return int(self.metadata.row_group(group).num_rows)

    def needed(self, root: Node) -> list[int]:
        """The leaves that hold the needed parts; of a hollow container one that tells its shape."""
        return _pick(pa.struct(list(self.schema)), root, 0)

    def under(self, pointer: Pointer) -> list[int]:
        """The leaves at and below a path."""
        return [leaf for kind, at in self._at(pointer) for leaf in range(at, at + leaves(kind))]

    def shape(self, pointer: Pointer) -> list[int]:
        """The leaves that tell where a path is null: one for each place that it names."""
        return [at for _, at in self._at(pointer)]

    def flat(self, pointer: Pointer) -> int | None:
        """The leaf that a path names itself, if it does and no list or map is above it."""
        places = self._at(pointer)
        if len(places) != 1 or any(True for _ in steps(places[0][0])):
            return None
        leaf = places[0][1]
        return None if self.metadata.schema.column(leaf).max_repetition_level else leaf

    def paths(self, leaves: list[int]) -> list[str]:
        """The paths by which the file knows these leaves."""
        return [self.metadata.schema.column(leaf).path for leaf in sorted(set(leaves))]

    def single(self, pointer: Pointer) -> bool:
        """Whether no list or map is at, above or below a path, so that its leaves have one slot a row."""
        return not any(self.metadata.schema.column(leaf).max_repetition_level for leaf in self.under(pointer))

    def filled(self, group: int, leaf: int) -> int | None:
        """How many values of a chunk are not null; None where the file does not say."""
        chunk = self.metadata.row_group(group).column(leaf)
        known = chunk.is_stats_set and chunk.statistics.has_null_count
        return int(chunk.num_values - chunk.statistics.null_count) if known else None

    def small(self, name: str, most: float = SMALL) -> bool:
        """Whether a flat column of strings is worth reading as a dictionary: at most so many uncompressed bytes a value."""
        leaf = self.flat(Pointer((name,)))
        if leaf is None or not pa.types.is_string(self.schema.field(name).type):
            return False
        chunks = [self.metadata.row_group(group).column(leaf) for group in range(self.groups)]
        values, size = sum(chunk.num_values for chunk in chunks), sum(chunk.total_uncompressed_size for chunk in chunks)
        return values > 0 and size / values <= most and all(chunk.has_dictionary_page for chunk in chunks)

    def _at(self, pointer: Pointer) -> list[Place]:
        first, rest = pointer.parts[0], pointer.parts[1:]
        places = self.tops.get(first, ()) if isinstance(first, str) else chain(*self.tops.values())
        return [found for kind, at in places for found in _find(kind, rest, at)]


def _tops(schema: pa.Schema) -> dict[str, tuple[Place, ...]]:
    found: dict[str, tuple[Place, ...]] = {}
    at = 0
    for column in schema:
        found[column.name] = (*found.get(column.name, ()), (column.type, at))
        at += leaves(column.type)
    return found


def leaves(type_: pa.DataType) -> int:
    """How many columns of a file a type takes."""
    kind = plain(type_)
    if pa.types.is_map(kind):
        return leaves(kind.key_type) + leaves(kind.item_type)
    if pa.types.is_struct(kind) or listy(kind):
        return sum(leaves(inner.type) for _, inner in steps(kind))
    return 1


def _pick(type_: pa.DataType, node: Node | None, at: int) -> list[int]:
    if node is None or not node.needed:
        return []
    kind = plain(type_)
    below = [leaf for part, inner, place in _places(kind, at) for leaf in _pick(inner, node.children.get(part), place)]
    shape = [at] if pa.types.is_map(kind) or not below else []
    return shape + below


def _find(type_: pa.DataType, parts: tuple[Part, ...], at: int) -> Iterator[Place]:
    """The places that a path names: the type there, and the number of its first leaf. A map's keys come along."""
    if not parts:
        yield type_, at
        return
    kind = plain(type_)
    mapped = pa.types.is_map(kind)
    if mapped:
        yield kind.key_type, at
    if listy(kind) and parts[0] is not STAR:
        yield from _find(kind.value_type, parts, at)
        return
    for part, inner, place in _places(kind, at):
        if parts[0] is STAR or part == parts[0] or mapped:
            yield from _find(inner, parts[1:], place)


def _places(kind: pa.DataType, at: int) -> Iterator[tuple[Part, pa.DataType, int]]:
    """The parts of a type, one step down, each with the number of its first leaf."""
    place = at + (leaves(kind.key_type) if pa.types.is_map(kind) else 0)
    for part, inner in steps(kind):
        yield part, inner.type, place
        place += leaves(inner.type)
