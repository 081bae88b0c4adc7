"""How the names of input files are shown: a keyed hash in place of what may be a value."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from minimize.io.find import partition_of
from minimize.techniques.patterns import find
from minimize.techniques.redact import ALL

_SHOWN: Final = re.compile(r"(?:\]|=)#(?:[0-9a-f]{16}|\?)\Z")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Veil:
    """Shows folders and files by their names, but for two kinds.

    A Hive partition is shown as `key=#hash`, unless its field is plain and no `redact` pattern hits the value. Any other name
    that a pattern hits is shown as `[email]#hash`, with the hash of the exact path. Names that differ are shown differently;
    without a key a question mark stands for each hash.
    """

    key: bytes = field(repr=False)
    plain: Collection[str] = ()

    def __call__(self, part: str, path: str) -> str:
        """What to show of the last part of a path."""
        partition = partition_of(part)
        if partition is None:
            hit = _hit(part)
            return part if hit is None else f"[{hit}]#{self._hash(path)}"
        name, value = partition
        if name in self.plain and _hit(value) is None:
            return part
        return f"{name}=#{self._hash(f'{name}={value}')}"

    @property
    def ranking_salt(self) -> bytes:
        """What undeclared names are hashed with. Workers get it; the key does not follow from it."""
        return hmac.new(self.key, b"undeclared names", hashlib.sha256).digest() if self.key else b""

    def again(self, name: str) -> str:
        """A name that a receipt recorded, as it is shown today: earlier versions showed some that a pattern hits."""
        parts = name.split("/")
        paths = ("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        return "/".join(
            part if _SHOWN.search(part) else self(part, path) for part, path in zip(parts, paths, strict=True)
        )

    def _hash(self, text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        return hmac.new(self.key, data, hashlib.sha256).hexdigest()[:16] if self.key else "?"


def _hit(name: str) -> str | None:
    """The first pattern that finds something in a name; its dates are not looked at."""
    text = _DAY.sub(" ", name)
    return next((pattern for pattern in ALL if find(text, pattern)), None)
