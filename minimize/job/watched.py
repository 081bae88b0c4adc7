"""Sources that say when a file of theirs was read to its end, for a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from minimize.io.base import Chunk, Part, Source
from minimize.io.part import Around

K = TypeVar("K")
Progress = Callable[[int, int], None]
"""Told how many files are done, of how many; a file that is read twice counts twice."""


@dataclass(slots=True)
class Bar:
    """How far a run is."""

    of: int
    tell: Progress
    done: int = 0

    def advance(self) -> None:
        """One more file is done."""
        self.done += 1
        self.tell(self.done, self.of)


@dataclass(frozen=True, slots=True)
class WatchedPart(Around):
    """A part that advances the bar when it was read to its end."""

    bar: Bar = field(repr=False)

    def pieces(self) -> Sequence[Part]:
        """The part's pieces; the last of them advances the bar."""
        *others, last = self.part.pieces()
        return (*others, WatchedPart(last, self.bar))

    def read(self) -> Iterator[Chunk]:
        """The part's chunks."""
        yield from self.part.read()
        self.bar.advance()

    def was_read(self) -> None:
        """Says that another process read the part to its end."""
        self.bar.advance()

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the part alone, for nobody watches there."""
        return _itself, (self.part,)


@dataclass(frozen=True, slots=True)
class Watched:
    """A source whose parts are watched."""

    source: Source = field(repr=False)
    bar: Bar = field(repr=False)

    @property
    def schema(self) -> pa.Schema:
        """As the source has it."""
        return self.source.schema

    @property
    def parts(self) -> tuple[WatchedPart, ...]:
        """The source's parts, watched."""
        return tuple(WatchedPart(part, self.bar) for part in self.source.parts)

    def only(self, keys: Collection[str]) -> Watched:
        """The source with fewer fields, watched."""
        return Watched(self.source.only(keys), self.bar)


def _itself(part: Part) -> Part:
    return part


def watched(sources: Mapping[K, Source], passes: int, tell: Progress) -> dict[K, Watched]:
    """The same sources; each file that is read to its end is told, in each of so many passes."""
    bar = Bar(passes * sum(len(source.parts) for source in sources.values()), tell)
    tell(0, bar.of)
    return {key: Watched(source, bar) for key, source in sources.items()}
