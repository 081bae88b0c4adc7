"""The local engine: one process, one batch after another, memory bounded by a chunk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from minimize.engines.base import Job, Outcome, Quarantine
from minimize.engines.passes import observers, through, way_through
from minimize.io.base import Carried, Chunk, Sink, Source
from minimize.stage import Batch
from minimize.stages.release import Release


def run(job: Job, source: Source, sink: Sink | None, quarantine: Quarantine) -> Outcome:
    """Runs the job over one source: settles what must see everything first, then writes and tallies."""
    stages = way_through(job, partial(batches, source))
    tallies = observers(job.plan)
    release = None if sink is None else Release(job.plan, schema=job.records_schema)
    outcome = Outcome()
    for part in source.parts:
        for chunk in part.read():
            _take_note(outcome, part.name, chunk)
            quarantine.write(part.name, chunk.rejects)
            batch = through(stages, Batch(chunk.records))
            outcome.counts += batch.counts
            for tally in tallies.values():
                tally.observe(batch)
            if sink is not None and release is not None:
                released = release.columns(batch)
                outcome.written += released.num_rows
                sink.write(released)
    outcome.aggregates = {name: tally.settle() for name, tally in tallies.items()}
    return outcome


def batches(source: Source, keys: Collection[str] | None = None) -> Iterator[Batch]:
    """The good records of a source, with no more than these fields where some are named: for a pass that only looks."""
    for part in (source if keys is None else source.only(keys)).parts:
        for chunk in part.read():
            yield Batch(chunk.records)


def _take_note(outcome: Outcome, part: str, chunk: Chunk) -> None:
    outcome.read += chunk.read
    outcome.rows_by_part[part] += chunk.read
    outcome.rejects.update(reject.code for reject in chunk.rejects)
    for pointer, carried in chunk.undeclared.items():
        outcome.undeclared[pointer] = outcome.undeclared.get(pointer, Carried(0)) + carried
