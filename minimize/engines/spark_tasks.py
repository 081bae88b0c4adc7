"""Tasks of the Spark engine: the stages of the local engine for one share of the input, and merging of their results.

A task has the path of the keyring and no key; the process that runs it opens the keyring. It returns counts, tallies and
the names of files. An error is returned as an error of this package, so that no other process prints or logs a value.
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

from minimize.engines.base import DiscardingQuarantine, Job, derive_noise_key, derive_row_key
from minimize.engines.local import PartitionResult, ShareWorker
from minimize.engines.passes import (
    InputShare,
    TopTallies,
    aggregate_tallies,
    empty_dictionaries,
    empty_top_values,
    event_day_tallies,
    generalize_stage,
    last_pass_risk_tally,
    planned_risk,
    risk_fields_job,
    risk_fields_stage,
    run_stages,
    top_fields_job,
    until_tally_stage,
    with_bound,
)
from minimize.errors import INTERNAL_ERROR, ConfigurationError, MinimizeError, call_redacted
from minimize.keys import Keyring
from minimize.output.sink import QuarantineWriter, WorkerFiles
from minimize.records import Batch, Sink, Stage, WrittenFile
from minimize.settings.evaluation import Settings
from minimize.settings.tokenized import TokenizedSettings
from minimize.spill import SpillSpace, ValueHasher
from minimize.stages.deduplicate import (
    DeduplicateRecords,
    DeduplicateTally,
    DuplicateRule,
    digest_words,
    select_survivors,
)
from minimize.stages.risk_bound import RiskDecision, RiskTally
from minimize.techniques.base import KeySource, Technique
from minimize.text import installed_version

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class ShareSurvivors:
    """The surviving records that one share releases: their digests, ascending, and the number of equal records of each."""

    rows: npt.NDArray[Any] = field(repr=False)
    counts: npt.NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShareInput:
    """One share of the input and its number; with deduplication, also its surviving records."""

    number: int
    parts: InputShare
    survivors: ShareSurvivors | None = None


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[T]):
    """The result of some shares, or the error of the first that failed; `number` is that of the first share."""

    number: int
    result: T | MinimizeError


class MergeResults(Protocol[T]):
    """Merges the results of several shares."""

    def __call__(self, job: Job, results: Iterable[T], /) -> T:
        """Merge results in any order; each is fetched after the previous one was merged."""
        ...


class ShareTask(Protocol[T_co]):
    """A task that runs on a share."""

    def __call__(self, job: Job, load: ShareInput, attempt: str) -> T_co:
        """Return the result. `attempt` is a unique name."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteJob(Generic[T]):
    """A job without its keys, the path of their keyring, and the task to run."""

    job: Job
    keyring: Path | None
    work: ShareTask[T]
    versions: tuple[tuple[str, str], ...]

    @classmethod
    def from_job(cls, job: Job, work: ShareTask[T]) -> RemoteJob[T]:
        """The remote form of a job. Raises ConfigurationError for a keyring that is not stored in a file."""
        if not isinstance(job.keys, Keyring | None):
            raise ConfigurationError("other processes read the keyring from its file", hint="Pass a keyring file.")
        path = None if job.keys is None else job.keys.path
        return cls(replace(job, keys=None, row_key=b"", noise=None, memos={}), path, work, _package_versions())

    def open_job(self) -> Job:
        """The job with its keys, opened here. Raises KeyringError, and ConfigurationError if the package versions differ."""
        differing = [name for name, _ in {*self.versions} - {*_package_versions()}]
        if differing:
            hint = "Install the same versions on driver and workers."
            raise ConfigurationError(
                f"{', '.join(sorted(differing))}: the version differs from the version of the driver", hint=hint
            )
        keys = None if self.keyring is None else Keyring.load(self.keyring)
        return replace(
            self.job,
            keys=keys,
            row_key=derive_row_key(keys),
            noise=derive_noise_key(keys, self.job.plan),
            space=SpillSpace(None).with_hasher(shared_hasher(keys)),  # spilled rows cannot be sent
            settings=_open_settings(self.job.settings, keys),
            erased=None if self.job.erased is None or keys is None else self.job.erased.with_keys(keys),
            corrected=None if self.job.corrected is None or keys is None else self.job.corrected.unlock(keys),
        )


