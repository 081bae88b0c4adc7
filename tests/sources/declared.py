"""Fields as a policy declares them to a source."""

from __future__ import annotations

from minimize.arrow.pointers import Pointer
from minimize.sources.base import DeclaredField


def declared(key: str, word: str, **more: bool) -> DeclaredField:
    """A field with the word of its type."""
    return DeclaredField(key, Pointer.parse(key), word, **more)
