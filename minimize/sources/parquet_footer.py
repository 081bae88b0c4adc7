"""Footer of a Parquet file: the column chunks that a request needs, and what statistics answer without decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.arrow.pointers import STAR, Pointer, PointerPart
from minimize.sources.projection import FieldNode, is_list_type, nested_fields
from minimize.sources.types import storage_type

LeafPosition = tuple[pa.DataType, int]
"""A type, and the number of its first leaf."""
SMALL_VALUE_BYTES = 4.0
"""Uncompressed bytes a value, up to which a chunk of strings is worth reading as a dictionary."""


@dataclass(frozen=True)
class ParquetFooter:
    """The metadata of a file, and its schema as Arrow. Leaves are numbered as the file numbers its columns."""

    metadata: pq.FileMetaData
    schema: pa.Schema

    @cached_property
    def tops(self) -> Mapping[str, tuple[LeafPosition, ...]]:
        """The position of each column of the schema. A file of ten thousand columns is walked once, not once per path."""
        return _top_level_positions(self.schema)

    @property
    def groups(self) -> int:
        """How many row groups the file has."""
        return int(self.metadata.num_row_groups)

    def rows(self, group: int) -> int:
        """How many rows a row group has."""
        return int(self.metadata.row_group(group).num_rows)

    def needed_leaves(self, root: FieldNode) -> list[int]:
        """The leaves that hold the needed parts; of a hollow container one that tells its shape."""
        return _needed_leaves(pa.struct(list(self.schema)), root, 0)

    def leaves_below(self, pointer: Pointer) -> list[int]:
        """The leaves at and below a path."""
        return [leaf for kind, at in self._leaves_at(pointer) for leaf in range(at, at + leaf_count(kind))]

    def shape_leaves(self, pointer: Pointer) -> list[int]:
        """The leaves that tell where a path is null: one for each place that it names."""
        return [at for _, at in self._leaves_at(pointer)]

    def flat_leaf(self, pointer: Pointer) -> int | None:
        """The leaf that a path names itself, if it does and no list or map is above it."""
        places = self._leaves_at(pointer)
        if len(places) != 1 or any(True for _ in nested_fields(places[0][0])):
            return None
        leaf = places[0][1]
        return None if self.metadata.schema.column(leaf).max_repetition_level else leaf

    def paths(self, leaves: list[int]) -> list[str]:
        """The paths by which the file knows these leaves."""
        return [self.metadata.schema.column(leaf).path for leaf in sorted(set(leaves))]

    def is_single_valued(self, pointer: Pointer) -> bool:
        """Whether no list or map is at, above or below a path, so that its leaves have one slot a row."""
        return not any(self.metadata.schema.column(leaf).max_repetition_level for leaf in self.leaves_below(pointer))

    def count_non_null(self, group: int, leaf: int) -> int | None:
        """How many values of a chunk are not null; None where the file does not say."""
        chunk = self.metadata.row_group(group).column(leaf)
        known = chunk.is_stats_set and chunk.statistics.has_null_count
        return int(chunk.num_values - chunk.statistics.null_count) if known else None

    def has_small_values(self, name: str, most: float = SMALL_VALUE_BYTES) -> bool:
        """Whether a flat column of strings is worth reading as a dictionary: at most so many uncompressed bytes a value."""
        leaf = self.flat_leaf(Pointer((name,)))
        if leaf is None or not pa.types.is_string(self.schema.field(name).type):
            return False
        chunks = [self.metadata.row_group(group).column(leaf) for group in range(self.groups)]
        values, size = sum(chunk.num_values for chunk in chunks), sum(chunk.total_uncompressed_size for chunk in chunks)
        return values > 0 and size / values <= most and all(chunk.has_dictionary_page for chunk in chunks)

    def _leaves_at(self, pointer: Pointer) -> list[LeafPosition]:
        first, rest = pointer.parts[0], pointer.parts[1:]
        places = self.tops.get(first, ()) if isinstance(first, str) else chain(*self.tops.values())
        return [found for kind, at in places for found in _positions_at(kind, rest, at)]


def _top_level_positions(schema: pa.Schema) -> dict[str, tuple[LeafPosition, ...]]:
    found: dict[str, tuple[LeafPosition, ...]] = {}
    at = 0
    for column in schema:
        found[column.name] = (*found.get(column.name, ()), (column.type, at))
        at += leaf_count(column.type)
    return found


def leaf_count(type_: pa.DataType) -> int:
    """How many columns of a file a type takes."""
    kind = storage_type(type_)
    if pa.types.is_map(kind):
        return leaf_count(kind.key_type) + leaf_count(kind.item_type)
    if pa.types.is_struct(kind) or is_list_type(kind):
        return sum(leaf_count(inner.type) for _, inner in nested_fields(kind))
    return 1


def _needed_leaves(type_: pa.DataType, node: FieldNode | None, at: int) -> list[int]:
    if node is None or not node.is_read:
        return []
    kind = storage_type(type_)
    below = [
        leaf
        for part, inner, place in _child_positions(kind, at)
        for leaf in _needed_leaves(inner, node.children.get(part), place)
    ]
    shape = [at] if pa.types.is_map(kind) or not below else []
    return shape + below


def _positions_at(type_: pa.DataType, parts: tuple[PointerPart, ...], at: int) -> Iterator[LeafPosition]:
    """The places that a path names: the type there, and the number of its first leaf. A map's keys come along."""
    if not parts:
        yield type_, at
        return
    kind = storage_type(type_)
    mapped = pa.types.is_map(kind)
    if mapped:
        yield kind.key_type, at
    if is_list_type(kind) and parts[0] is not STAR:
        yield from _positions_at(kind.value_type, parts, at)
        return
    for part, inner, place in _child_positions(kind, at):
        if parts[0] is STAR or part == parts[0] or mapped:
            yield from _positions_at(inner, parts[1:], place)


def _child_positions(kind: pa.DataType, at: int) -> Iterator[tuple[PointerPart, pa.DataType, int]]:
    """The parts of a type, one step down, each with the number of its first leaf."""
    place = at + (leaf_count(kind.key_type) if pa.types.is_map(kind) else 0)
    for part, inner in nested_fields(kind):
        yield part, inner.type, place
        place += leaf_count(inner.type)
