"""What a `$ref` leads to: a pointer, an anchor or an `$id` of the same file. Nothing is fetched, and no other file is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from minimize.errors import ConfigurationError
from minimize.exchange.json_schema.dialects import Dialect

_DATA: Final = frozenset({"enum", "const", "default", "examples", "example"})
"""Keywords whose values are no schemas, whatever stands in them."""


@dataclass(frozen=True, slots=True)
class References:
    """The places of one document that can be referred to.

    bases  the base URI of each mapping of the document, by its identity
    names  schemas by URI, and by URI with an anchor
    """

    dialect: Dialect
    root: Any
    bases: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Any, dialect: Dialect) -> References:
        """The places of a document."""
        bases: dict[int, str] = {}
        names: dict[str, Any] = {"": root}
        for base, node in _walk(root, "", dialect):
            bases[id(node)] = base
            for name in _names_of(node, base, dialect):
                names.setdefault(name, node)
        return cls(dialect, root, bases, names)

    def resolved(self, ref: str, at: Mapping[str, Any]) -> Any:
        """What a reference that stands in a schema leads to. Raises ConfigurationError where that is not in the file."""
        uri, fragment = _joined(self.bases.get(id(at), ""), ref)
        whole = self.names.get(uri)
        if whole is None and uri.rstrip("#") == "":
            whole = self.root
        found = None
        if whole is not None:
            named = self.names.get(f"{uri}#{fragment}") if fragment and not fragment.startswith("/") else None
            found = named if named is not None else _pointed(whole, unquote(fragment))
        if found is None:
            hint = "definitions of other files and addresses are not read: put them into the file"
            raise ConfigurationError("a `$ref` leads to nothing in the file", hint=hint)
        return found


def _joined(base: str, ref: str) -> tuple[str, str]:
    """A URI reference against its base, and its fragment; what is no URI is a name as it is written."""
    try:
        uri, fragment = urldefrag(urljoin(base, ref))
    except ValueError:
        uri, fragment = ref, ""
    return uri, fragment


def _walk(node: Any, base: str, dialect: Dialect) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping of the document with the base URI that counts in it; a walk of its own stack, for depth is not ours."""
    waiting: list[tuple[Any, str]] = [(node, base)]
    while waiting:
        each, above = waiting.pop()
        if isinstance(each, dict):
            own = each.get(dialect.id)
            here = _joined(above, own)[0] if isinstance(own, str) and not own.startswith("#") else above
            yield here, each
            waiting.extend((below, here) for key, below in each.items() if key not in _DATA)
        elif isinstance(each, list | tuple):
            waiting.extend((below, above) for below in each)


def _names_of(node: Mapping[str, Any], base: str, dialect: Dialect) -> Iterator[str]:
    own = node.get(dialect.id)
    if isinstance(own, str):
        yield base if not own.startswith("#") else f"{base}{own}"
    for keyword in ("$anchor", "$dynamicAnchor") if dialect.anchors else ():
        if isinstance(node.get(keyword), str):
            yield f"{base}#{node[keyword]}"


def _pointed(node: Any, pointer: str) -> Any:
    """What a JSON Pointer leads to; None where there is nothing."""
    for part in pointer.split("/")[1:] if pointer.startswith("/") else ([] if not pointer else [None]):
        if part is None:
            return None
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list | tuple) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node
