"""JSON Pointer (RFC 6901), with `*` for every element of a list or every key of a map.

A field's key in a policy is a column name or a pointer; both become a `Pointer`. A literal star is `~2`. The keys of a map
are a separate field, whose pointer ends in `~keys`.

>>> Pointer.parse("/apps/*/name").parts == ("apps", STAR, "name")
True
>>> str(Pointer.parse("plain.name"))
'/plain.name'
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final


class Star(Enum):
    """The part of a pointer that matches every element or key."""

    STAR = "*"

    def __repr__(self) -> str:
        return "STAR"


STAR = Star.STAR


class MapKeys(Enum):
    """The part of a pointer that denotes the keys of a map."""

    KEYS = "~keys"

    def __repr__(self) -> str:
        return "KEYS"


class AnyDepth(Enum):
    """The first part of a pointer that matches a key at any depth. Only forbidden paths have it."""

    ANY_DEPTH = "**"

    def __repr__(self) -> str:
        return "ANY_DEPTH"


KEYS = MapKeys.KEYS
ANY_DEPTH = AnyDepth.ANY_DEPTH
PointerPart = str | Star | MapKeys | AnyDepth
MAX_PARTS: Final = 32
"""Maximum number of parts of a pointer: deep enough for nested records, and far below the limits of Parquet readers."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """The path of a value in a record, from the top-level name down."""

    parts: tuple[PointerPart, ...]

    @classmethod
    def parse(cls, key: str) -> Pointer:
        """A column name, or (with a leading slash) an RFC 6901 pointer.

        Raises ValueError for an empty key, a leading star, an invalid `~` escape, and too many parts.
        """
        return _parse(key)

    @classmethod
    def parse_forbidden(cls, text: str) -> Pointer:
        """An entry of `never` in a policy: a word means a key of that name at any depth, a pointer means one path.

        Raises ValueError as `parse` does.

        >>> str(Pointer.parse_forbidden("password")), str(Pointer.parse_forbidden("/device/notes"))
        ('/**/password', '/device/notes')
        """
        pointer = cls.parse(text)
        return pointer if text.startswith("/") else cls((ANY_DEPTH, *pointer.parts))

    @property
    def name_at_any_depth(self) -> str | None:
        """The key's name, if the pointer matches that key at any depth."""
        return str(self.parts[1]) if self.parts[0] is ANY_DEPTH else None

    @property
    def forbidden_text(self) -> str:
        """The text that `parse_forbidden` parses to this pointer."""
        return self.name_at_any_depth or str(self)

    def __str__(self) -> str:
        return "".join("/" + (_escape(part) if isinstance(part, str) else part.value) for part in self.parts)

    @property
    def top(self) -> str:
        """The name of the top-level column."""
        return str(self.parts[0])

    @property
    def is_flat(self) -> bool:
        """Whether the pointer is a plain column."""
        return len(self.parts) == 1

    @property
    def stars(self) -> tuple[Pointer, ...]:
        """The prefixes that end in a star, outermost first: the lists (or maps) that contain the value.

        A map contains its keys as it contains its values.
        """
        return tuple(
            Pointer((*self.parts[:index], STAR)) for index, part in enumerate(self.parts) if not isinstance(part, str)
        )

    @property
    def is_keys(self) -> bool:
        """Whether the pointer denotes the keys of a map."""
        return self.parts[-1:] == (KEYS,)

    @property
    def keys(self) -> Pointer:
        """The keys of the map at this path."""
        return Pointer((*self.parts, KEYS))

    def within(self, outer: Pointer) -> bool:
        """Whether this pointer is `outer` or below it."""
        return self.parts[: len(outer.parts)] == outer.parts

    def covers(self, inner: Pointer) -> bool:
        """Whether the other is this pointer or below it. Lists on the way are ignored.

        >>> Pointer.parse("/deep/forbidden").covers(Pointer.parse("/deep/*/forbidden/x"))
        True
        >>> Pointer.parse_forbidden("forbidden").covers(Pointer.parse("/deep/*/forbidden/x"))
        True
        """
        if self.name_at_any_depth is not None:
            return self.name_at_any_depth in inner.parts
        at = 0
        for part in inner.parts:
            if at < len(self.parts) and self.parts[at] in (part, STAR):
                at += 1
            elif at < len(self.parts) and part is not STAR:
                return False
        return at == len(self.parts)


def _escape(part: str) -> str:
    return part.replace("*", "~2") if part in ("*", "**") else part.replace("~", "~0").replace("/", "~1")


@lru_cache(maxsize=4096)
def _parse(key: str) -> Pointer:
    if not key:
        raise ValueError("the key of a field is empty")
    if not key.startswith("/"):
        return Pointer((key,))
    parts = tuple(_unescape(part) for part in key[1:].split("/"))
    if not isinstance(parts[0], str) or not parts[0] or KEYS in parts[:-1]:
        raise ValueError("a pointer must start with the name of a column")
    if len(parts) > MAX_PARTS:
        raise ValueError(f"a pointer may have at most {MAX_PARTS} parts")
    return Pointer(parts)


def _unescape(part: str) -> PointerPart:
    if part == "*":
        return STAR
    if part == KEYS.value:
        return KEYS
    if any(follow not in "012" for follow in _escaped_characters(part)):
        raise ValueError("unknown escape in a pointer. The escapes are ~0 (tilde), ~1 (slash) and ~2 (star)")
    return part.replace("~2", "*").replace("~1", "/").replace("~0", "~")


def _escaped_characters(part: str) -> list[str]:
    return [part[index + 1 : index + 2] or " " for index, char in enumerate(part) if char == "~"]
