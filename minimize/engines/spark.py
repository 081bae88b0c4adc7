"""The Spark engine: the driver hands out pieces of the input, executors take them through the stages of the local engine.

Executors read with our own sources, so that positions, strict types and quarantine stay, and write below the run's staging
folder, which they must see as the driver does, under names that no other attempt has. The driver publishes what successful
tasks reported; retries and speculation count nothing twice. Tallies are put together by executors first. Nothing of a record
goes through Spark but what tallies hold and the subjects of undeclared fields, and a session that would write these to its
disks, or send them, in the clear is refused.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from minimize.engines.base import Abroad, Job, Outcome, Quarantine, Sinks, Unkept
from minimize.engines.errands import (
    Errand,
    Finish,
    Finished,
    Gather,
    Load,
    Told,
    Work,
    candidates,
    carried_out,
    finished,
    gathered,
    seen,
    settled,
    shared_out,
    values_seen,
)
from minimize.engines.passes import deduplicates, only_tops
from minimize.engines.shares import shares
from minimize.engines.spark_failures import master_failure, start_failure, task_failure
from minimize.errors import INTERNAL, ConfigurationError, MinimizeError, OutOfMemoryError
from minimize.io.base import Source
from minimize.plan.request import fields_read_for
from minimize.techniques.base import Technique

T = TypeVar("T")
MASTER: Final = "MINIMIZE_SPARK_MASTER"
TASKS: Final = 2
"""Tasks for each processor, at most."""
FEW: Final = 8
"""So many results are put together at a time: by executors, and what is left by the driver."""
SAFE: Final = {
    "spark.io.encryption.enabled": "true",
    "spark.network.crypto.enabled": "true",
    "spark.authenticate": "true",
    "spark.rpc.message.maxSize": "1024",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""How a session is started where there is none."""
_LOCAL: Final = re.compile(r"local(\[.*\])?")
_FULL: Final = re.compile(r"OutOfMemoryError|MemoryError\b|exceeding .{0,20}memory limits|\bOOM\b|exit code:? 137")
"""What Spark's errors say if an executor or the driver ran out of memory."""
_SAID: Final = re.compile(r"an error inside minimize: .*?; nothing was published")


def run(job: Job, source: Source, sinks: Sinks | None, quarantine: Quarantine) -> Outcome:
    """Runs the job over one source on Spark: what must see everything first in passes of its own, then the rest.

    Takes the active session, else starts one on MINIMIZE_SPARK_MASTER (`local[*]`), which stays for the next batch date and
    ends with the process. Raises ConfigurationError without pyspark or Java, or for a session that is not safe.
    """
    if not isinstance(quarantine, Abroad) or not isinstance(sinks, Abroad | None):
        raise ConfigurationError("Spark writes below an output folder", hint="use minimize.run with `output`")
    cluster = Cluster(context())
    loads = [Load(number, share) for number, share in enumerate(cluster.cut(source))]
    if deduplicates(job.plan):
        found = cluster.each(job, candidates, loads, source)
        loads = [replace(load, staying=staying) for load, staying in zip(loads, shared_out(found), strict=True)]
    known = _settled(cluster, job, loads, source)
    rejects = quarantine.elsewhere()
    records = None if sinks is None else sinks.elsewhere()
    if rejects is None and not isinstance(quarantine, Unkept):
        raise ConfigurationError("Spark writes below an output folder", hint="use minimize.run with `output`")
    finish = Finish(dict(known), *(None if each is None else each.opened() for each in (records, rejects)))
    return _outcome(finished(job, cluster.few(job, finish, finished, loads, source)), sinks, quarantine)


def context() -> Any:
    """The context of the active session, or of one that is started here, if it is safe. Raises ConfigurationError."""
    session = _session()
    found = _quiet_context(session)
    if found is None:
        raise ConfigurationError("Spark Connect has no tasks of our own", hint="use a classic session")
    check_safe(found.master, dict(found.getConf().getAll()))
    return found


