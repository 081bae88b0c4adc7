"""Reading a document: JSON or YAML 1.2, as plain data; what is wrong with it is said without what stands in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from minimize.errors import ConfigurationError, PolicyError
from minimize.policy.faults import Faults
from minimize.policy.yaml import content_of, parse

LARGEST: Final = 16 << 20
"""Bytes of a document; schemas that people write are far smaller."""


def document_of(path: Path) -> Any:
    """What a file says, as mappings, lists and scalars. Raises PolicyError where it cannot be read."""
    faults = Faults(str(path))
    if path.is_file() and path.stat().st_size > LARGEST:
        raise ConfigurationError(f"{path} is too large for a schema or contract", hint="16 MiB at most")
    content = content_of(path, faults)
    found: Any = None
    if content is not None and path.suffix.lower() == ".json":
        found = _json(content, faults)
    elif content is not None:
        root = parse(content.decode("utf-8-sig"), faults)
        found = None if root is None else root.plain()
    if faults.found:
        raise PolicyError("the document cannot be read", findings=faults.found)
    return found


def _json(content: bytes, faults: Faults) -> Any:
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


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else nothing."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """The value where it is a list, else nothing."""
    return value if isinstance(value, list | tuple) else ()


def text(value: Any) -> str:
    """The value where it is text, in one line; else nothing."""
    return " ".join(value.split()) if isinstance(value, str) else ""
