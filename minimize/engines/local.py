"""The local engine: one process, a thread a processor, each reading, treating and writing its share of the input."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from minimize.aggregates.days import DayTally
from minimize.aggregates.table import AggregateTally
from minimize.engines.base import Job, Outcome, Quarantine, Sinks
from minimize.engines.gathering import Gathering
from minimize.engines.passes import Shared, late_observers, observers, shared, through, way_through
from minimize.engines.shares import Share, shares, side_by_side
from minimize.io.base import Chunk, Reject, Sink, Source
from minimize.stage import Batch, Stage
from minimize.stages.release import Release


def run(job: Job, source: Source, sinks: Sinks | None, quarantine: Quarantine) -> Outcome:
    """Runs the job over one source: settles what must see everything first, then writes and tallies."""
    stages = way_through(job, lambda keys: batches_of(source, keys))
    worker = Worker(job, stages, OneAtATime(quarantine), shared(job))
    cut = shares(source.parts)
    opened = [(share, None if sinks is None else sinks(number)) for number, share in enumerate(cut)]
    first, *others = side_by_side(worker, opened)
    while others:
        first.merge(others.pop(0))  # and lets go of it, before everything is settled
    return first.settle()


@dataclass(frozen=True, slots=True)
class Worker:
    """Takes a share of the pieces through the stages, into the share's sink and tallies."""

    job: Job
    stages: tuple[Stage, ...]
    quarantine: Quarantine
    known: Shared

    def __call__(self, share: tuple[Share, Sink | None]) -> Done:
        """What came of the share."""
        parts, sink = share
        out = (
            None
            if sink is None
            else Gathering(Release(self.job.plan, schema=self.job.records_schema, secret=self.job.row_key), sink)
        )
        done = Done(observers(self.job, self.known), late_observers(self.job, self.known))
        for part in parts:
            for chunk in part.read():
                self._take(part.name, chunk, done, out)
                del chunk  # or it would stay in memory while the next one is read
        if out is not None:
            out.flush()
        return done

    def _take(self, part: str, chunk: Chunk, done: Done, out: Gathering | None) -> None:
        done.outcome.take(part, chunk)
        self.quarantine.write(part, chunk.rejects)
        batch = through(self.stages, Batch(chunk.records, source=part))
        done.observe(batch)
        if out is not None:
            out.take(batch)


@dataclass(slots=True)
class Done:
    """What came of a share: counts, and tallies that have not settled."""

    tallies: Mapping[str, AggregateTally]
    late: Mapping[str, DayTally] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)

    def observe(self, batch: Batch) -> None:
        """Takes in a batch behind all stages."""
        self.outcome.counts += batch.counts
        self.outcome.written += batch.raw.num_rows
        for tally in self.tallies.values():
            tally.observe(batch)
        for days in self.late.values():
            days.observe(batch)

    def merge(self, other: Done) -> None:
        """Takes in what came of another share."""
        self.outcome.add(other.outcome)
        for name, tally in other.tallies.items():
            self.tallies[name].merge(tally)
        for name, days in other.late.items():
            self.late[name].merge(days)

    def settle(self) -> Outcome:
        """What came of all shares. What waits for other batches does not settle yet."""
        self.outcome.late = self.late
        self.outcome.aggregates = {name: tally.settle() for name, tally in self.tallies.items()}
        return self.outcome


class OneAtATime:
    """A quarantine that several threads may write to."""

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine
        self._lock = threading.Lock()

    def write(self, source: str, rejects: Iterable[Reject]) -> None:
        """Takes the rejects of one part."""
        with self._lock:
            self._quarantine.write(source, rejects)


def batches_of(source: Source, keys: Collection[str] | None = None) -> list[Iterable[Batch]]:
    """The good records of a source in shares, with no more than these fields where some are named: for a look only."""
    return [_batches(share) for share in shares((source if keys is None else source.only(keys)).parts)]


def batches(source: Source) -> Iterator[Batch]:
    """The good records of a source, one batch after another."""
    return _batches(source.parts)


def _batches(share: Share) -> Iterator[Batch]:
    for part in share:
        for chunk in part.read():
            yield Batch(chunk.records, source=part.name)
            del chunk  # or it would stay in memory while the next one is read
