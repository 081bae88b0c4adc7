"""Undeclared paths, counted by path and bounded against hostile names.

The `PATHS` paths with the least keyed hashes are counted by themselves, the others under `/*`. So it depends neither on the
order of the records nor on how counts are put together which paths those are, and no file can choose them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Final

from minimize.io.base import Carried
from minimize.pointer import STAR, Pointer

PATHS: Final = 1000
"""How many distinct undeclared paths of a run are counted by themselves."""
REST: Final = Pointer((STAR,))
"""Where the others are counted."""


def added(counts: Iterable[Mapping[Pointer, Carried]], paths: int = PATHS) -> dict[Pointer, Carried]:
    """What several chunks, files or workers carry undeclared, together."""
    together: dict[Pointer, Carried] = {}
    for one in counts:
        for pointer, carried in one.items():
            together[pointer] = together.get(pointer, Carried(0)) + carried
        if len(together) > 2 * paths + 1:
            together = bounded(together, paths)
    return bounded(together, paths)


def bounded(counts: Mapping[Pointer, Carried], paths: int = PATHS) -> dict[Pointer, Carried]:
    """The counts of so many paths; those of the others are counted under `/*`, of which no subjects are kept."""
    listed = [pointer for pointer in counts if pointer != REST]
    if len(listed) <= paths:
        return dict(counts)
    kept = set(nsmallest(paths, listed, key=lambda pointer: (counts[pointer].rank, str(pointer))))
    rest = sum(carried.records for pointer, carried in counts.items() if pointer not in kept)
    return {pointer: carried for pointer, carried in counts.items() if pointer in kept} | {REST: Carried(rest)}
