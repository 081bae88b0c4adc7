"""Whether a source that has a schema of its own fits a request: the whole diff at once, before anything is decoded.

S001  a declared field is missing
S002  a declared field has another type
S003  a column name stands twice
S004  two files of the source disagree about a type
S005  a column in memory holds values of more than one type
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import pyarrow as pa

from minimize.errors import Finding, SchemaError
from minimize.io.base import Declared, Request
from minimize.io.forbidden import is_forbidden
from minimize.io.shape import Node, prune, steps, tree
from minimize.io.types import accepts, found, plain
from minimize.pointer import STAR, Part, Pointer

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""What looks like a name; anything else could be a value, and is not shown."""


def check(schema: pa.Schema, request: Request, where: str | None = None) -> None:
    """Raises SchemaError with all that is missing or has another type; `where` names the file."""
    findings = [*_twice(schema, where), *(_below(pa.struct(list(schema)), tree(request), (), where))]
    refuse(findings)


def refuse(findings: Sequence[Finding]) -> None:
    """Raises SchemaError where there are findings."""
    if findings:
        raise SchemaError("the source does not have what the policy declares", findings=findings)


def undeclared(schema: pa.Schema, request: Request) -> list[Pointer]:
    """The paths that a schema has and nobody declared, each at its top; what must not arrive is not among them."""
    found = map(Pointer, _extra(pa.struct(list(schema)), tree(request), ()))
    return [pointer for pointer in found if not is_forbidden(pointer, request)]


def unified(schemas: Sequence[pa.Schema], names: Sequence[str]) -> pa.Schema:
    """One schema for files that differ in widths only. Raises SchemaError naming the first file that disagrees."""
    together = schemas[0]
    for schema, name in zip(schemas[1:], names[1:], strict=True):
        if not schema.equals(together):
            joined = _joined(together, schema)
            if joined is None:
                refuse([Finding("S004", "has a column of another type than the files before it", file=name)])
            together = joined or together
    return together


def _joined(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    try:
        return pa.unify_schemas([one, other], promote_options="permissive")
    except pa.ArrowException:
        return None


def _twice(schema: pa.Schema, where: str | None) -> list[Finding]:
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    return [Finding("S003", f"{len(twice)} column names stand more than once", file=where)] if twice else []


def _below(type_: pa.DataType, node: Node, above: tuple[Part, ...], where: str | None) -> Iterator[Finding]:
    if pa.types.is_null(plain(type_)):
        return
    have = {part: field.type for part, field in steps(type_)}
    for part, child in node.children.items():
        parts = (*above, part)
        if part in have:
            yield from _typed(have[part], child, parts, where)
        elif part is STAR or not (pa.types.is_struct(plain(type_))):
            yield _retyped(_anything(node), Pointer(above), "list" if part is STAR else "struct", type_, where)
        else:
            yield from (_missing(field, have, where) for field in _fields(child) if not field.optional)


def _typed(type_: pa.DataType, node: Node, parts: tuple[Part, ...], where: str | None) -> Iterator[Finding]:
    field = node.declared
    if field is not None and not accepts(field.type, type_):
        yield _retyped(field, Pointer(parts), field.type, type_, where)
    elif node.children:
        yield from _below(type_, node, parts, where)


def _retyped(field: Declared, pointer: Pointer, wanted: str, type_: pa.DataType, where: str | None) -> Finding:
    message = f"{pointer} is declared as {wanted}, the source has {found(type_)}"
    return Finding("S002", message, file=where, field=field.key, hint=_retype(wanted, type_))


def _retype(wanted: str, type_: pa.DataType) -> str:
    if wanted == "integer" and pa.types.is_floating(plain(type_)):
        return "pandas makes doubles of integers with nulls: convert the column to Int64"
    return "correct the type in the policy, or the source"


def _missing(field: Declared, have: dict[Part, pa.DataType], where: str | None) -> Finding:
    hint = _meant(str(field.pointer.parts[-1]), [str(part) for part in have if part is not STAR])
    message = f"{field.pointer} is declared as {field.type}, the source does not have it"
    return Finding("S001", message, file=where, field=field.key, hint=hint or "declare it with `optional: true`")


def _meant(name: str, names: Sequence[str]) -> str:
    same = [other for other in names if other.lower() == name.lower()]
    if same:
        return f"did you mean {same[0]!r}? names are case-sensitive"
    close = get_close_matches(name, [other for other in names if _NAME.fullmatch(other)], 1, cutoff=0.75)
    return f"did you mean {close[0]!r}?" if close else ""


def _fields(node: Node) -> Iterator[Declared]:
    if node.declared is not None:
        yield node.declared
    for child in node.children.values():
        yield from _fields(child)


def _anything(node: Node) -> Declared:
    return next(_fields(node))


def _extra(type_: pa.DataType, node: Node, above: tuple[Part, ...]) -> Iterator[tuple[Part, ...]]:
    if not node.children:
        return
    for part, field in steps(type_):
        child = node.child(part)
        if child is None:
            yield (*above, part)
        else:
            yield from _extra(field.type, child, (*above, part))


__all__ = ["check", "prune", "refuse", "undeclared", "unified"]
