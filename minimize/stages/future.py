"""Records whose event time is too far in the future are rejected as `future_time`, whatever reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import numpy as np
import pyarrow as pa

from minimize.io.base import Chunk, Part, Reject, Source
from minimize.io.part import Around
from minimize.io.positions import Sought
from minimize.nested import leaf
from minimize.pointer import Pointer
from minimize.policy.model import Policy
from minimize.settings.columns import moments, valid
from minimize.settings.rows import microseconds_of

S = TypeVar("S", bound=Source)


def without_future(source: S, policy: Policy, at: datetime) -> S | Timely:
    """A source whose records with an event time later than `at` plus the policy's `future` are rejected.

    Takes an aware time. A policy without an event time rejects none.
    """
    if policy.time is None:
        return source
    return Timely(source, Limit(Pointer.parse(policy.time), microseconds_of(at + policy.future)))


@dataclass(frozen=True, slots=True)
class Limit:
    """The latest event time that is accepted, in microseconds since 1970, and the place of event times."""

    time: Pointer
    latest: int

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with later records among its rejects."""
        times = leaf(chunk.records, self.time).values
        there, found = valid(times), moments(times) > self.latest
        late = found if there is None else found & there
        if not late.any() or chunk.positions is None:
            return chunk
        places = np.asarray(chunk.positions)[late].tolist()
        rejects = [Reject(place, chunk.unit, str(self.time), "future_time") for place in places]
        good = pa.array(~late)
        return replace(
            chunk,
            records=chunk.records.filter(good),
            rejects=sorted([*chunk.rejects, *rejects], key=lambda reject: reject.position),
            positions=chunk.positions.filter(good),
        )


@dataclass(frozen=True, slots=True)
class TimelyPart(Around):
    """A part whose later records are rejected."""

    limit: Limit

    def pieces(self) -> Sequence[Part]:
        """The part's pieces, with the same limit."""
        return [TimelyPart(piece, self.limit) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks."""
        return map(self.limit, self.part.read())

    def at(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        return map(self.limit, self.part.at(positions) if isinstance(self.part, Sought) else self.part.read())


@dataclass(frozen=True, slots=True)
class Timely:
    """A source whose later records are rejected."""

    source: Source = field(repr=False)
    limit: Limit

    @property
    def schema(self) -> pa.Schema:
        """As the source has it."""
        return self.source.schema

    @property
    def parts(self) -> tuple[TimelyPart, ...]:
        """The source's parts, with the limit."""
        return tuple(TimelyPart(part, self.limit) for part in self.source.parts)

    @property
    def again(self) -> bool:
        """Whether it can be read more than once."""
        return bool(getattr(self.source, "again", True))

    def only(self, keys: Collection[str]) -> Timely:
        """The source with fewer fields, with the limit."""
        return Timely(self.source.only(keys), self.limit)
