"""Records by their position: what stands there now, read from the source alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from minimize.io.base import Chunk, Part


@runtime_checkable
class Sought(Protocol):
    """A part that need not be read whole for some of its records."""

    def at(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        ...


def accepted(part: Part, positions: Iterable[int]) -> frozenset[int]:
    """Those of the positions, at each of which a record of the part stands, whose record is not rejected.

    Raises SourceError where the part cannot be read.
    """
    wanted = frozenset(positions)
    chunks = part.at(sorted(wanted)) if isinstance(part, Sought) else part.read()
    return wanted - {reject.position for chunk in chunks for reject in chunk.rejects}
