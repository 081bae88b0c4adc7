"""The words of contracts and of policies for the same things: types, roles, lengths of time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from minimize.exchange.documents import listed, mapping, text
from minimize.policy.model import Role

VERSION: Final = "v3.1.0"
OWN: Final = "minimize"
"""What the names of our own properties begin with: `minimizeRole`, `minimizePurposes`, …"""

LOGICAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": "string",
        "boolean": "boolean",
        "integer": "integer",
        "double": "number",
        "timestamp": "timestamp",
        "date": "date",
        "binary": "string",
        "list": "array",
        "map": "object",
        "struct": "object",
    }
)
"""A policy's type as a contract's logical type; what is not the first of its kind also stands as `minimizeType`."""
TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": "string",
        "boolean": "boolean",
        "integer": "integer",
        "number": "double",
        "timestamp": "timestamp",
        "date": "date",
        "time": "string",
    }
)
_PHYSICAL: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"(var|n|nvar)?char.*|text|string|clob|uuid": "string",
        r"(tiny|small|big)?int(eger)?(32|64)?|long|serial": "integer",
        r"double.*|float.*|real|number": "double",
        r"bool(ean)?|bit": "boolean",
        r"timestamp.*|datetime.*": "timestamp",
        r"date": "date",
        r"(var)?binary.*|blob|bytea|bytes": "binary",
    }
)
CLASSES: Final[Mapping[str, Role]] = MappingProxyType(
    {"restricted": "sensitive", "confidential": "quasi", "pii": "identifier", "secret": "secret"}
)
"""Classifications that tell a role; the house's own words do not."""
CLASSED: Final[Mapping[Role, str]] = MappingProxyType(
    {
        "identifier": "pii",
        "quasi": "confidential",
        "sensitive": "restricted",
        "free_text": "restricted",
        "secret": "secret",
        "plain": "internal",
    }
)
_UNITS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        r"d|days?": ("d", 1),
        r"w|weeks?": ("w", 1),
        r"h|hrs?|hours?": ("h", 1),
        r"mo|months?": ("d", 30),
        r"y|yrs?|years?": ("d", 365),
    }
)


def type_of(said: Mapping[str, Any]) -> str | None:
    """The policy's type of a property that is no object and no array; None for one that a policy has no word for."""
    own = own_of(said).get("Type")
    logical = text(said.get("logicalType"))
    if isinstance(own, str) and own:
        return own
    if logical:
        return TYPES.get(logical)
    physical = text(said.get("physicalType")).lower()
    decimal = re.fullmatch(r"(?:decimal|numeric|number)\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", physical)
    if decimal:
        return f"decimal({int(decimal[1])},{int(decimal[2] or 0)})"
    return next((word for pattern, word in _PHYSICAL.items() if re.fullmatch(pattern, physical)), None)


def own_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """Our own properties of a contract, an object or a property, without what their names begin with."""
    found = (mapping(each) for each in listed(said.get("customProperties")))
    return {
        text(each.get("property")).removeprefix(OWN): each.get("value")
        for each in found
        if text(each.get("property")).startswith(OWN)
    }


def own(facts: Mapping[str, Any]) -> dict[str, Any]:
    """These facts as our own properties; nothing where there are none."""
    said = [
        {"property": f"{OWN}{name}", "value": value} for name, value in facts.items() if value not in ("", None, [], {})
    ]
    return {"customProperties": said} if said else {}


def retention_text(value: Any, unit: str) -> str | None:
    """A length of time as a policy writes it; None for one that it cannot.

    >>> retention_text(3, "y"), retention_text("30", "days"), retention_text(1, "moon")
    ('1095d', '30d', None)
    """
    number = int(value) if re.fullmatch(r"[0-9]{1,6}", str(value)) else 0
    found = next((each for pattern, each in _UNITS.items() if re.fullmatch(pattern, unit.strip().lower())), None)
    return f"{number * found[1]}{found[0]}" if found and number else None


def retention_of(span: timedelta) -> dict[str, Any]:
    """A length of time as a contract says it, in its largest whole unit."""
    seconds = int(span.total_seconds())
    unit, size = next(((unit, size) for unit, size in (("d", 86400), ("h", 3600)) if seconds % size == 0), ("s", 1))
    return {"value": seconds // size, "unit": unit}
