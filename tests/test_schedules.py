"""The ready-made schedules are what their schedulers can read, and call a command that there is."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from cronsim import CronSim
from ruamel.yaml import YAML

from minimize.cli.main import VERBS

FOLDER = Path(__file__).parents[1] / "docs" / "schedules"
DAG = ast.parse((FOLDER / "airflow_dag.py").read_text())


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


def commands() -> dict[str, str]:
    unit = (FOLDER / "minimize.service").read_text()
    dag = [ast.literal_eval(value) for value in keyword("bash_command")]
    return {
        "minimize.service": unit.partition("ExecStart=")[2].partition("\n")[0],
        "crontab": crontab()[5],
        "cronjob.yaml": shlex.join(pod()["containers"][0]["command"]),
        "airflow_dag.py": dag[0],
        "airflow_dag.py, then": dag[1],
    }


@pytest.mark.parametrize("place", commands())
def test_each_calls_a_command_that_there_is_with_options_that_it_has(place: str) -> None:
    words = shlex.split(commands()[place])
    words = words[next(index for index, word in enumerate(words) if word.rpartition("/")[2] == "minimize") + 1 :]
    assert words[0] in VERBS
    said = subprocess.run(
        [sys.executable, "-m", "minimize", words[0], "--help"], capture_output=True, text=True, check=True
    )
    assert all(word in said.stdout for word in words if word.startswith("--"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_unit_and_timer(tmp_path: Path) -> None:
    installed = (
        (FOLDER / "minimize.service").read_text().replace("/opt/minimize/bin/minimize", shutil.which("true") or "")
    )
    (tmp_path / "minimize.service").write_text(installed)
    shutil.copy(FOLDER / "minimize.timer", tmp_path)
    files = [tmp_path / "minimize.service", tmp_path / "minimize.timer"]
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_cron_calls_it_once_a_night() -> None:
    calls = CronSim(" ".join(crontab()[:5]), datetime(2026, 11, 25, tzinfo=UTC))
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


def test_the_dag_only_shells_out() -> None:
    imported = {node.module for node in ast.walk(DAG) if isinstance(node, ast.ImportFrom)}
    plain = {name.name for node in ast.walk(DAG) if isinstance(node, ast.Import) for name in node.names}
    assert (imported, plain) == ({"datetime", "airflow", "airflow.operators.bash"}, set())


def test_the_page_names_every_file() -> None:
    page = (FOLDER / "README.md").read_text()
    assert [path.name for path in FOLDER.iterdir() if f"`{path.name}`" not in page and path.name != "README.md"] == []


KEYED = [path.name for path in sorted(FOLDER.iterdir()) if path.suffix != ".md" and "MINIMIZE_KEYS" in path.read_text()]


@pytest.mark.parametrize("name", KEYED)
def test_every_schedule_names_the_ledger(name: str) -> None:
    assert "MINIMIZE_LEDGER" in (FOLDER / name).read_text()


def test_those_on_one_machine_name_one_ledger() -> None:
    found = {name for path in FOLDER.iterdir() for name in re.findall(r"[\w/.-]*ledger\.db", path.read_text())}
    assert found == {"/srv/telemetry/ledger/ledger.db"}