def check_safe(master: str, settings: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a session that would write or send values in the clear."""
    wanted = ["spark.io.encryption.enabled"]
    if not _LOCAL.fullmatch(master):
        wanted.append("spark.network.crypto.enabled")
    missing = [name for name in wanted if settings.get(name, "false").lower() != "true"]
    if missing:
        hint = f"start it with {' and '.join(f'{name}=true' for name in missing)}"
        raise ConfigurationError("the Spark session would hold values in the clear", hint=hint)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Executors, and what they can be sent to do."""

    context: Any

    def cut(self, source: Source) -> Sequence[Any]:
        """The input in a share for each task."""
        return shares(source.parts, TASKS * int(self.context.defaultParallelism), least=1)

    def each(self, job: Job, work: Work[T], loads: Sequence[Load], source: Source) -> list[T]:
        """What came of some work on each load, in their order. Raises what was wrong with the first that failed."""
        return self._collected(self._told(Errand.of(job, work), loads), source)

    def few(self, job: Job, work: Work[T], gather: Gather[T], loads: Sequence[Load], source: Source) -> list[T]:
        """The same, some of it put together by executors, so that no more than a few come back.

        It goes from one executor to another through Spark's shuffle, which writes it encrypted.
        """
        errand, many = Errand.of(job, work), len(loads)
        told = self._told(errand, loads)
        while many > FEW:
            many = -(-many // FEW)
            told = told.partitionBy(many, int).mapPartitionsWithIndex(partial(_gathered, errand, gather))
        return self._collected(told, source)

    def _told(self, errand: Errand[Any], loads: Sequence[Load]) -> Any:
        return self.context.parallelize(loads, len(loads)).mapPartitions(partial(_task, errand))

    def _collected(self, told: Any, source: Source) -> list[Any]:
        results = [each.result for _, each in sorted(self._taken(told), key=lambda pair: pair[1].number)]
        for result in results:
            if isinstance(result, MinimizeError):
                raise result
        for part in source.parts:
            getattr(part, "was_read", _nobody)()
        return results

    def _taken(self, told: Any) -> list[tuple[int, Told[Any]]]:
        try:
            with _without_noise():
                found: list[tuple[int, Told[Any]]] = told.collect()
                return found
        except _failures() as error:
            text = str(error)
        if _FULL.search(text) is not None:
            hint = "raise spark.executor.memory and spark.driver.memory, or lower MINIMIZE_MEMORY"
            raise OutOfMemoryError("out of memory on Spark; nothing was published", hint=hint)
        said = _SAID.search(text)
        if said is not None:
            raise ConfigurationError(said[0], code=INTERNAL, hint="please report it with this line; it holds no values")
        raise task_failure(text)


def _task(errand: Errand[Any], loads: Iterator[Load]) -> Iterator[tuple[int, Told[Any]]]:
    """On an executor: carries the errand out for each load."""
    for load in loads:
        yield load.number, Told(load.number, carried_out(errand, load, f"{load.number:05}-t{attempt()}"))


def _gathered(
    errand: Errand[T], gather: Gather[T], group: int, told: Iterator[tuple[int, Told[T]]]
) -> Iterator[tuple[int, Told[T]]]:
    """On an executor: puts together what came of a group of shares."""
    yield group, gathered(errand, gather, (each for _, each in told))


def attempt() -> int:
    """On an executor: the number of this attempt, which no other has."""
    from pyspark import TaskContext

    task: Any = TaskContext.get()
    return int(task.taskAttemptId())


def _failures() -> tuple[type[Exception], ...]:
    """What a job on Spark fails with."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return Py4JError, PySparkException


def _settled(cluster: Cluster, job: Job, loads: Sequence[Load], source: Source) -> Mapping[str, Technique]:
    alone = only_tops(job)
    if not alone.plan.fields:
        return {}
    if not deduplicates(job.plan):
        source = source.only(fields_read_for(alone.plan.policy, alone.plan.fields, alone.plan.pipeline))
        loads = [Load(number, share) for number, share in enumerate(cluster.cut(source))]
    return settled(job, cluster.few(job, values_seen, seen, loads, source))


def _outcome(whole: Finished, sinks: Any, quarantine: Any) -> Outcome:
    """Settles what successful tasks reported, and takes in their files."""
    for files in sorted(whole.files, key=lambda files: files.attempt):
        quarantine.take(files.attempt, files.rejects)
        if sinks is not None:
            sinks.take(files.attempt, files.records)
    if sinks is not None and not any(files.records for files in whole.files):
        sinks(0)
    return whole.done.settle()


def _session() -> Any:
    with _without_noise():
        kind = _session_class()
        session = None if kind is None else kind.getActiveSession() or _started(kind)
    if kind is None:
        raise ConfigurationError("the Spark engine needs pyspark", hint="pip install 'minimize[spark]'")
    if isinstance(session, ConfigurationError):
        raise session
    return session


def _session_class() -> Any:
    with suppress(ImportError):
        from pyspark.sql import SparkSession

        return SparkSession
    return None


def _started(kind: Any) -> Any:
    """A session, or the error that says why there is none."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    master = os.environ.get(MASTER, "local[*]")
    wrong = master_failure(master)
    if wrong is not None:
        return wrong
    builder = kind.builder.master(master).appName("minimize")
    for name, value in SAFE.items():
        builder = builder.config(name, value)
    failures: tuple[type[Exception], ...] = (*_failures(), OSError, RuntimeError, ValueError)
    try:
        return builder.getOrCreate()
    except failures as error:
        return start_failure(str(error))


def _quiet_context(session: Any) -> Any:
    with suppress(Exception):
        return session.sparkContext
    return None


@contextmanager
def _without_noise() -> Iterator[None]:
    """PySpark warns of pandas 3, which nothing here uses, and leaves its sockets to the collector."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        yield


def _nobody() -> None:
    """Nobody watches."""
