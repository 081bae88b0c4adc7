"""Records through a pipeline's own stages one by one, in memory: what becomes of each, and what would leave.

It is the plan, the source and the stages of a run; nothing is written, and what must see everything first (duplicates, the most
frequent values) sees the files of the trial.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from minimize.engines.base import Job, row_key
from minimize.engines.local import batches_of
from minimize.engines.passes import observers, shared, through, way_through
from minimize.frames import decoded
from minimize.io import FORMATS
from minimize.io.base import Part, Source
from minimize.job.erasing import People
from minimize.job.sender import periods_of
from minimize.keys import Keyring, new_keyring
from minimize.plan import request
from minimize.plan.bind import bind
from minimize.policy.fields import steps_of
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.review.places import Lines
from minimize.settings import SettingsRows
from minimize.stage import Batch, Counts, Stage
from minimize.stages.corrected import corrections
from minimize.stages.facts import BatchFacts
from minimize.stages.future import without_future
from minimize.stages.release import Release

RECORDS: Final = "records"
NDJSON: Final = "ndjson"
Fate = Literal["leaves", "quarantined", "gated", "deduplicated"]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one record: its file and line, its fate, why it did not leave, and the path where that was seen.

    raw     the record as it came in, where it could be read
    behind  the record behind all stages
    """

    file: Path
    line: int
    fate: Fate
    reason: str | None = None
    path: str | None = None
    raw: pa.RecordBatch | None = field(default=None, repr=False)
    behind: Batch | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan bound to a time, settings and keys, and its stages, everything settled over the files of the trial."""

    job: Job
    source: Source
    files: Sequence[Path]
    stages: tuple[Stage, ...]
    release: Release | None
    kind: str = NDJSON

    @classmethod
    def of(
        cls,
        pipeline: Pipeline,
        files: Sequence[Path],
        at: datetime,
        settings: SettingsRows | None,
        keys: Keyring,
        kind: str = NDJSON,
        people: People | None = None,
    ) -> Trial:
        """A trial over files of one format; `people` are who is gone, what was put right, and who agreed, where that is known.

        Raises what a run raises before it reads.
        """
        known = people or People()
        source = without_future(_source(pipeline, files, kind, known.erased.fields), pipeline.policy, at)
        plan = bind(pipeline.policy, source.schema, purpose=pipeline.purpose, pipeline=pipeline)
        seen = None if settings is None else settings.at(at)
        gone, right = (
            known.erased.at(at, pipeline.policy.future),
            corrections(known.corrected, pipeline.policy, at, keys),
        )
        agreed = periods_of(pipeline, known.consents, at)
        job = Job(plan, at, keys, seen, row_key=row_key(keys), erased=gone, corrected=right, consents=agreed)
        stages = way_through(job, partial(batches_of, source))
        release = Release(plan, schema=job.records_schema, secret=job.row_key) if RECORDS in plan.outputs else None
        return cls(job, source, files, stages, release, kind)

    def tried(self) -> Iterator[Tried]:
        """What becomes of each record, file by file, line by line."""
        for path, part in zip(self.files, self.source.parts, strict=True):
            yield from self._of_part(path, part)

    def rows(self, tried: Sequence[Tried]) -> pa.Table:
        """What leaves of some records, in their order; nothing where the pipeline writes no records."""
        if self.release is None:
            return pa.table({})
        batches = [decoded(self.release.columns(each.behind), self.job.records_schema) for each in tried if each.behind]
        return pa.Table.from_batches(batches, schema=self.job.records_schema)

    def aggregates(self, tried: Sequence[Tried]) -> dict[str, pa.Table]:
        """By name the aggregates of some records; of those that wait for late rows nothing is complete yet."""
        late = {name: each.late for name, each in self.job.plan.aggregates.items() if each.late is not None}
        job = replace(self.job, reach={name: each.reach(self.job.at.date()) for name, each in late.items()})
        tallies = observers(job, shared(job))
        for each in tried:
            if each.behind is not None:
                for tally in tallies.values():
                    tally.observe(each.behind)
        return {name: tally.settle().table for name, tally in tallies.items()}

    def one(self, line: int) -> Tried | None:
        """What becomes of the record in a line of the first file; None where there is none."""
        path = self.files[0]
        for bad, good in self._chunks(path, self.source.parts[0]):
            if line in bad or line in good:
                return bad.get(line) or self._one(path, line, good[line])
        return None

    def _of_part(self, path: Path, part: Part) -> Iterator[Tried]:
        for bad, good in self._chunks(path, part):
            found = bad | {line: self._one(path, line, raw) for line, raw in good.items()}
            yield from (found[line] for line in sorted(found))

    def _chunks(self, path: Path, part: Part) -> Iterator[tuple[dict[int, Tried], dict[int, pa.RecordBatch]]]:
        """Chunk by chunk, by line, the records that cannot be processed, and those that can."""
        lines, seen = Lines.of(path) if self.kind == NDJSON else None, 0
        for chunk in part.read():
            own = range(seen + 1, seen + chunk.read + 1) if lines is None else lines.filled[seen : seen + chunk.read]
            seen += chunk.read
            rejects = [
                (reject.position + 1 if lines is None else lines.at(reject.position), reject)
                for reject in chunk.rejects
            ]
            bad = {line: Tried(path, line, "quarantined", each.code, each.field) for line, each in rejects}
            rows = (chunk.records.slice(row, 1) for row in range(chunk.records.num_rows))
            yield bad, dict(zip((line for line in own if line not in bad), rows, strict=True))

    def _one(self, path: Path, line: int, raw: pa.RecordBatch) -> Tried:
        behind = through(self.stages, Batch(raw))
        raw = raw if self.job.corrected is None else self.job.corrected(raw)
        if behind.raw.num_rows:
            return Tried(path, line, "leaves", raw=raw, behind=behind)
        fate, reason = _fate(behind.counts)
        return Tried(path, line, fate, reason, raw=raw)


def _fate(counts: Counts) -> tuple[Fate, str | None]:
    if counts.gated:
        return "gated", next(iter(counts.gated))
    return "deduplicated", "deduplicated"


def _source(pipeline: Pipeline, files: Sequence[Path], kind: str = NDJSON, also: Collection[str] = ()) -> Source:
    root = files[0].parent if files else Path()
    return FORMATS[kind](files, root, request(pipeline.policy, pipeline.purpose, pipeline, also))


def latest(pipeline: Pipeline, files: Sequence[Path]) -> datetime | None:
    """The latest event time of the records of some files; None where there is none."""
    times = [time for part in _source(pipeline, files).parts for time in _times(pipeline.policy, part)]
    return max(times, default=None)


def _times(policy: Policy, part: Part) -> Iterator[datetime]:
    for chunk in part.read():
        times = BatchFacts(chunk.records, policy, None, datetime.now(UTC)).times()
        last = None if times is None else pc.max(times.cast(pa.timestamp("us", "UTC"), safe=False)).as_py()
        if last is not None:
            yield last


def keys_for(policy: Policy, now: datetime) -> Keyring:
    """A keyring of new keys with the names that a policy says, which nobody keeps."""
    names = {name for field in policy.fields.values() for step in steps_of(field) for name in step.key_names}
    with TemporaryDirectory(prefix="minimize-") as folder:
        return new_keyring(Path(folder) / "trial.keys", names, now=now)