def _open_settings(settings: Settings | None, keys: Keyring | None) -> Settings | None:
    """Settings that identify subjects by keyed tokens get the key here."""
    return settings.with_keys(keys) if isinstance(settings, TokenizedSettings) and keys is not None else settings


def _package_versions() -> tuple[tuple[str, str], ...]:
    """The versions of the packages that affect the bytes of the output."""
    return tuple((name, installed_version(name)) for name in ("minimize", "pyarrow", "numpy"))


def run_task(remote: RemoteJob[Any], load: ShareInput, attempt: str) -> Any:
    """The result of a task, or its error. Raises RuntimeError, which contains no value, if a retry may help."""
    return _run_safely(lambda: remote.work(remote.open_job(), load, attempt))


def merge_results(remote: RemoteJob[T], gather: MergeResults[T], results: Iterable[TaskResult[T]]) -> TaskResult[T]:
    """The merged result of several shares; if some failed, the error of the first of them."""
    numbers, wrong = list[int](), list[TaskResult[T]]()

    def good() -> Iterator[T]:
        for task_result in results:
            numbers.append(task_result.number)
            if isinstance(task_result.result, MinimizeError):
                wrong.append(task_result)
            else:
                yield task_result.result

    whole = _run_safely(lambda: gather(remote.open_job(), good()))
    return min(wrong, key=lambda task_result: task_result.number) if wrong else TaskResult(min(numbers), whole)


def _run_safely(work: Callable[[], Any]) -> Any:
    try:
        return call_redacted(work)
    except MinimizeError as error:
        wrong = error.with_traceback(None)
    if wrong.code == INTERNAL_ERROR:
        raise RuntimeError(wrong.message)
    return wrong


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """The files that one attempt at a share wrote."""

    attempt: str
    records: Sequence[WrittenFile]
    rejects: Sequence[WrittenFile]


@dataclass(frozen=True, slots=True)
class FinalResult:
    """The result of the last pass over some shares, and the files that its attempts wrote."""

    partition_result: PartitionResult
    files: Sequence[AttemptFiles]


def merge_final_results(job: Job, results: Iterable[FinalResult]) -> FinalResult:
    """The merged result of several shares."""
    known = empty_dictionaries(job)
    merged = PartitionResult(
        aggregate_tallies(job, known), event_day_tallies(job, known), risk=last_pass_risk_tally(job)
    )
    files = list[AttemptFiles]()
    for result in results:
        merged.merge(result.partition_result)
        files += result.files
    return FinalResult(merged, files)


def find_candidates(job: Job, load: ShareInput, attempt: str) -> pa.Table | None:
    """The candidates of a share after deduplication, as digests; None if there are none."""
    tally = DeduplicateTally.from_plan(job.plan, job.row_key)
    gate = job.gate
    for batch in read_batches(load.parts):
        tally.observe(gate(batch))
    return next((part.drop_columns(["at"]) for part in tally.candidates.survivors()), None)


def tally_tops(job: Job, load: ShareInput, attempt: str) -> TopTallies:
    """The tallies of a share for every field with a `top`."""
    top_job = top_fields_job(job) if load.survivors is None else job
    stages = (*_stages_before(top_job, load), until_tally_stage(top_job))
    tallies = TopTallies(top_job.plan, empty_top_values(top_job))
    for batch in read_batches(load.parts):
        tallies.observe(run_stages(stages, batch))
    return tallies


@dataclass(frozen=True, slots=True)
class RiskPass:
    """The pass that counts the combinations of all records, if a bound can remove or coarsen some of them."""

    settled: dict[str, Technique]

    def __call__(self, job: Job, load: ShareInput, attempt: str) -> RiskTally:
        """The combinations of a share."""
        counted = job if load.survivors is not None else risk_fields_job(job)
        stages, tally = (
            (*_stages_before(counted, load), risk_fields_stage(counted, self.settled)),
            _empty_risk_tally(job),
        )
        for batch in read_batches(load.parts):
            tally.observe(run_stages(stages, batch))
        return tally


def merge_risks(job: Job, tallies: Iterable[RiskTally]) -> RiskTally:
    """The merged combinations of several shares."""
    merged = _empty_risk_tally(job)
    for tally in tallies:
        merged.merge(tally)
    return merged


