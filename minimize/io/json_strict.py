"""One line of NDJSON at a time, strictly (RFC 8259, RFC 7493): the reader that decides what a record is.

Malformed is a line that is no object, that is not UTF-8, names a key twice at any depth, holds half of a surrogate pair or a
literal that JSON does not have (NaN, Infinity), or nests deeper than 128. Numbers keep their text until a type asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isinf
from typing import Any

import pyarrow as pa

from minimize.canonical import is_blank
from minimize.io.base import Code, Declared, Request
from minimize.io.forbidden import forbidden_key, rule_of
from minimize.io.ids import value_at
from minimize.io.shape import Node
from minimize.io.text import exactly, one
from minimize.io.types import decimal_digits, family
from minimize.pointer import STAR, Part

DEPTH = 128
"""The deepest nesting of a record."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Whole(str):
    """The text of a number without fraction or exponent."""

    __slots__ = ()


class Broken(str):
    """The text of a number with a fraction or an exponent."""

    __slots__ = ()


class Malformed(Exception):
    """A line that is no record; says nothing of what is in it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first fault of a record, with the policy's pointer where a field has it."""

    code: Code
    field: str | None = None


def fault(record: Mapping[str, Any], request: Request, root: Node) -> Fault | None:
    """The first fault of a record that parsed: forbidden, then wrong type or time, then missing."""
    for pointer in request.never:
        if any(value is not None for value in reached(record, pointer.parts)):
            return Fault("forbidden_field", str(pointer))
    name = forbidden_key(record, request.any_depth)
    if name is not None:
        return Fault("forbidden_field", rule_of(name))
    for declared in request.fields:
        code = _mistyped(record, root, declared, 0)
        if code is not None:
            return Fault(code, str(declared.pointer))
    for declared in request.fields:
        blank = declared.pointer in request.ids and is_blank(value_at(record, declared.pointer))
        if declared.required and (blank or lacks(record, declared.pointer.parts)):
            return Fault("missing_field", str(declared.pointer))
    return None


def parse(line: bytes) -> dict[str, Any]:
    """A line as an object, numbers as their text. Raises Malformed."""
    record = None
    try:
        if depth(line) <= DEPTH:
            record = _DECODER.decode(line.decode("utf-8"))
            _check_surrogates(line, record)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise Malformed
    return record


def depth(line: bytes) -> int:
    """How deep a line nests; more than it does at most where it is no JSON. Cheap for all but long lists of objects."""
    opening = line.count(b"{") + line.count(b"[")
    if opening <= DEPTH:
        return opening
    deepest = level = 0
    for mark in _STRING.sub(b"", line).translate(None, _NO_BRACKETS):
        level += (mark in b"{[") - (mark in b"}]")
        deepest = max(deepest, level)
    return deepest


def undeclared(record: Mapping[str, Any], root: Node) -> set[tuple[Part, ...]]:
    """The paths of a record that nobody declared, each at its top; null counts as absent."""
    return set(_extra(record, root, ()))


def build(value: Any, node: Node, type_: pa.DataType) -> Any:
    """A checked value as Arrow takes it for this type: declared parts only."""
    if value is None:
        return None
    if pa.types.is_struct(type_):
        return {part.name: build(value.get(part.name), node.children[part.name], part.type) for part in type_}
    if pa.types.is_map(type_):
        return [(key, build(item, _below(node), type_.item_type)) for key, item in _keyed(value, type_)]
    if pa.types.is_list(type_):
        return [build(item, _below(node), type_.value_type) for item in value]
    return None if pa.types.is_null(type_) or node.declared is None else convert(value, node.declared.type)


def convert(value: Any, word: str) -> Any:
    """A JSON value as Arrow takes it for a policy's type; None where it is of another type, or no time."""
    return convert_by(word)(value, word)


def convert_by(word: str) -> Callable[[Any, str], Any]:
    """What converts to a policy's type; for a container it gives None always."""
    return _VALUES.get(word) or _VALUES.get(family(word)) or _nothing


def _mistyped(value: Any, node: Node, declared: Declared, at: int) -> Code | None:
    if value is None:
        return None
    parts = declared.pointer.parts
    if at == len(parts):
        return _judged(value, declared.type)
    part = parts[at]
    below = node.children[part]
    if part is not STAR:
        return _mistyped(value.get(part), below, declared, at + 1) if isinstance(value, dict) else "wrong_type"
    if not isinstance(value, dict if node.mapped else list):
        return "wrong_type"
    inner = value.values() if isinstance(value, dict) else value
    return next((code for item in inner if (code := _mistyped(item, below, declared, at + 1))), None)


