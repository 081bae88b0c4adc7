"""What the values of a field are, as a document says by `format` or `pattern`: a kind of `drafting.kinds`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email": "email",
        "idn-email": "email",
        "ipv4": "ip",
        "ipv6": "ip",
        "uuid": "uuid",
        "guid": "uuid",
        "uniqueidentifier": "uuid",
        "uri": "url",
        "iri": "url",
        "uri-reference": "url",
        "md5": "hash",
        "sha1": "hash",
        "sha256": "hash",
        "sha512": "hash",
        "jwt": "token",
    }
)
_HEX: Final = r"(?:\[[^\]]*(?:a-f|A-F|xdigit)[^\]]*\]+|\[\\dabcdefABCDEF]+\]|\\h)"
_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "uuid": re.compile(r"\{8\}.{0,80}\{4\}.{0,200}\{12\}"),
        "hash": re.compile(rf"{_HEX}\{{(?:32|40|56|64|96|128)\}}"),
        "token": re.compile(r"^\^?\(?eyJ"),
    }
)
"""How schemas write the patterns of such values. The document's own pattern is read, never run."""


def kind_of(formats: Collection[str], patterns: Collection[str] = ()) -> tuple[str | None, str]:
    """The kind of the values, and why, in words for a remark; (None, "") where the document says nothing of that.

    >>> kind_of(["uuid"]), kind_of([], ["^[0-9a-f]{64}$"])
    (('uuid', 'its format is `uuid`'), ('hash', 'its pattern is that of a hash'))
    """
    for given in sorted(formats):
        if given in _FORMATS:
            return _FORMATS[given], f"its format is `{given}`"
    for kind, written in _PATTERNS.items():
        if any(written.search(pattern[:_LONGEST]) for pattern in patterns):
            return kind, f"its pattern is that of a {kind}"
    return None, ""


_LONGEST: Final = 1000
"""Characters of a pattern that are looked at."""
