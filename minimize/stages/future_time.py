"""Rejection of records whose event time is too far in the future (`future_time`), for every source format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import numpy as np
import pyarrow as pa

from minimize.arrow.dictionaries import valid_mask
from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.policy.model import Policy
from minimize.settings.columns import column_microseconds
from minimize.sources.base import Chunk, Reject, SeekablePart, Source, SourcePart
from minimize.sources.files import WrappingPart
from minimize.times import epoch_microseconds

S = TypeVar("S", bound=Source)


def reject_future(source: S, policy: Policy, at: datetime) -> S | FutureCheckedSource:
    """A source whose records with an event time later than `at` plus the policy's `future` are rejected.

    Takes a timezone-aware time. A policy without an event time rejects none.
    """
    if policy.time is None:
        return source
    return FutureCheckedSource(source, FutureLimit(Pointer.parse(policy.time), epoch_microseconds(at + policy.future)))


@dataclass(frozen=True, slots=True)
class FutureLimit:
    """The latest event time that is accepted, in microseconds since 1970, and the place of event times."""

    time: Pointer
    latest: int

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with later records moved to its rejects."""
        times = leaf(chunk.records, self.time).values
        there, found = valid_mask(times), column_microseconds(times) > self.latest
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
class FutureCheckedPart(WrappingPart):
    """A part whose later records are rejected."""

    limit: FutureLimit

    def pieces(self) -> Sequence[SourcePart]:
        """The part's pieces, with the same limit."""
        return [FutureCheckedPart(piece, self.limit) for piece in self.part.pieces()]

    def read(self) -> Iterator[Chunk]:
        """The part's chunks, with the limit."""
        return map(self.limit, self.part.read())

    def read_positions(self, positions: Sequence[int]) -> Iterator[Chunk]:
        """Chunks with at least the records at these positions."""
        return map(
            self.limit, self.part.read_positions(positions) if isinstance(self.part, SeekablePart) else self.part.read()
        )


@dataclass(frozen=True, slots=True)
class FutureCheckedSource:
    """A source whose later records are rejected."""

    source: Source = field(repr=False)
    limit: FutureLimit

    @property
    def schema(self) -> pa.Schema:
        """The schema of the wrapped source."""
        return self.source.schema

    @property
    def parts(self) -> tuple[FutureCheckedPart, ...]:
        """The source's parts, with the limit."""
        return tuple(FutureCheckedPart(part, self.limit) for part in self.source.parts)

    @property
    def is_rereadable(self) -> bool:
        """Whether the source can be read more than once."""
        return bool(getattr(self.source, "is_rereadable", True))

    def only(self, keys: Collection[str]) -> FutureCheckedSource:
        """The source restricted to these fields, with the limit."""
        return FutureCheckedSource(self.source.only(keys), self.limit)