def _judged(value: Any, word: str) -> Code | None:
    container = CONTAINERS.get(word)
    if container is not None:
        return None if isinstance(value, container) else "wrong_type"
    if convert(value, word) is not None:
        return None
    return "bad_time" if _is_text(value) and word in ("timestamp", "date") else "wrong_type"


def lacks(value: Any, parts: tuple[Part, ...]) -> bool:
    """Whether there is nothing at a path of a value whose containers are what they should be; below a star, in any element."""
    if value is None or not parts:
        return value is None
    if parts[0] is STAR:
        return any(lacks(item, parts[1:]) for item in (value.values() if isinstance(value, dict) else value))
    return lacks(value.get(parts[0]), parts[1:])


def anywhere(value: Any, parts: tuple[Part, ...]) -> Iterator[Any]:
    """The values at a path, whatever the containers are."""
    if not parts:
        yield value
    elif parts[0] is STAR:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in inner:
            yield from anywhere(item, parts[1:])
    elif isinstance(value, dict) and parts[0] in value:
        yield from anywhere(value[parts[0]], parts[1:])


def reached(value: Any, parts: tuple[Part, ...]) -> Iterator[Any]:
    """The values at a path, whatever the containers are; a name goes through lists, too."""
    if parts and parts[0] is not STAR and isinstance(value, list):
        for item in value:
            yield from reached(item, parts)
    elif not parts:
        yield value
    elif parts[0] is STAR and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from reached(item, parts[1:])
    elif isinstance(value, dict) and parts[0] in value:
        yield from reached(value[parts[0]], parts[1:])


def _extra(value: Any, node: Node, above: tuple[Part, ...]) -> Iterator[tuple[Part, ...]]:
    below = node.children.get(STAR)
    if below is not None:
        for item in value.values() if isinstance(value, dict) else value:
            if item is not None and below.children:
                yield from _extra(item, below, (*above, STAR))
        return
    for key, item in value.items() if isinstance(value, dict) else ():
        child = node.children.get(key)
        if item is not None and child is None:
            yield (*above, key)
        elif item is not None and child is not None and child.children:
            yield from _extra(item, child, (*above, key))


def _below(node: Node) -> Node:
    return node.children.get(STAR) or Node()


def _keyed(value: Mapping[str, Any], type_: pa.MapType) -> Iterator[tuple[str, Any]]:
    hollow = pa.types.is_null(type_.item_type)
    return (("" if hollow else key, item) for key, item in value.items())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        raise ValueError("a key stands twice")
    return held


def _no_constant(name: str) -> Any:
    raise ValueError("a literal that JSON does not have")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=Whole, parse_float=Broken, parse_constant=_no_constant)


def _check_surrogates(line: bytes, record: Any) -> None:
    """Raises ValueError where half of a surrogate pair was written as an escape."""
    if b"\\u" in line and _SURROGATE.search(line):
        json.dumps(record, ensure_ascii=False).encode("utf-8")


def _is_text(value: Any) -> bool:
    return type(value) is str


def _string(value: Any, word: str) -> str | None:
    return value if _is_text(value) else None


def _nothing(value: Any, word: str) -> None:
    return None


def _read(value: Any, word: str) -> Any:
    return one(value, word) if _is_text(value) else None


def _boolean(value: Any, word: str) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: Any, word: str) -> int | None:
    return one(str(value), "integer") if type(value) is Whole else None


def _double(value: Any, word: str) -> float | None:
    if type(value) not in (Whole, Broken):
        return None
    number = float(value)
    return None if isinf(number) else number


def _decimal(value: Any, word: str) -> Decimal | None:
    digits = decimal_digits(word)
    if digits is None or type(value) not in (Whole, Broken) or len(value) > 400:
        return None
    return exactly(Decimal(value), *digits)


CONTAINERS: Mapping[str, type] = {"list": list, "struct": dict, "map": dict}
_VALUES: Mapping[str, Callable[[Any, str], Any]] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "double": _double,
    "decimal": _decimal,
    "timestamp": _read,
    "date": _read,
    "binary": _read,
}
