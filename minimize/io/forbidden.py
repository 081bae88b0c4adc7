"""What must not arrive: the places of a schema that could hold it, and whether a JSON object has such a key.

A key that must not arrive at any depth is sought among names alone: of fields in a schema, of keys in JSON and in maps. A null
value counts as absent, and the policy's pointer is all that is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from minimize.io.base import Request
from minimize.io.shape import listy, steps
from minimize.io.types import plain
from minimize.pointer import STAR, Part, Pointer


@dataclass(frozen=True, slots=True)
class ForbiddenPlace:
    """A place of a schema that must be empty, and the policy's pointer that says so."""

    pointer: Pointer
    rule: str


def forbidden(schema: pa.Schema, request: Request) -> list[ForbiddenPlace]:
    """The places of a schema that must be empty, in the policy's order."""
    root = pa.struct(list(schema))
    fixed = [ForbiddenPlace(each, str(each)) for each in request.never if place(root, each.parts)]
    wanted = frozenset(request.any_depth)
    below: dict[str, list[ForbiddenPlace]] = {name: [] for name in request.any_depth}
    for parts, name in _named(root, wanted, ()) if wanted else ():
        below[name].append(ForbiddenPlace(Pointer(parts), rule_of(name)))
    return [*fixed, *(each for places in below.values() for each in places)]


def rule_of(name: str) -> str:
    """How quarantine names the rule that a key must not arrive at any depth."""
    return str(Pointer.forbidden(name))


def is_forbidden(pointer: Pointer, request: Request) -> bool:
    """Whether a path of a source is one that must not arrive, or is below one."""
    return any(each.covers(pointer) for each in request.never) or not frozenset(request.any_depth).isdisjoint(
        part for part in pointer.parts if isinstance(part, str)
    )


def place(type_: pa.DataType, parts: tuple[Part, ...]) -> bool:
    """Whether a type has a place for a path.

    A star goes through lists, maps and the fields of structs; a name goes through lists, too. A union is any of its children,
    and the name of a child is a key.
    """
    if not parts:
        return True
    if listy(plain(type_)) and parts[0] is not STAR:
        return place(plain(type_).value_type, parts)
    if pa.types.is_union(plain(type_)):
        children = list(plain(type_))
        return any(place(child.type, parts) for child in children) or any(
            place(child.type, parts[1:]) for child in children if child.name == parts[0]
        )
    below = [field.type for part, field in steps(type_) if parts[0] in (STAR, part)]
    if pa.types.is_map(plain(type_)) and parts[0] is not STAR:
        below = [plain(type_).item_type]
    return any(place(kind, parts[1:]) for kind in below)


def holds_key(value: Any, names: frozenset[str]) -> bool:
    """Whether a JSON value has one of these keys, null or not, at any depth."""
    if isinstance(value, dict):
        return not names.isdisjoint(value) or any(
            holds_key(item, names) for item in value.values() if isinstance(item, dict | list)
        )
    return any(holds_key(item, names) for item in value if isinstance(item, dict | list))


def forbidden_key(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these names, in their order, under which a JSON object has a value that is not null, at any depth."""
    found = frozenset(_keys(record, frozenset(names))) if names else frozenset()
    return next((name for name in names if name in found), None)


def _named(
    type_: pa.DataType, names: frozenset[str], above: tuple[Part, ...]
) -> Iterator[tuple[tuple[Part, ...], str]]:
    """The paths that end in one of the names. The keys of a map are not in its type, so each name may be one."""
    if pa.types.is_map(plain(type_)):
        yield from (((*above, name), name) for name in sorted(names))
    if pa.types.is_union(plain(type_)):
        for child in plain(type_):
            if child.name in names:
                yield (*above, child.name), child.name
            yield from _named(child.type, names, above)
    for part, field in steps(type_):
        if part in names:
            yield (*above, part), str(part)
        yield from _named(field.type, names, (*above, part))


def _keys(value: Any, names: frozenset[str]) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (name for name in names & value.keys() if value[name] is not None)
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from _keys(item, names)
