"""The Spark engine: causes of failures, the session, and the run. Executors run the stages of the local engine.

Executors read with the sources of this package, so that positions, strict types and quarantine are the same. They write to the
run's staging folder, which they must see as the driver does, under names unique to each attempt. The driver publishes
only the files that successful tasks reported; retries and speculation count nothing twice. Executors merge tallies
first. Of a record, only the content of tallies and the subjects of undeclared fields pass through Spark. A session
that would write these to its disks, or send them, in plaintext is refused.

A failure is recognized by the text of Spark's error. That text is never passed on.
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
from minimize.engines.passes import (
    decide_risk,
    decides_risk_before_writing,
    deduplicates,
    fields_read_for_risk,
    split_shares,
    top_fields_job,
)
from minimize.engines.spark_tasks import (
    FinalPass,
    FinalResult,
    MergeResults,
    RemoteJob,
    RiskPass,
    ShareInput,
    ShareTask,
    TaskResult,
    assign_survivors,
    find_candidates,
    merge_final_results,
    merge_results,
    merge_risks,
    merge_tops,
    run_task,
    settle_tops,
    shared_hasher,
    tally_tops,
)
from minimize.errors import INTERNAL_ERROR, ConfigurationError, MinimizeError, OutOfMemoryError
from minimize.plan.request import fields_read_for
from minimize.sources.base import Source
from minimize.stages.risk_bound import RiskDecision
from minimize.techniques.base import Technique

AUTHENTICATION_CODE: Final = "E220"
JAVA_CODE: Final = "E221"
MASTER_CODE: Final = "E222"
PACKAGE_CODE: Final = "E223"
SIZE_CODE: Final = "E224"
OLDEST_JAVA: Final = 17


@dataclass(frozen=True, slots=True)
class SparkFailure:
    """One kind of failure. A group of the pattern, the name of a module, replaces `{}` in message and hint."""

    pattern: re.Pattern[str]
    code: str
    message: str
    hint: str

    def error(self, text: str) -> ConfigurationError | None:
        """The error, if the text matches."""
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
        "Set it in spark-defaults.conf of master, workers and driver, and SPARK_CONF_DIR to its folder.",
    ),
    SparkFailure(
        re.compile(r"UnsupportedClassVersion|class file version"),
        JAVA_CODE,
        "Spark does not start: Java is too old",
        f"Install Java {OLDEST_JAVA} or 21 and set JAVA_HOME to it.",
    ),
    SparkFailure(
        re.compile(
            r"(?i)masters are unresponsive|stopped SparkContext|SparkContext was shut down|master removed our app"
        ),
        MASTER_CODE,
        "Spark does not start: the master does not answer or has a different `spark.authenticate.secret`",
        "Check MINIMIZE_SPARK_MASTER, compare the secret of master, workers and driver, and read the log of the master.",
    ),
)
_TASK_FAILURES: Final = (
    SparkFailure(
        re.compile(r"ModuleNotFoundError: No module named '(\w+)[\w.]*'"),
        PACKAGE_CODE,
        "executors do not have the package `{}`",
        "Install the driver's versions on every worker, and set PYSPARK_PYTHON to that Python.",
    ),
    SparkFailure(
        re.compile(r"PYTHON_VERSION_MISMATCH|Cannot run program"),
        PACKAGE_CODE,
        "executors do not have the driver's version of Python",
        "Install it on every worker, and set PYSPARK_PYTHON to it.",
    ),
    SparkFailure(
        re.compile(r"spark\.driver\.maxResultSize|RESULT_SIZE"),
        SIZE_CODE,
        "the tallies of the tasks exceed the limit of the driver",
        "Raise `spark.driver.maxResultSize` and `spark.driver.memory`, or aggregate by fewer keys.",
    ),
    SparkFailure(
        re.compile(r"spark\.rpc\.message\.maxSize"),
        SIZE_CODE,
        "a task or its result exceeds the maximum size of a Spark message",
        "Raise `spark.rpc.message.maxSize` (MiB, at most 2047).",
    ),
    SparkFailure(
        re.compile(r"masters are unresponsive|stopped SparkContext|SparkContext was shut down"),
        MASTER_CODE,
        "the Spark master no longer answers",
        "Read its log for the cause. Nothing was published.",
    ),
)


_MASTER_PATTERN: Final = re.compile(r"local(?:\[.*\])?|local-cluster\[.*\]|yarn|(?:spark|k8s)://.+")


def master_failure(master: str) -> ConfigurationError | None:
    """The error in the URL of a master; None for one that Spark accepts."""
    if _MASTER_PATTERN.fullmatch(master):
        return None
    hint = "Write local[*], spark://HOST:7077, yarn or k8s://URL."
    return ConfigurationError(
        "Spark does not start: MINIMIZE_SPARK_MASTER is not the URL of a master", code=MASTER_CODE, hint=hint
    )


def start_failure(text: str) -> ConfigurationError:
    """The error for a failed start of a session, from the text of Spark's error."""
    if "JAVA_GATEWAY_EXITED" in text:
        return java_failure()
    return _first_match(_START_FAILURES, text) or ConfigurationError(
        "Spark does not start", hint="Read its log for the cause. Check MINIMIZE_SPARK_MASTER and spark-defaults.conf."
    )


