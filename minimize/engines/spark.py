"""The Spark engine: causes of failed starts and tasks, the session, and the run. Executors run the local engine's stages.

Executors read with our own sources, so that positions, strict types and quarantine stay. They write below the run's staging
folder, which they must see as the driver does, under names that no other attempt has. The driver publishes what successful
tasks reported; retries and speculation count nothing twice. Executors merge tallies first. Of a record, only what tallies
hold and the subjects of undeclared fields pass through Spark. A session that would write these to its disks, or send them,
in plaintext is refused.

A failure is recognized by the text of Spark's error, which is never passed on.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from minimize.engines.base import BatchOutcome, DiscardingQuarantine, Job, QuarantineSink, SinkFactory, WorkerOutputs
from minimize.engines.passes import deduplicates, split_shares, top_fields_job
from minimize.engines.spark_tasks import (
    FinalPass,
    FinalResult,
    MergeResults,
    RemoteJob,
    ShareInput,
    ShareTask,
    TaskResult,
    assign_survivors,
    find_candidates,
    merge_final_results,
    merge_results,
    merge_tops,
    run_task,
    settle_tops,
    tally_tops,
)
from minimize.errors import INTERNAL_ERROR, ConfigurationError, MinimizeError, OutOfMemoryError
from minimize.plan.request import fields_read_for
from minimize.sources.base import Source
from minimize.techniques.base import Technique

AUTHENTICATION_CODE: Final = "E220"
JAVA_CODE: Final = "E221"
MASTER_CODE: Final = "E222"
PACKAGE_CODE: Final = "E223"
SIZE_CODE: Final = "E224"
OLDEST_JAVA: Final = 17


@dataclass(frozen=True, slots=True)
class SparkFailure:
    """One kind of failure. A group of the pattern, the name of a module, stands for `{}` in message and hint."""

    pattern: re.Pattern[str]
    code: str
    message: str
    hint: str

    def error(self, text: str) -> ConfigurationError | None:
        """The error, if the text is of this kind."""
        hit = self.pattern.search(text)
        if hit is None:
            return None
        words = [word for word in hit.groups() if word]
        return ConfigurationError(self.message.format(*words), code=self.code, hint=self.hint.format(*words))


_START_FAILURES: Final = (
    SparkFailure(
        re.compile(r"secret key must be specified"),
        AUTHENTICATION_CODE,
        "Spark does not start: `spark.authenticate.secret` is missing",
        "set it in spark-defaults.conf of master, workers and driver, and SPARK_CONF_DIR to its folder",
    ),
    SparkFailure(
        re.compile(r"UnsupportedClassVersion|class file version"),
        JAVA_CODE,
        "Spark does not start: Java is too old",
        f"install Java {OLDEST_JAVA} or 21 and set JAVA_HOME to it",
    ),
    SparkFailure(
        re.compile(
            r"(?i)masters are unresponsive|stopped SparkContext|SparkContext was shut down|master removed our app"
        ),
        MASTER_CODE,
        "Spark does not start: the master does not answer, or has another `spark.authenticate.secret`",
        "check MINIMIZE_SPARK_MASTER and compare the secret of master, workers and driver; the master's log says which",
    ),
)
_TASK_FAILURES: Final = (
    SparkFailure(
        re.compile(r"ModuleNotFoundError: No module named '(\w+)[\w.]*'"),
        PACKAGE_CODE,
        "executors lack the package `{}`",
        "install the driver's versions on every worker, and name that Python in PYSPARK_PYTHON",
    ),
    SparkFailure(
        re.compile(r"PYTHON_VERSION_MISMATCH|Cannot run program"),
        PACKAGE_CODE,
        "executors lack the driver's version of Python",
        "install it on every worker, and name it in PYSPARK_PYTHON",
    ),
    SparkFailure(
        re.compile(r"spark\.driver\.maxResultSize|RESULT_SIZE"),
        SIZE_CODE,
        "the tallies of the tasks are larger than the driver takes",
        "raise `spark.driver.maxResultSize` and `spark.driver.memory`, or aggregate by fewer keys",
    ),
    SparkFailure(
        re.compile(r"spark\.rpc\.message\.maxSize"),
        SIZE_CODE,
        "a task or its result is larger than a message of Spark",
        "raise `spark.rpc.message.maxSize` (MiB, at most 2047)",
    ),
    SparkFailure(
        re.compile(r"masters are unresponsive|stopped SparkContext|SparkContext was shut down"),
        MASTER_CODE,
        "the Spark master no longer answers",
        "its log says why; nothing was published",
    ),
)


_MASTER_PATTERN: Final = re.compile(r"local(?:\[.*\])?|local-cluster\[.*\]|yarn|(?:spark|k8s)://.+")


def master_failure(master: str) -> ConfigurationError | None:
    """What is wrong with the address of a master; None for one that Spark takes."""
    if _MASTER_PATTERN.fullmatch(master):
        return None
    hint = "write local[*], spark://HOST:7077, yarn or k8s://URL"
    return ConfigurationError(
        "Spark does not start: MINIMIZE_SPARK_MASTER names no master", code=MASTER_CODE, hint=hint
    )


def start_failure(text: str) -> ConfigurationError:
    """Why no session could be started, from the text of Spark's error."""
    if "JAVA_GATEWAY_EXITED" in text:
        return java_failure()
    return _first_match(_START_FAILURES, text) or ConfigurationError(
        "Spark does not start", hint="its log says why: check MINIMIZE_SPARK_MASTER and spark-defaults.conf"
    )


