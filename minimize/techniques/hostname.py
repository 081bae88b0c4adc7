"""What a host name may look like (RFC 1123, RFC 5890 for letters beyond ASCII), in lower case."""

from __future__ import annotations

import re
import unicodedata

_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")


def hostname(text: str) -> str | None:
    """The name in lower case and without its final dot, or None where it is none.

    >>> hostname("WWW.Example.com."), hostname("two words"), hostname("a..b")
    ('www.example.com', None, None)
    """
    name = unicodedata.normalize("NFC", text.lower()).removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        return None
    return name