def task_failure(text: str) -> ConfigurationError:
    """The error for a failed Spark job, from the text of Spark's error."""
    return _first_match(_TASK_FAILURES, text) or ConfigurationError(
        "a Spark task failed repeatedly", hint="Read its log for the cause. The log contains no values of records."
    )


def java_failure() -> ConfigurationError:
    """The error if Java did not start: it is missing, too old, or stopped."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    install = f"Install Java {OLDEST_JAVA} or 21 and set JAVA_HOME to it."
    if java is None:
        where = (
            "the folder of JAVA_HOME has no bin/java" if home else "`java` is not on the PATH, and JAVA_HOME is not set"
        )
        return ConfigurationError(f"Spark does not start: Java is missing: {where}", code=JAVA_CODE, hint=install)
    version = _java_version(java)
    if version is not None and version < OLDEST_JAVA:
        return ConfigurationError(f"Spark does not start: Java {version} is too old", code=JAVA_CODE, hint=install)
    hint = "Read the output of Spark above. Check SPARK_HOME, memory and spark-defaults.conf."
    return ConfigurationError("Spark does not start: its Java process stopped", code=JAVA_CODE, hint=hint)


def _java_version(java: str) -> int | None:
    """The major version, from the `release` file of a Java installation; None if there is none."""
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
"""Maximum number of tasks per processor."""
RESULTS_AT_ONCE: Final = 8
"""Number of results merged at a time, first by executors and then by the driver."""
SAFE_SETTINGS: Final = {
    "spark.io.encryption.enabled": "true",
    "spark.network.crypto.enabled": "true",
    "spark.authenticate": "true",
    "spark.rpc.message.maxSize": "1024",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""Settings of a session that is started here."""
_LOCAL: Final = re.compile(r"local(\[.*\])?")
_OUT_OF_MEMORY: Final = re.compile(
    r"OutOfMemoryError|MemoryError\b|exceeding .{0,20}memory limits|\bOOM\b|exit code:? 137"
)
"""Texts in Spark's errors if an executor or the driver ran out of memory."""
_INTERNAL_ERROR: Final = re.compile(r"an error inside minimize: .*?; the change in progress was not published")


