"""Renames: a declared field that is gone and a new one of a like name and type in the same place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import Final

from minimize.drifting.model import Change
from minimize.pointer import Pointer

ALIKE: Final = 0.6
"""How alike two names are at least (0 to 1), as words without case and signs."""
_LIKE: Final = ({"integer", "double"}, {"string", "timestamp", "date", "binary"}, {"struct", "map"})


def paired(
    fields: Iterable[tuple[str, Pointer, str]],
    new: Iterable[Change],
    lost: Callable[[str], bool],
) -> dict[str, Change]:
    """Per declared field that is gone the new path that is most like it; each path for one field only.

    Takes the declared fields (key, path, type), the new paths that may be shown, and whether a field is gone.
    """
    gone = [(key, pointer, word) for key, pointer, word in fields if lost(key)]
    pairs = sorted(
        ((likeness(pointer, word, change), key, change) for key, pointer, word in gone for change in new),
        key=lambda pair: (-pair[0], pair[1], str(pair[2].path)),
    )
    found: dict[str, Change] = {}
    for score, key, change in pairs:
        if score >= ALIKE and key not in found and change not in found.values():
            found[key] = change
    return found


def likeness(pointer: Pointer, word: str, change: Change) -> float:
    """How alike a declared path and a new one are; 0 where they stand in different places or have different types."""
    if pointer.parts[:-1] != change.path.parts[:-1] or not _same_kind(word, change.is_):
        return 0.0
    one, other = (_plain(str(each.parts[-1])) for each in (pointer, change.path))
    inside = min(len(one), len(other)) > 2 and (one in other or other in one)
    return max(SequenceMatcher(None, one, other).ratio(), 0.8 if inside else 0.0)


def _same_kind(one: str, other: str | None) -> bool:
    return (
        other is None or one == other or any({one.partition("(")[0], other.partition("(")[0]} <= kind for kind in _LIKE)
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
