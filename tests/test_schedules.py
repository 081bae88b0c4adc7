"""The ready-made schedules are what their schedulers can read, and each runs the whole night on a fresh machine."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from cronsim import CronSim
from ruamel.yaml import YAML

from tests.project import events, new_project

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "schedules"
DAG = ast.parse((FOLDER / "airflow_dag.py").read_text())
NIGHT = (
    "run",
    "expire",
    "consent expire",
    "access expire",
    "share recall request",
    "audit truncate",
    "verify",
)


@dataclass(frozen=True)
class Job:
    """What a scheduler does: a command of a shell, in a folder, with an environment."""

    command: str
    folder: str
    environment: dict[str, str]


def cronjob() -> Any:
    return YAML(typ="safe").load(FOLDER / "cronjob.yaml")


def pod() -> Any:
    return cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def crontab() -> list[str]:
    """The one line of the crontab that calls something: five fields, and the command."""
    lines = [line for line in (FOLDER / "crontab").read_text().splitlines() if line[:1] in "0123456789*"]
    assert len(lines) == 1
    return lines[0].split(maxsplit=5)


def keyword(name: str) -> Iterator[ast.expr]:
    calls = (node for node in ast.walk(DAG) if isinstance(node, ast.Call))
    return (each.value for call in calls for each in call.keywords if each.arg == name)


def from_cron() -> Job:
    lines = (FOLDER / "crontab").read_text().splitlines()
    named = (line.partition("=") for line in lines if line[:1].isupper())
    return Job(crontab()[5], "/", {name: value for name, _, value in named})


def from_systemd() -> Job:
    lines = [line.partition("=") for line in (FOLDER / "minimize.service").read_text().splitlines()]
    said = {name: value for name, _, value in lines}
    named = (value.partition("=") for name, _, value in lines if name == "Environment")
    return Job(said["ExecStart"], said["WorkingDirectory"], {name: value for name, _, value in named})


def from_airflow() -> Job:
    (command,), (folder,), (environment,) = (
        [ast.literal_eval(each) for each in keyword(name)] for name in ("bash_command", "cwd", "env")
    )
    assert not command.endswith(".sh"), "Airflow takes it for a template's file"
    return Job(command, folder, environment)


def from_kubernetes() -> Job:
    (container,) = pod()["containers"]
    ledger = {"MINIMIZE_LEDGER": "/srv/telemetry/ledger.db"}  # a secret holds the URL of a server
    named = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return Job(shlex.join(container["command"]), container["workingDir"], named | ledger)


JOBS = {
    "crontab": from_cron,
    "minimize.service": from_systemd,
    "airflow_dag.py": from_airflow,
    "cronjob.yaml": from_kubernetes,
}


@dataclass(frozen=True)
class Machine:
    """A fresh machine: minimize is installed, there are a project and a keyring, and nothing was ever run."""

    root: Path

    @classmethod
    def fresh(cls, root: Path, command: str) -> Machine:
        """With a shell command that gets what `minimize` is called with."""
        binaries, project = root / "opt/minimize/bin", root / "srv/telemetry"
        for folder in (binaries, project / "pipelines/device_telemetry", root / "etc/minimize", root / "run/keys"):
            folder.mkdir(parents=True)
        (binaries / "minimize").write_text(f'#!/bin/sh\necho "$@" >> {root}/calls\n{command}\n')
        (binaries / "minimize").chmod(0o755)
        for place in (binaries, project):
            shutil.copy(FOLDER / "nightly.sh", place)
        return cls(root)

    def with_project(self) -> None:
        """Writes a pipeline with data, and a keyring. Nothing was ever shared: the folder of recipients does not exist."""
        project = new_project(self.root / "srv/telemetry/pipelines/device_telemetry", lasting=True)
        project.pipeline(output="../../out/device_telemetry")
        project.records(events(40))
        for place in ("etc/minimize/keys", "run/keys/keyring"):
            shutil.copy(project.keys, self.root / place)

    def runs(self, job: Job) -> subprocess.CompletedProcess[str]:
        """Does what a scheduler would, once."""
        found = {"PATH": f"{self.root}/opt/minimize/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        given = found | {name: self._here(value) for name, value in job.environment.items()}
        asked, folder = self._here(job.command), self._here(job.folder)
        return subprocess.run(["sh", "-c", asked], cwd=folder, env=given, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        """What minimize was called with, by what is done."""
        said = (self.root / "calls").read_text().splitlines()
        return [next((step for step in NIGHT if f"{call} ".startswith(f"{step} ")), call) for call in said]

    def _here(self, text: str) -> str:
        for place in ("/opt/minimize", "/srv/telemetry", "/etc/minimize", "/run/keys"):
            text = text.replace(place, f"{self.root}{place}")
        return text


@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_does_every_step_of_a_night_in_a_fresh_folder(tmp_path: Path, schedule: str) -> None:
    machine = Machine.fresh(tmp_path, "exit 0")
    done = machine.runs(JOBS[schedule]())
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls == list(NIGHT)


@pytest.mark.parametrize("since", ["", "2026-11-20"])
def test_the_first_date_of_a_night_can_be_set(tmp_path: Path, since: str) -> None:
    machine = Machine.fresh(tmp_path, "exit 0")
    job = from_cron()
    assert machine.runs(Job(job.command, job.folder, job.environment | {"SINCE": since})).returncode == 0
    first = (tmp_path / "calls").read_text().splitlines()[0]
    end = " --since 2026-11-20 --quiet" if since else " --quiet"
    assert first == f"run pipelines/device_telemetry --pending{end}"


@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_fails_if_a_step_does(tmp_path: Path, schedule: str) -> None:
    machine = Machine.fresh(tmp_path, '[ "$1" != verify ]')
    assert machine.runs(JOBS[schedule]()).returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_runs_a_whole_night_on_a_fresh_machine(tmp_path: Path, schedule: str) -> None:
    machine = Machine.fresh(tmp_path, f'exec {sys.executable} -m minimize "$@"')
    machine.with_project()
    done = machine.runs(JOBS[schedule]())
    assert done.returncode == 0, done.stderr
    assert machine.calls == list(NIGHT)
    telemetry = tmp_path / "srv/telemetry"
    assert list((telemetry / "out/device_telemetry/records").rglob("*.parquet"))
    assert (telemetry / "ledger.db").is_file()
    assert len(list((telemetry / "recalls").glob("*.json"))) == 1
    if schedule == "crontab":  # cron sends mail for what is printed
        assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_unit_and_timer(tmp_path: Path) -> None:
    script = "/opt/minimize/bin/nightly.sh"
    installed = (FOLDER / "minimize.service").read_text().replace(script, str(FOLDER / "nightly.sh"))
    (tmp_path / "minimize.service").write_text(installed)
    shutil.copy(FOLDER / "minimize.timer", tmp_path)
    files = [tmp_path / "minimize.service", tmp_path / "minimize.timer"]
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_systemd_needs_no_folder_that_only_a_first_night_makes() -> None:
    (paths,) = (
        line.partition("=")[2]
        for line in (FOLDER / "minimize.service").read_text().splitlines()
        if line.startswith("ReadWritePaths=")
    )
    assert paths == from_systemd().folder


def test_cron_and_kubernetes_call_it_once_a_night() -> None:
    for each in (" ".join(crontab()[:5]), cronjob()["spec"]["schedule"]):
        calls = CronSim(each, datetime(2026, 11, 25, tzinfo=UTC))
        assert [f"{next(calls):%d %H:%M}" for _ in range(2)] == ["25 02:30", "26 02:30"]


def test_kubernetes_takes_the_cronjob() -> None:
    kubernetes_validate.validate(cronjob(), "1.31", strict=True)


def test_the_keyring_is_copied_for_the_user_alone_before_anything_runs() -> None:
    first, main = pod()["initContainers"][0], pod()["containers"][0]
    assert first["command"][:3] == ["install", "-m", "0600"]
    assert {"name": "MINIMIZE_KEYS", "value": first["command"][-1]} in main["env"]


def test_no_schedule_runs_as_root_or_beside_itself() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert cronjob()["spec"]["concurrencyPolicy"] == "Forbid"
    assert [ast.literal_eval(value) for value in keyword("max_active_runs")] == [1]
    assert "\nUser=" in (FOLDER / "minimize.service").read_text()
    assert "flock -n " in crontab()[5]


def test_every_schedule_names_the_same_ledger() -> None:
    assert {JOBS[name]().environment["MINIMIZE_LEDGER"] for name in JOBS} == {"/srv/telemetry/ledger.db"}
    assert "MINIMIZE_LEDGER" in {each["name"] for each in pod()["containers"][0]["env"]}


def test_the_dag_only_shells_out() -> None:
    imported = {node.module for node in ast.walk(DAG) if isinstance(node, ast.ImportFrom)}
    plain = {name.name for node in ast.walk(DAG) if isinstance(node, ast.Import) for name in node.names}
    assert (imported, plain) == ({"datetime", "airflow", "airflow.operators.bash"}, set())


def test_the_page_names_every_file() -> None:
    page = (FOLDER / "README.md").read_text()
    assert [path.name for path in FOLDER.iterdir() if f"`{path.name}`" not in page and path.name != "README.md"] == []
