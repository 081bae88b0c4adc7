"""Work side by side: a source's pieces in shares of about the same size, one thread a share.

Arrow and NumPy leave the interpreter to others while they work. Which piece is in which share depends on the input and the
number of processors only, never on how fast anybody was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from minimize.io.base import Part

T = TypeVar("T")
S = TypeVar("S")
LEAST = 16 << 20
"""Bytes below which a share is not worth a thread, and a file, of its own."""

Share = Sequence[Part]


def shares(parts: Sequence[Part], workers: int | None = None, least: int = LEAST) -> list[Share]:
    """The parts, or their pieces, in order and in at most so many shares (as many as there are processors)."""
    size = sum(part.size for part in parts)
    count = min(workers or len(os.sched_getaffinity(0)), size // least)
    pieces = [piece for part in parts for piece in part.pieces()] if count > 1 else list(parts)
    if count < 2 or len(pieces) < 2:
        return [pieces]
    found: list[list[Part]] = [[]]
    taken = 0
    for piece in pieces:
        if found[-1] and len(found) < count and taken + piece.size / 2 > size * len(found) / count:
            found.append([])
        found[-1].append(piece)
        taken += piece.size
    return list(found)


def side_by_side(work: Callable[[T], S], items: Sequence[T]) -> list[S]:
    """What the work gives for each item, in their order; the first error of any, once all have ended."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(len(items), thread_name_prefix="minimize") as pool:
        return list(pool.map(work, items))
