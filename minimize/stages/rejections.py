"""Rejection of records whose event time is too far in the future (`future_time`), for every source format."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from minimize.arrow.columns import column_microseconds, microsecond_bounds
from minimize.arrow.dictionaries import valid_mask
from minimize.arrow.nested import leaf_values
from minimize.arrow.pointers import Pointer
from minimize.policy.model import Policy
from minimize.records import Chunk
from minimize.sources.base import Source
from minimize.sources.files import CheckedSource, reject_records
from minimize.times import epoch_microseconds

S = TypeVar("S", bound=Source)


def reject_future(source: S, policy: Policy, at: datetime) -> S | CheckedSource:
    """A source whose records with an event time later than `at` plus the policy's `future` are rejected.

    Takes a timezone-aware time. A policy without an event time rejects none.
    """
    if policy.time is None:
        return source
    return CheckedSource(source, FutureLimit(Pointer.parse(policy.time), epoch_microseconds(at + policy.future)))


@dataclass(frozen=True, slots=True)
class FutureLimit:
    """The latest event time that is accepted, in microseconds since 1970, and the place of event times."""

    time: Pointer
    latest: int

    def __call__(self, chunk: Chunk) -> Chunk:
        """The chunk with later records moved to its rejects."""
        times = leaf_values(chunk.records, self.time)
        bounds = microsecond_bounds(times)
        if bounds is None or bounds[1] <= self.latest:
            return chunk
        there, found = valid_mask(times), column_microseconds(times) > self.latest
        late = found if there is None else found & there
        return reject_records(chunk, late, str(self.time), "future_time")