def run(job: Job, source: Source, sinks: SinkFactory | None, quarantine: QuarantineSink) -> BatchOutcome:
    """Run the job over one source on Spark: first the passes for tallies that need all rows, then the last pass.

    Uses the active session, or starts one on MINIMIZE_SPARK_MASTER (default `local[*]`), which is kept for the next batch dates
    and ends with the process. Raises ConfigurationError without pyspark or Java, or for a session that is not safe.
    """
    if not isinstance(quarantine, WorkerOutputs) or not isinstance(sinks, WorkerOutputs | None):
        raise ConfigurationError("the Spark engine needs an output folder", hint="Call minimize.run with `output`.")
    job = replace(job, space=job.space.with_hasher(shared_hasher(job.keys)))
    cluster = SparkCluster(spark_context())
    loads = [ShareInput(number, share) for number, share in enumerate(cluster.split(source))]
    if deduplicates(job.plan):
        candidates = cluster.run_each(job, find_candidates, loads, source)
        loads = [
            replace(load, survivors=staying) for load, staying in zip(loads, assign_survivors(candidates), strict=True)
        ]
    known = _settle_tops(cluster, job, loads, source)
    rejects = quarantine.worker_files()
    records = None if sinks is None else sinks.worker_files()
    if rejects is None and not isinstance(quarantine, DiscardingQuarantine):
        raise ConfigurationError("the Spark engine needs an output folder", hint="Call minimize.run with `output`.")
    decision = _decide_risk(cluster, job, known, loads, source)
    finish = FinalPass(
        dict(known), decision, *(None if each is None else each.prepare() for each in (records, rejects))
    )
    return _settle_outcome(
        job,
        merge_final_results(job, cluster.run_and_merge(job, finish, merge_final_results, loads, source)),
        decision,
        sinks,
        quarantine,
    )


def spark_context() -> Any:
    """The context of the active session, or of a new one, if it is safe. Raises ConfigurationError."""
    session = _find_session()
    context = _context_or_none(session)
    if context is None:
        raise ConfigurationError("Spark Connect cannot run the tasks of minimize", hint="Use a classic session.")
    check_encryption(context.master, dict(context.getConf().getAll()))
    return context


def check_encryption(master: str, settings: Mapping[str, str]) -> None:
    """Raises ConfigurationError for a session that would write or send values without encryption."""
    required_settings = ["spark.io.encryption.enabled"]
    if not _LOCAL.fullmatch(master):
        required_settings.append("spark.network.crypto.enabled")
    missing = [name for name in required_settings if settings.get(name, "false").lower() != "true"]
    if missing:
        hint = f"Start it with {' and '.join(f'{name}=true' for name in missing)}."
        raise ConfigurationError("the Spark session would store values without encryption", hint=hint)


