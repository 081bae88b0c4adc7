"""What processes elsewhere are sent to do, one share of the input each: the stages of the local engine, and no key.

An errand names the keyring's file, and who carries it out opens it. What comes back are counts, tallies and the names of
files; an error comes back as one of ours, so that no other process prints or logs a value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.engines.base import Job, Unkept, row_key, sketch_key
from minimize.engines.local import Done, Worker
from minimize.engines.passes import (
    Tallies,
    generalize,
    late_observers,
    observers,
    only_tops,
    said_of,
    shared,
    through,
    until_tally,
)
from minimize.engines.shares import Share
from minimize.errors import INTERNAL, ConfigurationError, MinimizeError, quietly
from minimize.installed import version
from minimize.io.base import Sink, Written
from minimize.io.elsewhere import Elsewhere
from minimize.io.quarantine import Quarantine
from minimize.keys import Keyring
from minimize.settings.base import Settings
from minimize.settings.veiled import Veiled
from minimize.spill import Aside
from minimize.stage import Batch, Stage
from minimize.stages.deduplicate import Deduplicate, DeduplicateTally
from minimize.stages.duplicates import Rule, best, words
from minimize.techniques.base import Technique

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Staying:
    """The records that stay and that one share lets through: their digests, ascending, and how many equals it has."""

    rows: npt.NDArray[Any] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Load:
    """One share of the input, by its number; what stays of it, where duplicates were found."""

    number: int
    parts: Share
    staying: Staying | None = None


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """What came of some shares, or what was wrong with the first of them that failed; `number` is the first share's."""

    number: int
    result: T | MinimizeError


class Gather(Protocol[T]):
    """What came of several shares as one."""

    def __call__(self, job: Job, results: Iterable[T], /) -> T:
        """Takes them in any order, each when the one before was taken in."""
        ...


class Work(Protocol[T_co]):
    """Something to be done with a share."""

    def __call__(self, job: Job, load: Load, attempt: str) -> T_co:
        """What came of it. Takes a name that no other attempt has."""
        ...


@dataclass(frozen=True, slots=True)
class Errand(Generic[T]):
    """A job without its keys, the path of their keyring, and the work to be done."""

    job: Job
    keyring: Path | None
    work: Work[T]
    versions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, job: Job, work: Work[T]) -> Errand[T]:
        """The errand of a job. Raises ConfigurationError for keys that do not stand in a file."""
        if not isinstance(job.keys, Keyring | None):
            raise ConfigurationError("other processes open keys by their path", hint="give a keyring file")
        path = None if job.keys is None else job.keys.path
        return cls(replace(job, keys=None, row_key=b"", sketch_key=b"", memos={}), path, work, _versions())

    def opened(self) -> Job:
        """The job with its keys, opened here. Raises KeyringError, and ConfigurationError where other code would run."""
        other = [name for name, _ in {*self.versions} - {*_versions()}]
        if other:
            hint = "install the same versions everywhere"
            raise ConfigurationError(f"{', '.join(sorted(other))}: not the version of the driver", hint=hint)
        keys = None if self.keyring is None else Keyring.load(self.keyring)
        return replace(
            self.job,
            keys=keys,
            row_key=row_key(keys),
            sketch_key=sketch_key(keys),
            aside=shared_aside(keys, None),
            settings=_opened(self.job.settings, keys),
            erased=None if self.job.erased is None or keys is None else self.job.erased.opened(keys),
            corrected=None if self.job.corrected is None or keys is None else self.job.corrected.opened(keys),
        )


def _opened(settings: Settings | None, keys: Keyring | None) -> Settings | None:
    """Settings that tell subjects by a key get it here."""
    return settings.opened(keys) if isinstance(settings, Veiled) and keys is not None else settings


def _versions() -> tuple[tuple[str, str], ...]:
    """What decides about bytes."""
    return tuple((name, version(name)) for name in ("minimize", "pyarrow", "numpy"))


def carried_out(errand: Errand[Any], load: Load, attempt: str) -> Any:
    """What came of an errand, or what was wrong. Raises RuntimeError, which holds no value, where a second try may help."""
    return _tried(lambda: errand.work(errand.opened(), load, attempt))


def gathered(errand: Errand[T], gather: Gather[T], told: Iterable[Told[T]]) -> Told[T]:
    """What came of several shares as one; where some failed, what was wrong with the first of them."""
    numbers, wrong = list[int](), list[Told[T]]()

    def good() -> Iterator[T]:
        for each in told:
            numbers.append(each.number)
            if isinstance(each.result, MinimizeError):
                wrong.append(each)
            else:
                yield each.result

    whole = _tried(lambda: gather(errand.opened(), good()))
    return min(wrong, key=lambda each: each.number) if wrong else Told(min(numbers), whole)


def _tried(work: Callable[[], Any]) -> Any:
    try:
        return quietly(work)
    except MinimizeError as error:
        wrong = error.with_traceback(None)
    if wrong.code == INTERNAL:
        raise RuntimeError(wrong.message)
    return wrong