def task_failure(text: str) -> ConfigurationError:
    """Why a job on Spark failed, from the text of Spark's error."""
    return _first_match(_TASK_FAILURES, text) or ConfigurationError(
        "Spark gave up on a task", hint="its log says why; it holds no values of records"
    )


def java_failure() -> ConfigurationError:
    """Why Java did not come up: it is missing, too old, or stopped."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    install = f"install Java {OLDEST_JAVA} or 21 and set JAVA_HOME to it"
    if java is None:
        where = "JAVA_HOME is a folder without bin/java" if home else "there is no `java` on the PATH, and no JAVA_HOME"
        return ConfigurationError(f"Spark does not start: Java is missing: {where}", code=JAVA_CODE, hint=install)
    version = _java_version(java)
    if version is not None and version < OLDEST_JAVA:
        return ConfigurationError(f"Spark does not start: Java {version} is too old", code=JAVA_CODE, hint=install)
    hint = "what Spark printed above says why; check SPARK_HOME, memory and spark-defaults.conf"
    return ConfigurationError("Spark does not start: its Java process stopped", code=JAVA_CODE, hint=hint)


def _java_version(java: str) -> int | None:
    """The major version, from the file `release` that a Java installation has; None if there is none."""
    release = ""
    with suppress(OSError, UnicodeDecodeError):
        release = (Path(java).resolve().parents[1] / "release").read_text("utf-8")
    hit = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release)
    return int(hit[1]) if hit else None


def _first_match(failures: Sequence[SparkFailure], text: str) -> ConfigurationError | None:
    return next((error for each in failures if (error := each.error(text)) is not None), None)


T = TypeVar("T")
MASTER_VARIABLE: Final = "MINIMIZE_SPARK_MASTER"
TASKS_PER_PROCESSOR: Final = 2
"""Tasks for each processor, at most."""
RESULTS_AT_ONCE: Final = 8
"""So many results are put together at a time: by executors, and what is left by the driver."""
SAFE_SETTINGS: Final = {
    "spark.io.encryption.enabled": "true",
    "spark.network.crypto.enabled": "true",
    "spark.authenticate": "true",
    "spark.rpc.message.maxSize": "1024",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""How a session is started where there is none."""
_LOCAL: Final = re.compile(r"local(\[.*\])?")
_OUT_OF_MEMORY: Final = re.compile(
    r"OutOfMemoryError|MemoryError\b|exceeding .{0,20}memory limits|\bOOM\b|exit code:? 137"
)
"""What Spark's errors say if an executor or the driver ran out of memory."""
_INTERNAL_ERROR: Final = re.compile(r"an error inside minimize: .*?; nothing was published")


