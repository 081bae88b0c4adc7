"""The Spark engine on a standalone cluster of its own: a master and a worker in processes of their own, with authentication.

All three read one `spark-defaults.conf`, as the guide says.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import minimize
from tests.project import AT, Project, events, new_project
from tests.sparking import want_spark

pytestmark = [pytest.mark.spark, pytest.mark.nightly]
SETTINGS = {
    "spark.authenticate": "true",
    "spark.authenticate.secret": "of-no-use-outside-of-this-test",
    "spark.network.crypto.enabled": "true",
    "spark.io.encryption.enabled": "true",
}
SCRIPT = """
import sys, minimize
from importlib import import_module
engine = import_module("minimize.engines.spark")
engine.FEW = 2
minimize.run(sys.argv[1], engine="spark", at=sys.argv[2], output=sys.argv[3], keys=sys.argv[4])
print("master", engine.context().master)
"""


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which a run finds the cluster."""
    want_spark()
    found: Any = find_spec("pyspark")
    home, conf = Path(found.origin).parent, tmp_path / "conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in SETTINGS.items()))
    port = free_port()
    env = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(conf),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(tmp_path / "local"),
        "PYSPARK_PYTHON": sys.executable,
        "MINIMIZE_SPARK_MASTER": f"spark://127.0.0.1:{port}",
    }
    master = ["master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
    worker = [
        "worker.Worker",
        "--host",
        "127.0.0.1",
        "--webui-port",
        "0",
        "-c",
        "2",
        "-m",
        "1g",
        "-d",
        str(tmp_path / "work"),
    ]
    daemons = []
    for kind, *words in (master, [*worker, env["MINIMIZE_SPARK_MASTER"]]):
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *words]
        daemons.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(port)
    yield env
    for daemon in reversed(daemons):
        daemon.terminate()
        daemon.wait(60)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def wait_for(port: int) -> None:
    """Waits until somebody listens."""
    for _ in range(1200):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the master does not listen")


@pytest.fixture(name="house")
def _house(tmp_path: Path) -> Project:
    house = new_project(tmp_path)
    house.pipeline(records={"deduplicate": {"by": ["device_id", "model"]}, "partition_by": ["tenant_id"]})
    for name in range(4):
        house.records([*events(90, first=60 * name), '{"broken'], name=f"f{name}")
    return house


def test_executors_elsewhere_give_what_the_local_engine_gives(
    house: Project, cluster: dict[str, str], tmp_path: Path
) -> None:
    local = house.run(output=tmp_path / "alone")
    words = [str(house.folder), AT.isoformat(), str(house.out), str(house.keys)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], env=cluster, capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stderr
    assert f"master {cluster['MINIMIZE_SPARK_MASTER']}" in done.stdout
    for name in local.outputs:
        assert house.rows(name) == house.rows(name, tmp_path / "alone")
    minimize.verify(house.out, keys=house.keys)


def failed(house: Project, env: dict[str, str]) -> str:
    """What `minimize run` on Spark writes to stderr when it ends with an error."""
    words = ["run", str(house.folder), "--engine", "spark", "--at", AT.isoformat(), "--keys", str(house.keys)]
    done = subprocess.run(
        [sys.executable, "-m", "minimize", *words, "--output", str(house.out), "--json"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 2, done.stderr
    assert house.files() == set()
    return done.stderr


def test_without_a_secret_the_error_names_the_setting(house: Project, cluster: dict[str, str]) -> None:
    printed = failed(house, {name: value for name, value in cluster.items() if name != "SPARK_CONF_DIR"})
    assert '"E220"' in printed
    assert "`spark.authenticate.secret` is missing" in printed


def test_with_another_secret_the_error_names_the_secret(
    house: Project, cluster: dict[str, str], tmp_path: Path
) -> None:
    conf = tmp_path / "another"
    conf.mkdir()
    settings = SETTINGS | {"spark.authenticate.secret": "another"}
    (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    printed = failed(house, cluster | {"SPARK_CONF_DIR": str(conf)})
    assert '"E222"' in printed
    assert "has another `spark.authenticate.secret`" in printed


def test_without_java_the_error_names_java(house: Project, cluster: dict[str, str], tmp_path: Path) -> None:
    printed = failed(house, cluster | {"JAVA_HOME": str(tmp_path)})
    assert '"E221"' in printed
    assert "Java is missing" in printed
