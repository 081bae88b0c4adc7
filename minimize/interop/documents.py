"""Documents of exchange formats: read JSON or YAML 1.2 as plain data, write YAML that every reader understands alike.

Errors never quote the document. Written YAML has all texts in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError, PolicyError
from minimize.policy.draft_text import quote_yaml
from minimize.policy.faults import FaultList
from minimize.policy.yaml_nodes import parse_yaml, read_utf8

LARGEST_DOCUMENT: Final = 16 << 20
"""Bytes of a document; schemas that people write are far smaller."""


def read_document(path: Path) -> Any:
    """What a file says, as mappings, lists and scalars. Raises PolicyError where it cannot be read."""
    faults = FaultList(str(path))
    if path.is_file() and path.stat().st_size > LARGEST_DOCUMENT:
        raise ConfigurationError(f"{path} is too large for a schema or contract", hint="16 MiB at most")
    content = read_utf8(path, faults)
    found: Any = None
    if content is not None and path.suffix.lower() == ".json":
        found = _parse_json(content, faults)
    elif content is not None:
        root = parse_yaml(content.decode("utf-8-sig"), faults)
        found = None if root is None else root.to_data()
    if faults.found:
        raise PolicyError("the document cannot be read", findings=faults.found)
    return found


def _parse_json(content: bytes, faults: FaultList) -> Any:
    line: int | None = None
    try:
        found = json.loads(content)
        json.dumps(found, ensure_ascii=False).encode()  # a lone half of a character is no text
        return found
    except json.JSONDecodeError as error:
        line = error.lineno
    except (ValueError, RecursionError):
        pass
    faults.add("P001", "this is not valid JSON", line=line)
    return None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else nothing."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    """The value where it is a list, else nothing."""
    return value if isinstance(value, list | tuple) else ()


def as_text(value: Any) -> str:
    """The value where it is text, in one line; else nothing."""
    return " ".join(value.split()) if isinstance(value, str) else ""


_AMBIGUOUS_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
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
    return "".join(f"{line}\n" for line in _mapping_lines(body))


def document_text(body: Mapping[str, Any], as_json: bool) -> str:
    """The document as JSON where that is wanted, else as YAML."""
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n" if as_json else yaml_text(body)


def _mapping_lines(body: Mapping[str, Any]) -> Iterator[str]:
    for key, value in body.items():
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) and key.lower() not in _AMBIGUOUS_WORDS
        name = key if plain else quote_yaml(key)
        yield from _entry_lines(f"{name}:", value)


def _entry_lines(head: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping | list) or not value:
        yield f"{head} {_scalar_text(value)}"
        return
    yield head
    if isinstance(value, Mapping):
        yield from (f"  {line}" for line in _mapping_lines(value))
    else:
        yield from _list_lines(value)


def _list_lines(items: list[Any]) -> Iterator[str]:
    for item in items:
        lines = list(_mapping_lines(item)) if isinstance(item, Mapping) and item else [_scalar_text(item)]
        yield f"- {lines[0]}"
        yield from (f"  {line}" for line in lines[1:])


def _scalar_text(value: Any) -> str:
    """A text in quotes; numbers, booleans, null and what is empty as JSON writes them."""
    return quote_yaml(value) if isinstance(value, str) else json.dumps(value)
