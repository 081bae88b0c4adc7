"""A record checked and built in one walk, as the strict reader would: for the many that have no fault.

What the walk stumbles over it does not judge: it raises Wrong, and `json_strict.fault` says what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from minimize.io.json_strict import CONTAINERS, convert_by
from minimize.io.shape import Node
from minimize.pointer import STAR

Seen = list[None]
"""Not empty once something undeclared was seen, null or not."""
Read = Callable[[Any, Seen], Any]
"""Takes a value that is not null; gives it as Arrow takes it. Raises Wrong."""


class Wrong(Exception):
    """A value is not what its field is; says nothing of what it is."""


def reader(node: Node, type_: pa.DataType | None) -> Read:
    """The way to read a node's values as this type; None where they are checked and not kept."""
    if not node.children:
        return (
            _container(node) if node.declared is None or node.declared.type in CONTAINERS else _leaf(node.declared.type)
        )
    if not _agrees(node):
        return _never
    if STAR not in node.children:
        return _struct(node, type_)
    return _map(node, type_) if node.mapped else _list(node, type_)


def _agrees(node: Node) -> bool:
    """Whether a value can be what is declared here and hold what is declared below."""
    words = {"struct"} if STAR not in node.children else {"map", "struct"} if node.mapped else {"list"}
    single = STAR not in node.children or len(node.children) == 1
    return single and (node.declared is None or node.declared.type in words)


def _never(value: Any, seen: Seen) -> Any:
    raise Wrong


def _leaf(word: str) -> Read:
    convert = convert_by(word)

    def read(value: Any, seen: Seen) -> Any:
        found = convert(value, word)
        if found is None:
            raise Wrong
        return found

    return read


def _container(node: Node) -> Read:
    """A container of which only the shape is kept."""
    word = node.declared.type if node.declared else "struct"
    hollow: dict[str, Callable[[Any], Any]] = {
        "list": lambda value: [None] * len(value),
        "map": lambda value: [("", None)] * len(value),
        "struct": lambda value: {},
    }
    kind, empty = CONTAINERS[word], hollow[word]

    def read(value: Any, seen: Seen) -> Any:
        if type(value) is not kind:
            raise Wrong
        return empty(value)

    return read


def _struct(node: Node, type_: pa.StructType | None) -> Read:
    kept = {} if type_ is None else {field.name: field.type for field in type_}
    names = frozenset(map(str, node.children))
    parts: Sequence[tuple[str, Read, bool]] = [
        (str(name), reader(child, kept.get(str(name))), str(name) in kept) for name, child in node.children.items()
    ]

    def read(value: Any, seen: Seen) -> Any:
        if type(value) is not dict:
            raise Wrong
        if not names.issuperset(value):
            seen.append(None)
        held = {}
        for name, part, keep in parts:
            item = value.get(name)
            found = None if item is None else part(item, seen)
            if keep:
                held[name] = found
        return held

    return read


def _list(node: Node, type_: pa.ListType | None) -> Read:
    part = reader(node.children[STAR], None if type_ is None else type_.value_type)

    def read(value: Any, seen: Seen) -> Any:
        if type(value) is not list:
            raise Wrong
        return [None if item is None else part(item, seen) for item in value]

    return read


def _map(node: Node, type_: pa.MapType | None) -> Read:
    hollow = type_ is None or pa.types.is_null(type_.item_type)
    part = reader(node.children[STAR], None if type_ is None or hollow else type_.item_type)

    def read(value: Any, seen: Seen) -> Any:
        if type(value) is not dict:
            raise Wrong
        items = ((key, None if item is None else part(item, seen)) for key, item in value.items())
        return [("", None) if hollow else one for one in items]

    return read
