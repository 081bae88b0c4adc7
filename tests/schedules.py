"""The schedules that are shipped, each as the job that its scheduler would start, and a machine on which such jobs run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.project import CHECKOUT

FOLDER = CHECKOUT / "docs" / "schedules"
DAG = ast.parse((FOLDER / "airflow_dag.py").read_text())
PLACES = ("/opt/minimize", "/srv/telemetry", "/etc/minimize", "/run/keys")


@dataclass(frozen=True)
class Job:
    """What a scheduler does: a command of a shell, in a folder, with an environment."""

    command: str
    folder: str
    environment: dict[str, str]

    @property
    def places(self) -> dict[str, str]:
        """The outputs that the job names, by their pipelines."""
        words = shlex.split(f"{self.command} {self.environment.get('NIGHT', '')}")
        named = [word for word in words if re.match("(pipelines|out)/", word)]
        return dict(zip(named[::2], named[1::2], strict=True))


def cronjob() -> Any:
    """The CronJob of Kubernetes."""
    return YAML(typ="safe").load(FOLDER / "cronjob.yaml")


def pod() -> Any:
    """The pod of the CronJob."""
    return cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def crontab() -> list[str]:
    """The one line of the crontab that calls something: five fields, and the command."""
    lines = [line for line in (FOLDER / "crontab").read_text().splitlines() if line[:1] in "0123456789*"]
    assert len(lines) == 1
    return lines[0].split(maxsplit=5)


def keyword(name: str) -> Iterator[ast.expr]:
    """The values that the DAG passes under a keyword."""
    calls = (node for node in ast.walk(DAG) if isinstance(node, ast.Call))
    return (each.value for call in calls for each in call.keywords if each.arg == name)


def from_cron() -> Job:
    """The line of the crontab, in the environment that its other lines set."""
    lines = (FOLDER / "crontab").read_text().splitlines()
    named = (line.partition("=") for line in lines if line[:1].isupper())
    return Job(crontab()[5], "/", {name: value for name, _, value in named})


def from_systemd() -> Job:
    """The command of the unit, in its folder and environment."""
    text = (FOLDER / "minimize.service").read_text().replace("\\\n", " ")
    lines = [line.partition("=") for line in text.splitlines()]
    said = {name: value for name, _, value in lines}
    named = (value.partition("=") for name, _, value in lines if name == "Environment")
    return Job(said["ExecStart"], said["WorkingDirectory"], {name: value for name, _, value in named})


def from_airflow() -> Job:
    """The command of the DAG's only task."""
    (command,), (folder,), (environment,) = (
        [ast.literal_eval(each) for each in keyword(name)] for name in ("bash_command", "cwd", "env")
    )
    assert not command.endswith(".sh"), "Airflow takes it for a template's file"
    return Job(command, folder, environment)


def from_kubernetes() -> Job:
    """The command and arguments of the only container."""
    (container,) = pod()["containers"]
    ledger = {"MINIMIZE_LEDGER": "/srv/telemetry/ledger.db"}  # a secret holds the URL of a server
    named = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return Job(shlex.join([*container["command"], *container["args"]]), container["workingDir"], named | ledger)


JOBS = {
    "crontab": from_cron,
    "minimize.service": from_systemd,
    "airflow_dag.py": from_airflow,
    "cronjob.yaml": from_kubernetes,
}


@dataclass(frozen=True)
class Machine:
    """A machine on which minimize is installed. The folders of the schedules are below its root."""

    root: Path

    @classmethod
    def fresh(cls, root: Path, minimize: str) -> Machine:
        """With this script for `minimize`, and nothing that was ever run."""
        made = cls(root)
        for folder in (made.binaries, made.telemetry / "pipelines", root / "etc/minimize", root / "run/keys"):
            folder.mkdir(parents=True)
        (made.binaries / "minimize").write_text(minimize)
        (made.binaries / "minimize").chmod(0o755)
        for place in (made.binaries, made.telemetry):
            shutil.copy(FOLDER / "nightly.sh", place)
        return made

    @property
    def binaries(self) -> Path:
        """The folder of the programs."""
        return self.root / "opt/minimize/bin"

    @property
    def telemetry(self) -> Path:
        """The folder of the project."""
        return self.root / "srv/telemetry"

    def runs(self, job: Job, **more: str) -> subprocess.CompletedProcess[str]:
        """Does what a scheduler would, once."""
        found = {"PATH": f"{self.binaries}:{os.environ['PATH']}", "PYTHONPATH": str(CHECKOUT)}
        given = found | {name: self._here(value) for name, value in job.environment.items()} | more
        asked, folder = self._here(job.command), self._here(job.folder)
        return subprocess.run(["sh", "-c", asked], cwd=folder, env=given, capture_output=True, text=True, check=False)

    def _here(self, text: str) -> str:
        for place in PLACES:
            text = text.replace(place, f"{self.root}{place}")
        return text
