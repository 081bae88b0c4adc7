"""The drafts of JSON Schema, and where they differ as far as names and types of fields go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from minimize.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Dialect:
    """One draft.

    id       the keyword that names a schema
    alone    whether what stands beside a `$ref` does not count
    anchors  whether `$anchor` names a place; before, an `$id` of a fragment alone did
    booleans whether `true` and `false` are schemas
    prefix   the keyword of the items of a tuple
    const    whether there is `const`
    content  whether `contentEncoding` says what a text holds
    branches whether there are `if`, `then` and `else`
    """

    name: str
    uri: str
    id: str = "$id"
    alone: bool = False
    anchors: bool = True
    booleans: bool = True
    prefix: str = "items"
    const: bool = True
    content: bool = True
    branches: bool = True


_OLD: Final = "http://json-schema.org/draft-0{}/schema"
_NEW: Final = "https://json-schema.org/draft/{}/schema"
DIALECTS: Final = (
    Dialect("2020-12", _NEW.format("2020-12"), prefix="prefixItems"),
    Dialect("2019-09", _NEW.format("2019-09")),
    Dialect("draft-07", _OLD.format(7), alone=True, anchors=False),
    Dialect("draft-06", _OLD.format(6), alone=True, anchors=False, content=False, branches=False),
    Dialect(
        "draft-04",
        _OLD.format(4),
        id="id",
        alone=True,
        anchors=False,
        booleans=False,
        const=False,
        content=False,
        branches=False,
    ),
)
"""The newest first: what says nothing of its draft is read as that."""


def dialect_of(schema: Any) -> Dialect:
    """The draft that a schema says it is of. Raises ConfigurationError for one that is not known.

    >>> dialect_of({"$schema": "http://json-schema.org/draft-07/schema#"}).name
    'draft-07'
    """
    said = schema.get("$schema") if isinstance(schema, dict) else None
    if said is None:
        return DIALECTS[0]
    plain = str(said).removesuffix("#").replace("https://", "http://")
    found = next((each for each in DIALECTS if each.uri.replace("https://", "http://") == plain), None)
    if found is None:
        known = ", ".join(each.uri for each in DIALECTS)
        raise ConfigurationError("`$schema` names a draft of JSON Schema that is not known", hint=f"one of {known}")
    return found
