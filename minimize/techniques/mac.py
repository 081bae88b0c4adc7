"""HMAC-SHA-256 (RFC 2104) with the key and the beginning of the message prepared, so that each value costs two hash copies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK = 64


class Mac:
    """A keyed hash that has taken in a beginning. It holds hash states, not the key, and prints as nothing more."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, inner: _Hash, outer: _Hash) -> None:
        self._inner = inner
        self._outer = outer

    @classmethod
    def keyed(cls, key: bytes) -> Mac:
        """With a key and nothing taken in.

        >>> Mac.keyed(b"Jefe").digest(b"what do ya want for nothing?").hex()[:16]
        '5bdcc146bf60754e'
        """
        block = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        return cls(inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block)))

    def after(self, beginning: bytes) -> Mac:
        """The same with more taken in."""
        inner = self._inner.copy()
        inner.update(beginning)
        return Mac(inner, self._outer)

    def digest(self, rest: bytes) -> bytes:
        """The hash of what was taken in and the rest: 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.digest()

    def digests(self, values: Iterable[bytes]) -> list[bytes]:
        """The hash of each value after its length (eight bytes)."""
        return digests_after({0: self}, repeat(0), values)

    def __repr__(self) -> str:
        return "Mac()"


def digests_after(begun: Mapping[int, Mac], which: Iterable[int], values: Iterable[bytes]) -> list[bytes]:
    """The hash of each value after its length (eight bytes) and what the one of these states has taken in that is its own.

    Takes states under one key. A loop over distinct values, kept tight.
    """
    if not begun:
        return []
    starts = {place: mac._inner.copy for place, mac in begun.items()}
    finish = next(iter(begun.values()))._outer.copy
    found = []
    for place, value in zip(which, values, strict=False):
        inner, outer = starts[place](), finish()
        inner.update(len(value).to_bytes(8, "big") + value)
        outer.update(inner.digest())
        found.append(outer.digest())
    return found
