from __future__ import annotations

from pathlib import Path

import pytest

from minimize.engines.spark import java_failure, master_failure, start_failure, task_failure

AT_START = [
    ("requirement failed: A secret key must be specified via the spark.authenticate.secret config.", "E220", "secret"),
    ("java.lang.UnsupportedClassVersionError: org/apache/spark/launcher/Main", "E221", "too old"),
    ("All masters are unresponsive! Giving up.", "E222", "does not answer"),
    ("Cannot call methods on a stopped SparkContext.", "E222", "does not answer"),
    ("CANARY of another kind", "E200", "does not start"),
]
ON_EXECUTORS = [
    ("ModuleNotFoundError: No module named 'minimize.engines'", "E223", "do not have the package `minimize`"),
    ("[PYTHON_VERSION_MISMATCH] Python in worker has different version", "E223", "version of Python"),
    ('java.io.IOException: Cannot run program "/opt/python": error=2', "E223", "version of Python"),
    (
        "Total size of serialized results of 2 tasks (2.1 GiB) is bigger than spark.driver.maxResultSize (1024.0 MiB)",
        "E224",
        "exceed the limit of the driver",
    ),
    (
        "Serialized task 0:0 was 9 bytes, which exceeds max allowed: spark.rpc.message.maxSize (8 bytes)",
        "E224",
        "message",
    ),
    ("CANARY of another kind", "E200", "failed repeatedly"),
]


@pytest.mark.parametrize(("text", "code", "message"), AT_START)
def test_each_cause_of_a_failed_spark_start_has_its_own_code_and_hint(text: str, code: str, message: str) -> None:
    error = start_failure(text)
    assert (error.code, message in error.message, error.exit_code) == (code, True, 2)
    assert error.hint
    assert "CANARY" not in str(error)


@pytest.mark.parametrize(("text", "code", "message"), ON_EXECUTORS)
def test_each_cause_of_a_failed_task_has_its_own_code_and_hint(text: str, code: str, message: str) -> None:
    error = task_failure(text)
    assert (error.code, message in error.message) == (code, True)
    assert error.hint
    assert "CANARY" not in str(error)


@pytest.mark.parametrize(
    "master", ["local", "local[*]", "local[2,3]", "spark://host:7077", "yarn", "k8s://https://host"]
)
def test_addresses_of_masters_are_taken(master: str) -> None:
    assert master_failure(master) is None


@pytest.mark.parametrize("master", ["nonsense", "", "spark:host", "http://host:7077"])
def test_an_invalid_master_address_is_refused_before_java_starts(master: str) -> None:
    error = master_failure(master)
    assert error is not None
    assert (error.code, "is not the URL of a master" in error.message) == ("E222", True)


def test_missing_java_and_wrong_java_versions_have_different_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "the folder of JAVA_HOME has no bin/java" in java_failure().message
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch()
    (tmp_path / "release").write_text('JAVA_VERSION="11.0.2"\n')
    java.chmod(0o755)
    assert "Java 11 is too old" in start_failure("[JAVA_GATEWAY_EXITED] Java gateway process exited").message
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.1"\n')
    assert "its Java process stopped" in java_failure().message
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`java` is not on the PATH" in java_failure().message
