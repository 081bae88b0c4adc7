"""A request as a tree, and what it makes of a source's nested types: pruned to the declared parts, never more.

A container that is declared itself (`list`, `struct`, `map`, for `presence` or `size`) and has no needed parts is *hollow*: its
shape stays, its values are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from minimize.io.base import Declared, Request
from minimize.io.types import arrow_type, is_list, plain
from minimize.pointer import STAR, Part, Pointer

HOLLOW_MAP = pa.map_(pa.string(), pa.null())


@dataclass(slots=True)
class Node:
    """One place in a record: the field declared there, if any, and what is declared below it.

    `mapped` says that what stands under a star here is a map's items, not a list's elements.
    """

    declared: Declared | None = None
    mapped: bool = False
    children: dict[Part, Node] = field(default_factory=dict)

    @property
    def needed(self) -> bool:
        """Whether somebody reads a value here or below."""
        return (self.declared is not None and self.declared.needed) or any(
            child.needed for child in self.children.values()
        )

    def child(self, part: Part) -> Node | None:
        """What is declared for this part: by name, or by a star."""
        return self.children.get(part)


def tree(request: Request, maps: frozenset[Pointer] = frozenset()) -> Node:
    """The declared fields as a tree, in the request's order. `maps` are containers known to be maps, beside those declared so."""
    root = Node()
    for declared in request.fields:
        node = root
        for depth, part in enumerate(declared.pointer.parts, 1):
            node = node.children.setdefault(part, Node())
            node.mapped = node.mapped or Pointer(declared.pointer.parts[:depth]) in maps
        node.declared, node.mapped = declared, node.mapped or declared.type == "map"
    return root


def listy(type_: pa.DataType) -> bool:
    """Whether a type is any kind of list."""
    return any(test(type_) for test in is_list)


def steps(type_: pa.DataType) -> Iterator[tuple[Part, pa.Field]]:
    """The parts of a nested type, one step down: a struct's fields by name, a list's elements or a map's items by a star."""
    kind = plain(type_)
    if pa.types.is_struct(kind):
        yield from ((kind.field(index).name, kind.field(index)) for index in range(kind.num_fields))
    elif listy(kind):
        yield STAR, kind.value_field
    elif pa.types.is_map(kind):
        yield STAR, kind.item_field


def prune(type_: pa.DataType, node: Node) -> pa.DataType:
    """The type with its needed parts only, of a node that is needed. What the source lacks is added in the policy's type."""
    kind = settle(type_)
    parts = {part: child for part, child in node.children.items() if child.needed}
    if pa.types.is_null(kind):
        return stated(node)
    if not parts:
        return _hollow(kind)
    have = {part: below.type for part, below in steps(kind)}
    below = {part: prune(have.get(part, pa.null()), child) for part, child in parts.items()}
    if pa.types.is_struct(kind):
        order = [part for part in have if part in below] + [part for part in below if part not in have]
        return pa.struct([pa.field(str(part), below[part]) for part in order])
    return pa.map_(kind.key_type, below[STAR]) if pa.types.is_map(kind) else _list_of(kind, below[STAR])


def stated(node: Node) -> pa.DataType:
    """The type of a needed node as the policy states it: for sources that have no types of their own.

    What stands under a star is a list, unless the container is a map.
    """
    parts = {part: child for part, child in node.children.items() if child.needed}
    if not parts:
        return arrow_type(node.declared.type) if node.declared else pa.null()
    if STAR in parts:
        below = stated(parts[STAR])
        return pa.map_(pa.string(), below) if node.mapped else pa.list_(below)
    return pa.struct([pa.field(str(part), stated(child)) for part, child in parts.items()])


def pruned(schema: pa.Schema, root: Node) -> pa.Schema:
    """The needed columns of a schema, in its order, then those that it may lack and lacks."""
    have: Mapping[str, pa.DataType] = {column.name: column.type for column in schema}
    names = [name for name in have if (node := root.children.get(name)) is not None and node.needed]
    names += [str(part) for part, node in root.children.items() if node.needed and part not in have]
    return pa.schema([(name, prune(have.get(name, pa.null()), root.children[name])) for name in names])


def settle(type_: pa.DataType) -> pa.DataType:
    """The type that a source hands on: views, run ends and extensions become plain arrays, which every kernel knows."""
    if pa.types.is_dictionary(type_):
        return pa.dictionary(type_.index_type, settle(type_.value_type))
    kind = plain(type_)
    for test, instead in ((pa.types.is_string_view, pa.string()), (pa.types.is_binary_view, pa.binary())):
        if test(kind):
            return instead
    return kind


def _list_of(kind: pa.DataType, value: pa.DataType) -> pa.DataType:
    large = pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind)
    return pa.large_list(value) if large else pa.list_(value)


def _hollow(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([])
    if pa.types.is_map(kind):
        return HOLLOW_MAP
    return _list_of(kind, pa.null()) if listy(kind) else kind
