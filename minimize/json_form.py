"""Results as JSON: one conversion for dataclasses, models, times, paths and collections.

A dataclass becomes an object of its fields, in their order. `json_member` changes the key or the value of a field;
`json_names` lists the members of a class that also shows properties, or not all of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from minimize.times import time_text

_METADATA: Final = "json"
_FORMS: Final[Mapping[type, Callable[[Any], Any]]] = {
    datetime: time_text,
    date: date.isoformat,
    timedelta: lambda span: int(span.total_seconds()),
    PurePath: str,
    BaseModel: lambda model: model.model_dump(mode="json", by_alias=True),
}


class JsonResult:
    """A dataclass with a JSON form. `json_names` lists its members, separated by spaces, if they are not just its fields."""

    __slots__ = ()
    json_names: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return json_object(self)


def json_member(
    key: str | None = None,
    *,
    convert: Callable[[Any], Any] | None = None,
    omit_none: bool = False,
    omit_empty: bool = False,
    merge: bool = False,
) -> Mapping[str, Any]:
    """The metadata of a dataclass field whose member of the JSON object is not just its name and its value.

    Args:
        key: The key, if it is not the name of the field.
        convert: Computes what is shown from the value of the field, unless that is None.
        omit_none: Whether the member is absent if the value is None.
        omit_empty: Whether the member is absent if the value is false, zero or empty.
        merge: Whether the members of the value become members of this object.
    """
    member = SimpleNamespace(key=key, convert=convert, omit_none=omit_none, omit_empty=omit_empty, merge=merge)
    return {_METADATA: member}


OMIT_IF_NONE: Final = json_member(omit_none=True)
OMIT_IF_EMPTY: Final = json_member(omit_empty=True)


def json_object(result: Any) -> dict[str, Any]:
    """A mapping, or a dataclass by its `json_names` or its fields, as a JSON object. A key has no trailing underscore."""
    if isinstance(result, Mapping):
        return {json_value(key): json_value(each) for key, each in result.items()}
    body: dict[str, Any] = {}
    for name, member in _members(result.__class__):
        value = getattr(result, name)
        if (member.omit_none and value is None) or (member.omit_empty and not value):
            continue
        shown = json_value(value if member.convert is None or value is None else member.convert(value))
        body |= shown if member.merge else {member.key or name.rstrip("_"): shown}
    return body


@cache
def _members(kind: Any) -> list[tuple[str, SimpleNamespace]]:
    """The names of the attributes that a class shows, in order, and their `json_member`.

    Cached, because a receipt can have ten thousand parts: it halves the time.
    """
    known = {each.name: each.metadata for each in fields(kind)}
    names = getattr(kind, "json_names", "").split() or known
    return [(name, {**json_member(), **known.get(name, {})}[_METADATA]) for name in names]


def json_value(value: Any) -> Any:
    """A value as JSON: by its own `to_json` if it has one. Times are in UTC, durations are whole seconds, sets are sorted.

    >>> json_value({"at": datetime.fromisoformat("2026-11-25T01:00:00+01:00"), "files": {PurePath("b"), PurePath("a")}})
    {'at': '2026-11-25T00:00:00Z', 'files': ['a', 'b']}
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value) or isinstance(value, Mapping):
        return json_object(value)
    if isinstance(value, Set):
        return sorted(map(json_value, value))
    if isinstance(value, Sequence):
        return [json_value(each) for each in value]
    for kind, form in _FORMS.items():
        if isinstance(value, kind):
            return form(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