def run(job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
    """Runs the job over one source on Spark: what must see everything first in passes of its own, then the rest.

    Takes the active session, else starts one on MINIMIZE_SPARK_MASTER (`local[*]`), which stays for the next batch date and
    ends with the process. Raises ConfigurationError without pyspark or Java, or for a session that is not safe.
    """
    if not isinstance(quarantine, WorkerOutputs) or not isinstance(sinks, WorkerOutputs | None):
        raise ConfigurationError("Spark writes below an output folder", hint="use minimize.run with `output`")
    cluster = SparkCluster(spark_context())
    loads = [ShareInput(number, share) for number, share in enumerate(cluster.split(source))]
    if deduplicates(job.plan):
        found = cluster.run_each(job, find_candidates, loads, source)
        loads = [replace(load, survivors=staying) for load, staying in zip(loads, assign_survivors(found), strict=True)]
    known = _settle_tops(cluster, job, loads, source)
    rejects = quarantine.worker_files()
    records = None if sinks is None else sinks.worker_files()
    if rejects is None and not isinstance(quarantine, DiscardingQuarantine):
        raise ConfigurationError("Spark writes below an output folder", hint="use minimize.run with `output`")
    finish = FinalPass(dict(known), *(None if each is None else each.prepare() for each in (records, rejects)))
    return _settle_outcome(
        merge_final_results(job, cluster.run_and_merge(job, finish, merge_final_results, loads, source)),
        sinks,
        quarantine,
    )


def spark_context() -> Any:
    """The context of the active session, or of one that is started here, if it is safe. Raises ConfigurationError."""
    session = _find_session()
    found = _context_or_none(session)
    if found is None:
        raise ConfigurationError("Spark Connect has no tasks of our own", hint="use a classic session")
    check_encryption(found.master, dict(found.getConf().getAll()))
    return found


def check_encryption(master: str, settings: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a session that would write or send values in the clear."""
    wanted = ["spark.io.encryption.enabled"]
    if not _LOCAL.fullmatch(master):
        wanted.append("spark.network.crypto.enabled")
    missing = [name for name in wanted if settings.get(name, "false").lower() != "true"]
    if missing:
        hint = f"start it with {' and '.join(f'{name}=true' for name in missing)}"
        raise ConfigurationError("the Spark session would hold values in the clear", hint=hint)


@dataclass(frozen=True, slots=True)
class SparkCluster:
    """Executors, and what they can be sent to do."""

    context: Any

    def split(self, source: Source) -> Sequence[Any]:
        """The input in a share for each task."""
        return split_shares(source.parts, TASKS_PER_PROCESSOR * int(self.context.defaultParallelism), least=1)

    def run_each(self, job: Job, work: ShareTask[T], loads: Sequence[ShareInput], source: Source) -> list[T]:
        """What came of some work on each load, in their order. Raises what was wrong with the first that failed."""
        return self._collect_results(self._run_tasks(RemoteJob.from_job(job, work), loads), source)

    def run_and_merge(
        self, job: Job, work: ShareTask[T], gather: MergeResults[T], loads: Sequence[ShareInput], source: Source
    ) -> list[T]:
        """The same, some of it put together by executors, so that no more than a few come back.

        It goes from one executor to another through Spark's shuffle, which writes it encrypted.
        """
        errand, many = RemoteJob.from_job(job, work), len(loads)
        told = self._run_tasks(errand, loads)
        while many > RESULTS_AT_ONCE:
            many = -(-many // RESULTS_AT_ONCE)
            told = told.partitionBy(many, int).mapPartitionsWithIndex(partial(_merge_group, errand, gather))
        return self._collect_results(told, source)

    def _run_tasks(self, errand: RemoteJob[Any], loads: Sequence[ShareInput]) -> Any:
        return self.context.parallelize(loads, len(loads)).mapPartitions(partial(_run_task, errand))

    def _collect_results(self, rows: Any, source: Source) -> list[Any]:
        results = [each.result for _, each in sorted(self._collect(rows), key=lambda pair: pair[1].number)]
        for result in results:
            if isinstance(result, MinimizeError):
                raise result
        for part in source.parts:
            getattr(part, "was_read", _do_nothing)()
        return results

    def _collect(self, rows: Any) -> list[tuple[int, TaskResult[Any]]]:
        try:
            with _suppress_warnings():
                found: list[tuple[int, TaskResult[Any]]] = rows.collect()
                return found
        except _spark_exceptions() as error:
            text = str(error)
        if _OUT_OF_MEMORY.search(text) is not None:
            hint = "raise spark.executor.memory and spark.driver.memory, or lower MINIMIZE_MEMORY"
            raise OutOfMemoryError("out of memory on Spark; nothing was published", hint=hint)
        said = _INTERNAL_ERROR.search(text)
        if said is not None:
            raise ConfigurationError(
                said[0], code=INTERNAL_ERROR, hint="please report it with this line; it holds no values"
            )
        raise task_failure(text)


def _run_task(errand: RemoteJob[Any], loads: Iterator[ShareInput]) -> Iterator[tuple[int, TaskResult[Any]]]:
    """On an executor: carries the errand out for each load."""
    for load in loads:
        yield load.number, TaskResult(load.number, run_task(errand, load, f"{load.number:05}-t{attempt_number()}"))


def _merge_group(
    errand: RemoteJob[T], gather: MergeResults[T], group: int, results: Iterator[tuple[int, TaskResult[T]]]
) -> Iterator[tuple[int, TaskResult[T]]]:
    """On an executor: puts together what came of a group of shares."""
    yield group, merge_results(errand, gather, (each for _, each in results))


def attempt_number() -> int:
    """On an executor: the number of this attempt, which no other has."""
    from pyspark import TaskContext

    task: Any = TaskContext.get()
    return int(task.taskAttemptId())


def _spark_exceptions() -> tuple[type[Exception], ...]:
    """What a job on Spark fails with."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return Py4JError, PySparkException


def _settle_tops(
    cluster: SparkCluster, job: Job, loads: Sequence[ShareInput], source: Source
) -> Mapping[str, Technique]:
    alone = top_fields_job(job)
    if not alone.plan.fields:
        return {}
    if not deduplicates(job.plan):
        source = source.only(fields_read_for(alone.plan.policy, alone.plan.fields, alone.plan.pipeline))
        loads = [ShareInput(number, share) for number, share in enumerate(cluster.split(source))]
    return settle_tops(job, cluster.run_and_merge(job, tally_tops, merge_tops, loads, source))


def _settle_outcome(whole: FinalResult, sinks: Any, quarantine: Any) -> BatchOutcome:
    """Settles what successful tasks reported, and takes in their files."""
    for files in sorted(whole.files, key=lambda files: files.attempt):
        quarantine.take(files.attempt, files.rejects)
        if sinks is not None:
            sinks.take(files.attempt, files.records)
    if sinks is not None and not any(files.records for files in whole.files):
        sinks(0)
    return whole.done.settle()


def _find_session() -> Any:
    with _suppress_warnings():
        kind = _session_class()
        session = None if kind is None else kind.getActiveSession() or _start_session(kind)
    if kind is None:
        raise ConfigurationError(
            "the Spark engine requires the package pyspark", hint="Install minimize with its extra `spark`."
        )
    if isinstance(session, ConfigurationError):
        raise session
    return session


def _session_class() -> Any:
    with suppress(ImportError):
        from pyspark.sql import SparkSession

        return SparkSession
    return None


def _start_session(kind: Any) -> Any:
    """A session, or the error that says why there is none."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    master = os.environ.get(MASTER_VARIABLE, "local[*]")
    wrong = master_failure(master)
    if wrong is not None:
        return wrong
    builder = kind.builder.master(master).appName("minimize")
    for name, value in SAFE_SETTINGS.items():
        builder = builder.config(name, value)
    failures: tuple[type[Exception], ...] = (*_spark_exceptions(), OSError, RuntimeError, ValueError)
    try:
        return builder.getOrCreate()
    except failures as error:
        return start_failure(str(error))


def _context_or_none(session: Any) -> Any:
    with suppress(Exception):
        return session.sparkContext
    return None


@contextmanager
def _suppress_warnings() -> Iterator[None]:
    """PySpark warns of pandas 3, which nothing here uses, and leaves its sockets to the collector."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        yield


def _do_nothing() -> None:
    """Nobody watches."""