@dataclass(frozen=True, slots=True)
class SparkCluster:
    """The executors, and the jobs that they can run."""

    context: Any

    def split(self, source: Source) -> Sequence[Any]:
        """The input, with one share per task."""
        return split_shares(source.parts, TASKS_PER_PROCESSOR * int(self.context.defaultParallelism), least=1)

    def run_each(self, job: Job, work: ShareTask[T], loads: Sequence[ShareInput], source: Source) -> list[T]:
        """The result of a task for each load, in order. Raises the error of the first that failed."""
        return self._collect_results(self._run_tasks(RemoteJob.from_job(job, work), loads), source)

    def run_and_merge(
        self, job: Job, work: ShareTask[T], gather: MergeResults[T], loads: Sequence[ShareInput], source: Source
    ) -> list[T]:
        """The results of a task, partly merged by executors, so that only a few return to the driver.

        They are sent between executors through Spark's shuffle, which is encrypted on disk.
        """
        remote, many = RemoteJob.from_job(job, work), len(loads)
        results = self._run_tasks(remote, loads)
        while many > RESULTS_AT_ONCE:
            many = -(-many // RESULTS_AT_ONCE)
            results = results.partitionBy(many, int).mapPartitionsWithIndex(partial(_merge_group, remote, gather))
        return self._collect_results(results, source)

    def _run_tasks(self, remote: RemoteJob[Any], loads: Sequence[ShareInput]) -> Any:
        return self.context.parallelize(loads, len(loads)).mapPartitions(partial(_run_task, remote))

    def _collect_results(self, rows: Any, source: Source) -> list[Any]:
        results = [
            task_result.result for _, task_result in sorted(self._collect(rows), key=lambda pair: pair[1].number)
        ]
        for result in results:
            if isinstance(result, MinimizeError):
                raise result
        for part in source.parts:
            getattr(part, "was_read", _do_nothing)()
        return results

    def _collect(self, rows: Any) -> list[tuple[int, TaskResult[Any]]]:
        try:
            with _suppress_warnings():
                numbered_results: list[tuple[int, TaskResult[Any]]] = rows.collect()
                return numbered_results
        except _spark_exceptions() as error:
            text = str(error)
        if _OUT_OF_MEMORY.search(text) is not None:
            hint = "Raise spark.executor.memory and spark.driver.memory, or lower MINIMIZE_MEMORY."
            raise OutOfMemoryError("out of memory on Spark; the change in progress was not published", hint=hint)
        internal = _INTERNAL_ERROR.search(text)
        if internal is not None:
            raise ConfigurationError(
                internal[0], code=INTERNAL_ERROR, hint="Report this line to the developers. It contains no values."
            )
        raise task_failure(text)


def _run_task(remote: RemoteJob[Any], loads: Iterator[ShareInput]) -> Iterator[tuple[int, TaskResult[Any]]]:
    """On an executor: run the job for each load."""
    for load in loads:
        yield load.number, TaskResult(load.number, run_task(remote, load, f"{load.number:05}-t{attempt_number()}"))


def _merge_group(
    remote: RemoteJob[T], gather: MergeResults[T], group: int, results: Iterator[tuple[int, TaskResult[T]]]
) -> Iterator[tuple[int, TaskResult[T]]]:
    """On an executor: merge the results of a group of shares."""
    yield group, merge_results(remote, gather, (result for _, result in results))


def attempt_number() -> int:
    """On an executor: the unique number of this attempt."""
    from pyspark import TaskContext

    task: Any = TaskContext.get()
    return int(task.taskAttemptId())


def _spark_exceptions() -> tuple[type[Exception], ...]:
    """The exceptions of a failed Spark job."""
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


def _decide_risk(
    cluster: SparkCluster, job: Job, settled: Mapping[str, Technique], loads: Sequence[ShareInput], source: Source
) -> RiskDecision | None:
    """What a bound on disclosure risk does that can remove or coarsen records; None without such a bound."""
    if not decides_risk_before_writing(job.plan):
        return None
    if not deduplicates(job.plan):
        source = source.only(fields_read_for_risk(job))
        loads = [ShareInput(number, share) for number, share in enumerate(cluster.split(source))]
    tallies = cluster.run_and_merge(job, RiskPass(dict(settled)), merge_risks, loads, source)
    return decide_risk(job, merge_risks(job, tallies))


def _settle_outcome(
    job: Job, whole: FinalResult, decision: RiskDecision | None, sinks: Any, quarantine: Any
) -> BatchOutcome:
    """Settle the results that successful tasks reported, and add their files."""
    for files in sorted(whole.files, key=lambda files: files.attempt):
        quarantine.take(files.attempt, files.rejects)
        if sinks is not None:
            sinks.take(files.attempt, files.records)
    if sinks is not None and not any(files.records for files in whole.files):
        sinks(0)
    return whole.partition_result.settle(job, decision)


def _find_session() -> Any:
    with _suppress_warnings():
        kind = _session_class()
        session = None if kind is None else kind.getActiveSession() or _start_session(kind)
    if kind is None:
        raise ConfigurationError("the Spark engine needs pyspark", hint="Install minimize with its extra `spark`.")
    if isinstance(session, ConfigurationError):
        raise session
    return session


def _session_class() -> Any:
    with suppress(ImportError):
        from pyspark.sql import SparkSession

        return SparkSession
    return None


def _start_session(kind: Any) -> Any:
    """A new session. Raises the error that explains why it cannot start."""
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
    """Suppresses PySpark's warnings about pandas 3, which is not used here, and about sockets that it does not close."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        yield


def _do_nothing() -> None:
    """Does nothing, for a job without an observer."""
