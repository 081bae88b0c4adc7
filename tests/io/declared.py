"""Fields as a policy declares them to a source."""

from __future__ import annotations

from minimize.io.base import Declared
from minimize.pointer import Pointer


def declared(key: str, word: str, **more: bool) -> Declared:
    """A field with the word of its type."""
    return Declared(key, Pointer.parse(key), word, **more)