@dataclass(frozen=True, slots=True)
class Files:
    """What one attempt at a share wrote."""

    attempt: str
    records: Sequence[Written]
    rejects: Sequence[Written]


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of the last pass over some shares, and the files that the attempts at them wrote."""

    done: Done
    files: Sequence[Files]


def finished(job: Job, results: Iterable[Finished]) -> Finished:
    """What came of several shares as one."""
    known = shared(job)
    done, files = Done(observers(job, known), late_observers(job, known)), list[Files]()
    for result in results:
        done.merge(result.done)
        files += result.files
    return Finished(done, files)


def candidates(job: Job, load: Load, attempt: str) -> pa.Table | None:
    """The records of a share that may stay, as digests; None where there are none."""
    tally = DeduplicateTally.of(job.plan, job.row_key)
    gate = job.gate
    for batch in batches(load.parts):
        tally.observe(gate(batch))
    return next((part.drop_columns(["at"]) for part in tally.found.best()), None)


def values_seen(job: Job, load: Load, attempt: str) -> Tallies:
    """The tallies of a share for every field with a `top`."""
    mine = only_tops(job) if load.staying is None else job
    stages = (*_before(mine, load), until_tally(mine))
    tallies = Tallies(mine.plan, job.aside, said_of(mine))
    for batch in batches(load.parts):
        tallies.observe(through(stages, batch))
    return tallies


@dataclass(frozen=True, slots=True)
class Finish:
    """The last pass: everything has settled; records and rejects are written, aggregates tallied."""

    settled: dict[str, Technique]
    records: Elsewhere | None
    rejects: Elsewhere | None

    def __call__(self, job: Job, load: Load, attempt: str) -> Finished:
        """What came of a share."""
        keys = job.keys if isinstance(job.keys, Keyring) else None
        records, rejects = (None if each is None else each.sink(attempt, keys) for each in (self.records, self.rejects))
        stages = (*_before(job, load), generalize(job, self.settled))
        try:
            done = Worker(job, stages, self._quarantine(rejects), shared(job))((load.parts, records))
            written = [() if sink is None else sink.close() for sink in (records, rejects)]
            return Finished(done, [Files(attempt, *written)])
        finally:
            for sink in (rejects, records):
                if sink is not None:
                    sink.abandon()

    def _quarantine(self, sink: Sink | None) -> Quarantine | Unkept:
        return Unkept() if sink is None or self.rejects is None else Quarantine(sink, self.rejects.run_id)


def batches(share: Share) -> Iterator[Batch]:
    """The good records of a share."""
    return (Batch(chunk.records, source=part.name) for part in share for chunk in part.read())


def shared_out(found: Sequence[pa.Table | None]) -> list[Staying]:
    """What stays, by share. Of records that are equal in everything, the first share that has any keeps one.

    Takes what each share found, in order.
    """
    tables = [table for table in found if table is not None]
    staying = np.sort(words(best(pa.concat_tables(tables))["row"])) if tables else np.empty(0, "S16")
    left = np.ones(staying.size, np.bool_)
    return [_of_share(table, staying, left) for table in found]


def _of_share(found: pa.Table | None, staying: npt.NDArray[Any], left: npt.NDArray[np.bool_]) -> Staying:
    """What stays of one share; takes note that it is no longer left to others."""
    if found is None:
        return Staying(np.empty(0, "S16"), np.empty(0, np.int64))
    rows = words(found["row"])
    places = np.searchsorted(staying, rows)
    mine = places < staying.size
    mine[mine] = (staying[places[mine]] == rows[mine]) & left[places[mine]]
    left[places[mine]] = False
    order = np.argsort(rows[mine])
    return Staying(rows[mine][order], found["count"].to_numpy()[mine][order])


def shared_aside(keys: Keyring | None, memory: int | None) -> Aside:
    """Space beside memory in which values have the same hashes in every process that has the keyring.

    Takes the bytes that tallies may hold; None, where they travel, for what is set aside cannot.
    """
    secret = b"" if keys is None else keys.subkey("subject", "tallies")
    return Aside(memory, hashlib.sha256(secret).digest())


def settled(job: Job, tallies: Iterable[Tallies]) -> dict[str, Technique]:
    """What the tallies of all shares settle into."""
    keys = job.keys if isinstance(job.keys, Keyring) else None
    return seen(replace(job, aside=shared_aside(keys, job.aside.budget.total)), tallies).settle()


def seen(job: Job, tallies: Iterable[Tallies]) -> Tallies:
    """The tallies of several shares as one."""
    all_ = Tallies(only_tops(job).plan, job.aside, {})
    for each in tallies:
        all_.merge(each)
    return all_


def _before(job: Job, load: Load) -> tuple[Stage, ...]:
    gate = job.gate
    if load.staying is None:
        return (gate,)
    rule = Rule.of(job.plan, job.row_key)
    return (gate, Deduplicate(job.plan, rule, load.staying.rows, load.staying.counts))
