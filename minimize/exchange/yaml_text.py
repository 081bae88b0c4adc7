"""Plain data as YAML that every reader reads the same way: names as they are where that is safe, all texts in quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from minimize.policy.init import quoted

_OTHERS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that a reader of some version of YAML takes for no text."""


def yaml_text(body: Mapping[str, Any]) -> str:
    """The document.

    >>> print(yaml_text({"kind": "DataContract", "schema": [{"name": "on", "rows": 3}], "tags": []}), end="")
    kind: "DataContract"
    schema:
    - name: "on"
      rows: 3
    tags: []
    """
    return "".join(f"{line}\n" for line in _mapping(body))


def document_text(body: Mapping[str, Any], as_json: bool) -> str:
    """The document as JSON where that is wanted, else as YAML."""
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n" if as_json else yaml_text(body)


def _mapping(body: Mapping[str, Any]) -> Iterator[str]:
    for key, value in body.items():
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) and key.lower() not in _OTHERS
        name = key if plain else quoted(key)
        yield from _under(f"{name}:", value)


def _under(head: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping | list) or not value:
        yield f"{head} {_scalar(value)}"
        return
    yield head
    if isinstance(value, Mapping):
        yield from (f"  {line}" for line in _mapping(value))
    else:
        yield from _list(value)


def _list(items: list[Any]) -> Iterator[str]:
    for item in items:
        lines = list(_mapping(item)) if isinstance(item, Mapping) and item else [_scalar(item)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _scalar(value: Any) -> str:
    """A text in quotes; numbers, booleans, null and what is empty as JSON writes them."""
    return quoted(value) if isinstance(value, str) else json.dumps(value)