def _empty_risk_tally(job: Job) -> RiskTally:
    return RiskTally.from_plan(planned_risk(job.plan), job.space)


@dataclass(frozen=True, slots=True)
class FinalPass:
    """The last pass, after all tallies have settled: writes records and rejects, and tallies aggregates."""

    settled: dict[str, Technique]
    decision: RiskDecision | None
    records: WorkerFiles | None
    rejects: WorkerFiles | None

    def __call__(self, job: Job, load: ShareInput, attempt: str) -> FinalResult:
        """Return the result of a share."""
        keys = job.keys if isinstance(job.keys, Keyring) else None
        records, rejects = (None if each is None else each.sink(attempt, keys) for each in (self.records, self.rejects))
        stages = with_bound(job, (*_stages_before(job, load), generalize_stage(job, self.settled)), self.decision)
        try:
            result = ShareWorker(job, stages, self._quarantine(rejects), empty_dictionaries(job))((load.parts, records))
            written = [() if sink is None else sink.close() for sink in (records, rejects)]
            return FinalResult(result, [AttemptFiles(attempt, *written)])
        finally:
            for sink in (rejects, records):
                if sink is not None:
                    sink.abandon()

    def _quarantine(self, sink: Sink | None) -> QuarantineWriter | DiscardingQuarantine:
        return (
            DiscardingQuarantine()
            if sink is None or self.rejects is None
            else QuarantineWriter(sink, self.rejects.run_id)
        )


def read_batches(share: InputShare) -> Iterator[Batch]:
    """The valid records of a share."""
    return (Batch(chunk.records, source=part.name) for part in share for chunk in part.read())


def assign_survivors(candidates: Sequence[pa.Table | None]) -> list[ShareSurvivors]:
    """The surviving records of each share. Of records that are equal in everything, the first share with any keeps one.

    Takes the candidates of each share, in order.
    """
    tables = [table for table in candidates if table is not None]
    staying = np.sort(digest_words(select_survivors(pa.concat_tables(tables))["row"])) if tables else np.empty(0, "S16")
    is_unassigned = np.ones(staying.size, np.bool_)
    return [_assign_to_share(table, staying, is_unassigned) for table in candidates]


def _assign_to_share(
    candidates: pa.Table | None, staying: npt.NDArray[Any], is_unassigned: npt.NDArray[np.bool_]
) -> ShareSurvivors:
    """The surviving records of one share. Marks them as taken, so that later shares do not keep them."""
    if candidates is None:
        return ShareSurvivors(np.empty(0, "S16"), np.empty(0, np.int64))
    rows = digest_words(candidates["row"])
    places = np.searchsorted(staying, rows)
    is_assigned = places < staying.size
    is_assigned[is_assigned] = (staying[places[is_assigned]] == rows[is_assigned]) & is_unassigned[places[is_assigned]]
    is_unassigned[places[is_assigned]] = False
    order = np.argsort(rows[is_assigned])
    return ShareSurvivors(rows[is_assigned][order], candidates["count"].to_numpy()[is_assigned][order])


def shared_hasher(keys: KeySource | None) -> ValueHasher:
    """The hash of values that is the same in every process with the same keyring."""
    secret = keys.subkey("subject", "tallies") if isinstance(keys, Keyring) else b""
    return ValueHasher(hashlib.sha256(secret).digest())


def settle_tops(job: Job, tallies: Iterable[TopTallies]) -> dict[str, Technique]:
    """The techniques that the tallies of all shares settle into."""
    return merge_tops(job, tallies).settle()


def merge_tops(job: Job, tallies: Iterable[TopTallies]) -> TopTallies:
    """The merged tallies of several shares."""
    merged = TopTallies(top_fields_job(job).plan, empty_top_values(job))
    for tally in tallies:
        merged.merge(tally)
    return merged


def _stages_before(job: Job, load: ShareInput) -> tuple[Stage, ...]:
    gate = job.gate
    if load.survivors is None:
        return (gate,)
    rule = DuplicateRule.from_plan(job.plan, job.row_key)
    return (gate, DeduplicateRecords(job.plan, rule, load.survivors.rows, load.survivors.counts))
