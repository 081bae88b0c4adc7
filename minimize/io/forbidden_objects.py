"""Keys that must not arrive, in columns of Python objects: what data frames hold and Arrow has no type for.

Keys are sought in mappings, lists, tuples, sets, arrays, dataclasses, frames and series, at any depth. The first value of a pair
counts as a key, because maps are written so. An object of an unknown class could hold anything, so its record is rejected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import numpy as np

from minimize.io.forbidden import rule_of
from minimize.io.rows import Fault, Mask

_PLAIN: Final = frozenset({type(None), str, bytes, bool, int, float, Decimal, date, datetime, time, timedelta, UUID})
"""Types of values that hold no keys. A column of nothing else is not looked at value by value."""
_TEXT: Final = frozenset({str})
_SCALARS: Final = (
    *(str, bytes, bytearray, int, float, complex, Decimal, Fraction, date, time, timedelta, tzinfo, UUID),
    *(np.generic, range, PurePath, IPv4Address, IPv6Address, type(None)),
)
_NULLS: Final = frozenset({"NAType", "NaTType"})
_PANDAS_SCALARS: Final = _NULLS | {"Period", "Interval"}
_UNKNOWN: Final = ""
"""The verdict on an object that cannot be looked into."""
_Content = tuple[Iterable[tuple[Any, Any]], Iterable[Any]]


def object_faults(values: Sequence[Any], names: Sequence[str], *, closed: bool = False) -> list[Fault]:
    """The records whose object has one of these keys with a value that is not null, or cannot be looked into.

    If the column is `closed`, no object in it is looked into.
    """
    if _PLAIN.issuperset(map(type, values)):
        return []
    distinct = {id(value): value for value in values if type(value) not in _PLAIN}
    verdicts = {key: _UNKNOWN if closed else _verdict(value, names) for key, value in distinct.items()}
    masks: dict[str, Mask] = {}
    for row, value in enumerate(values):
        verdict = verdicts.get(id(value))
        if verdict is not None:
            masks.setdefault(verdict, np.zeros(len(values), bool))[row] = True
    return [Fault("forbidden_field", verdict or None, mask) for verdict, mask in masks.items()]


def _verdict(value: Any, names: Sequence[str]) -> str | None:
    """The rule that an object breaks, if any. What fails when it is looked into is unknown."""
    wanted = frozenset(names)
    if _is_free(value, wanted):
        return None
    found = {_UNKNOWN}
    with suppress(Exception):
        found = set(_found(value, wanted))
    name = next((name for name in names if name in found), None)
    return rule_of(name) if name is not None else _UNKNOWN if _UNKNOWN in found else None


def _is_free(value: Any, names: frozenset[str], depth: int = 8) -> bool:
    """Whether a value as JSON has it is sure to have none of the keys. Much faster than `_found`, for the usual value."""
    items = value
    if type(value) is dict:
        if not names.isdisjoint(value) or not _TEXT.issuperset(map(type, value)):
            return False
        items = value.values()
    elif type(value) is not list:
        return type(value) in _PLAIN
    return _PLAIN.issuperset(map(type, items)) or (
        depth > 0 and all(_is_free(item, names, depth - 1) for item in items)
    )


def _found(value: Any, names: frozenset[str]) -> Iterator[str]:
    seen: dict[int, Any] = {}  # holds what it has seen, so that no id is used twice
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if _is_scalar(inner) or id(inner) in seen:
            continue
        seen[id(inner)] = inner
        content = _content(inner)
        if content is None:
            yield _UNKNOWN
            continue
        for key, item in content[0]:
            if not _is_null(item):
                yield from names.intersection(_words(key))
            waiting += (key, item)
        waiting += content[1]


def _content(value: Any) -> _Content | None:
    """What an object holds under keys, and what it holds without; None if it cannot be looked into."""
    if isinstance(value, Mapping):
        return value.items(), ()
    if isinstance(value, np.ndarray | np.void) and value.dtype.names:
        return [(name, value[name]) for name in value.dtype.names], ()
    if isinstance(value, np.ndarray):
        return (), value.ravel().tolist() if value.dtype.hasobject else ()
    if is_dataclass(value) and not isinstance(value, type):
        return [(each.name, getattr(value, each.name)) for each in fields(value)], ()
    if isinstance(value, tuple):
        named = zip(getattr(value, "_fields", ()), value, strict=False)
        return [*named, *([(value[0], value[1])] if len(value) == 2 else [])], value
    if isinstance(value, list | set | frozenset | deque):
        return (), value
    if isinstance(value, Enum):
        return [(value.name, value.value)], ()
    return _foreign(value)


def _foreign(value: Any) -> _Content | None:
    """The content of an object of pandas, Polars or pyarrow, none of which needs to be installed."""
    root = type(value).__module__.split(".")[0]
    if root == "pandas" and type(value).__name__ in _PANDAS_SCALARS:
        return (), ()
    if root not in ("pandas", "polars", "pyarrow"):
        return None
    for method in ("items", "to_pydict", "to_dict"):
        if hasattr(value, method):
            held = getattr(value, method)()
            return held.items() if isinstance(held, Mapping) else held, ()
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(value, method):
            return (), getattr(value, method)()
    return ((), (value.as_py(),)) if hasattr(value, "as_py") else None


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.void):
        return not value.dtype.names
    return isinstance(value, _SCALARS) and not isinstance(value, Enum)


def _is_null(value: Any) -> bool:
    return value is None or type(value).__name__ in _NULLS or (isinstance(value, float) and value != value)


def _words(key: Any) -> Iterator[str]:
    """The names that a key has: those of all levels, if it has several."""
    if isinstance(key, str):
        yield str(key)
    elif isinstance(key, bytes):
        yield key.decode("utf-8", "replace")
    elif isinstance(key, Enum):
        yield from (key.name, *_words(key.value))
    elif isinstance(key, tuple):
        for part in key:
            yield from _words(part)
