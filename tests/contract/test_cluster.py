"""The Spark engine on a standalone cluster of its own: a master and a worker in processes of their own, with authentication.

All three read one `spark-defaults.conf`, as the guide says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import minimize
from tests.ports import is_listening, start_on_free_port
from tests.project import AT, Project, events, new_project
from tests.sparking import want_spark

pytestmark = [pytest.mark.spark, pytest.mark.nightly]
SETTINGS = {
    "spark.authenticate": "true",
    "spark.authenticate.secret": "of-no-use-outside-of-this-test",
    "spark.network.crypto.enabled": "true",
    "spark.io.encryption.enabled": "true",
}
DAEMON = {"spark.port.maxRetries": "0", "spark.master.rest.enabled": "false"}
"""A master whose port was taken ends, rather than listen on the next one; it has no second port, for submissions."""
SCRIPT = """
import sys, minimize
from importlib import import_module
engine = import_module("minimize.engines.spark")
engine.RESULTS_AT_ONCE = 2
minimize.run(sys.argv[1], engine="spark", at=sys.argv[2], output=sys.argv[3], keys=sys.argv[4])
print("master", engine.spark_context().master)
"""


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which a run finds the cluster."""
    want_spark()
    found: Any = find_spec("pyspark")
    home, conf = Path(found.origin).parent, tmp_path / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in SETTINGS.items()))
    env = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(conf),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(tmp_path / "local"),
        "SPARK_DAEMON_JAVA_OPTS": " ".join(f"-D{name}={value}" for name, value in DAEMON.items()),
        "PYSPARK_PYTHON": sys.executable,
    }

    def daemon(kind: str, *words: str) -> list[str]:
        return [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1", *words]

    quiet: dict[str, Any] = {"env": env, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    master, port = start_on_free_port(
        lambda port: daemon("master.Master", "--port", str(port), "--webui-port", "0"), is_listening, **quiet
    )
    env["MINIMIZE_SPARK_MASTER"] = f"spark://127.0.0.1:{port}"
    limits = ("--webui-port", "0", "-c", "2", "-m", "1g", "-d", str(tmp_path / "work"))
    worker = subprocess.Popen(daemon("worker.Worker", *limits, env["MINIMIZE_SPARK_MASTER"]), **quiet)
    yield env
    for process in (worker, master):
        process.terminate()
        process.wait(60)


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Project:
    project = new_project(tmp_path)
    project.pipeline(records={"deduplicate": {"by": ["device_id", "model"]}, "partition_by": ["tenant_id"]})
    for name in range(4):
        project.records([*events(90, first=60 * name), '{"broken'], name=f"f{name}")
    return project


def test_executors_elsewhere_give_what_the_local_engine_gives(
    project: Project, cluster: dict[str, str], tmp_path: Path
) -> None:
    local = project.run(output=tmp_path / "alone", ledger=tmp_path / "alone.db")
    words = [str(project.folder), AT.isoformat(), str(project.out), str(project.keys)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], env=cluster, capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert f"master {cluster['MINIMIZE_SPARK_MASTER']}" in done.stdout
    for name in local.outputs:
        assert project.rows(name) == project.rows(name, tmp_path / "alone")
    minimize.verify(project.out, keys=project.keys)


def failed(project: Project, env: dict[str, str]) -> str:
    """What `minimize run` on Spark writes to stderr when it ends with an error."""
    words = ["run", str(project.folder), "--engine", "spark", "--at", AT.isoformat(), "--keys", str(project.keys)]
    done = subprocess.run(
        [sys.executable, "-m", "minimize", *words, "--output", str(project.out), "--json"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 2, done.stderr
    assert project.files() == set()
    return done.stderr


def test_without_a_secret_the_error_names_the_setting(project: Project, cluster: dict[str, str]) -> None:
    printed = failed(project, {name: value for name, value in cluster.items() if name != "SPARK_CONF_DIR"})
    assert '"E220"' in printed
    assert "`spark.authenticate.secret` is missing" in printed


def test_with_another_secret_the_error_names_the_secret(
    project: Project, cluster: dict[str, str], tmp_path: Path
) -> None:
    conf = tmp_path / "another"
    conf.mkdir()
    settings = SETTINGS | {"spark.authenticate.secret": "another"}
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    printed = failed(project, cluster | {"SPARK_CONF_DIR": str(conf)})
    assert '"E222"' in printed
    assert "has a different `spark.authenticate.secret`" in printed


def test_without_java_the_error_names_java(project: Project, cluster: dict[str, str], tmp_path: Path) -> None:
    printed = failed(project, cluster | {"JAVA_HOME": str(tmp_path)})
    assert '"E221"' in printed
    assert "Java is missing" in printed
