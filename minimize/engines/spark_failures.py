"""What went wrong when Spark did not start, or gave up on a task: told by the text of its error, which is never passed on."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minimize.errors import ConfigurationError

AUTHENTICATION: Final = "E220"
JAVA: Final = "E221"
MASTER: Final = "E222"
PACKAGE: Final = "E223"
SIZE: Final = "E224"
OLDEST_JAVA: Final = 17


@dataclass(frozen=True, slots=True)
class Failure:
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


_AT_START: Final = (
    Failure(
        re.compile(r"secret key must be specified"),
        AUTHENTICATION,
        "Spark does not start: `spark.authenticate.secret` is missing",
        "set it in spark-defaults.conf of master, workers and driver, and SPARK_CONF_DIR to its folder",
    ),
    Failure(
        re.compile(r"UnsupportedClassVersion|class file version"),
        JAVA,
        "Spark does not start: Java is too old",
        f"install Java {OLDEST_JAVA} or 21 and set JAVA_HOME to it",
    ),
    Failure(
        re.compile(
            r"(?i)masters are unresponsive|stopped SparkContext|SparkContext was shut down|master removed our app"
        ),
        MASTER,
        "Spark does not start: the master does not answer, or has another `spark.authenticate.secret`",
        "check MINIMIZE_SPARK_MASTER and compare the secret of master, workers and driver; the master's log says which",
    ),
)
_ON_EXECUTORS: Final = (
    Failure(
        re.compile(r"ModuleNotFoundError: No module named '(\w+)[\w.]*'"),
        PACKAGE,
        "executors lack the package `{}`",
        "install the driver's versions on every worker, and name that Python in PYSPARK_PYTHON",
    ),
    Failure(
        re.compile(r"PYTHON_VERSION_MISMATCH|Cannot run program"),
        PACKAGE,
        "executors lack the driver's version of Python",
        "install it on every worker, and name it in PYSPARK_PYTHON",
    ),
    Failure(
        re.compile(r"spark\.driver\.maxResultSize|RESULT_SIZE"),
        SIZE,
        "the tallies of the tasks are larger than the driver takes",
        "raise `spark.driver.maxResultSize` and `spark.driver.memory`, or aggregate by fewer keys",
    ),
    Failure(
        re.compile(r"spark\.rpc\.message\.maxSize"),
        SIZE,
        "a task or its result is larger than a message of Spark",
        "raise `spark.rpc.message.maxSize` (MiB, at most 2047)",
    ),
    Failure(
        re.compile(r"masters are unresponsive|stopped SparkContext|SparkContext was shut down"),
        MASTER,
        "the Spark master no longer answers",
        "its log says why; nothing was published",
    ),
)


_MASTERS: Final = re.compile(r"local(?:\[.*\])?|local-cluster\[.*\]|yarn|(?:spark|k8s)://.+")


def master_failure(master: str) -> ConfigurationError | None:
    """What is wrong with the address of a master; None for one that Spark takes."""
    if _MASTERS.fullmatch(master):
        return None
    hint = "write local[*], spark://HOST:7077, yarn or k8s://URL"
    return ConfigurationError("Spark does not start: MINIMIZE_SPARK_MASTER names no master", code=MASTER, hint=hint)


def start_failure(text: str) -> ConfigurationError:
    """Why no session could be started, from the text of Spark's error."""
    if "JAVA_GATEWAY_EXITED" in text:
        return java_failure()
    return _first(_AT_START, text) or ConfigurationError(
        "Spark does not start", hint="its log says why: check MINIMIZE_SPARK_MASTER and spark-defaults.conf"
    )


def task_failure(text: str) -> ConfigurationError:
    """Why a job on Spark failed, from the text of Spark's error."""
    return _first(_ON_EXECUTORS, text) or ConfigurationError(
        "Spark gave up on a task", hint="its log says why; it holds no values of records"
    )


def java_failure() -> ConfigurationError:
    """Why Java did not come up: it is missing, too old, or stopped."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    install = f"install Java {OLDEST_JAVA} or 21 and set JAVA_HOME to it"
    if java is None:
        where = "JAVA_HOME is a folder without bin/java" if home else "there is no `java` on the PATH, and no JAVA_HOME"
        return ConfigurationError(f"Spark does not start: Java is missing: {where}", code=JAVA, hint=install)
    version = _java_version(java)
    if version is not None and version < OLDEST_JAVA:
        return ConfigurationError(f"Spark does not start: Java {version} is too old", code=JAVA, hint=install)
    hint = "what Spark printed above says why; check SPARK_HOME, memory and spark-defaults.conf"
    return ConfigurationError("Spark does not start: its Java process stopped", code=JAVA, hint=hint)


def _java_version(java: str) -> int | None:
    """The major version, from the file `release` that a Java installation has; None if there is none."""
    release = ""
    with suppress(OSError, UnicodeDecodeError):
        release = (Path(java).resolve().parents[1] / "release").read_text("utf-8")
    hit = re.search(r'JAVA_VERSION="(?:1\.)?(\d+)', release)
    return int(hit[1]) if hit else None


def _first(failures: Sequence[Failure], text: str) -> ConfigurationError | None:
    return next((error for each in failures if (error := each.error(text)) is not None), None)
