"""What a sender does every night beside its runs: one script, called by the same schedulers."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from click.testing import CliRunner
from cronsim import CronSim
from ruamel.yaml import YAML

from minimize.cli import access, audit, share
from tests.governance.sharing.sender import Sender

FOLDER = Path(__file__).parents[1] / "docs" / "schedules"
SCRIPT = FOLDER / "nightly.sh"
STEPS = [["access", "expire"], ["share", "recall", "request"], ["audit", "truncate"]]


NOUNS = {"access": access.command, "share": share.command, "audit": audit.command}


def ran(folder: Path, body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script, with something else in the place of minimize."""
    fake = folder / "minimize"
    fake.write_text(f"#!/bin/sh\n{body}\n")
    fake.chmod(0o755)
    given = {**os.environ, "MINIMIZE": str(fake), **environment}
    return subprocess.run(["sh", SCRIPT], cwd=folder, env=given, capture_output=True, text=True, check=False)


def cronjob() -> Any:
    return YAML(typ="safe").load(FOLDER / "nightly.cronjob.yaml")


def test_it_does_each_step_with_options_that_there_are(tmp_path: Path) -> None:
    assert ran(tmp_path, 'echo "$@"').returncode == 0
    calls = [shlex.split(line) for line in ran(tmp_path, 'echo "$@"').stdout.splitlines()]
    assert [call[: len(step)] for call, step in zip(calls, STEPS, strict=True)] == STEPS
    for call, step in zip(calls, STEPS, strict=True):
        said = CliRunner().invoke(NOUNS[step[0]], [*step[1:], "--help"]).output
        assert all(word in said for word in call if word.startswith("--"))


def test_it_goes_on_where_one_step_fails_and_fails_then(tmp_path: Path) -> None:
    done = ran(tmp_path, 'echo "$1"; [ "$1" != access ] || exit 3')
    assert (done.returncode, done.stdout.split()) == (3, ["access", "share", "audit"])


@pytest.mark.slow
def test_a_house_can_do_it_twice_on_two_nights(tmp_path: Path) -> None:
    shop = Sender(tmp_path).agree("north")
    shop.share()
    (tmp_path / "recipients").mkdir()
    here = str(Path(__file__).parents[1])
    places = {"MINIMIZE_KEYS": str(shop.keys.path), "MINIMIZE_LEDGER": str(shop.ledger), "PYTHONPATH": here}
    for night in ("a", "b"):
        done = ran(tmp_path, f'exec {sys.executable} -m minimize "$@"', RECALLS=night, **places)
        assert (done.returncode, done.stderr) == (0, "")
        (found,) = (tmp_path / night).glob("*.json")
        assert isinstance(json.loads(found.read_text()), list)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_unit_and_timer(tmp_path: Path) -> None:
    unit = (FOLDER / "nightly.service").read_text()
    (tmp_path / "nightly.service").write_text(unit.replace("/opt/minimize/bin/nightly.sh", str(SCRIPT)))
    shutil.copy(FOLDER / "nightly.timer", tmp_path)
    files = [tmp_path / "nightly.service", tmp_path / "nightly.timer"]
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_cron_and_kubernetes_call_it_once_a_night() -> None:
    (line,) = (each for each in (FOLDER / "nightly.crontab").read_text().splitlines() if each[:1].isdigit())
    times = [" ".join(line.split()[:5]), cronjob()["spec"]["schedule"]]
    for each in times:
        calls = CronSim(each, datetime(2026, 11, 25, tzinfo=UTC))
        assert [f"{next(calls):%d %H:%M}" for _ in range(2)] == ["25 04:30", "26 04:30"]
    assert line.endswith("nightly.sh")


def test_kubernetes_takes_the_cronjob() -> None:
    kubernetes_validate.validate(cronjob(), "1.31", strict=True)
    (container,) = cronjob()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"][-1].endswith("nightly.sh")


def test_the_dag_calls_it_and_only_shells_out() -> None:
    tree = ast.parse((FOLDER / "nightly_dag.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"datetime", "airflow", "airflow.operators.bash"}
    assert "/opt/minimize/bin/nightly.sh " in {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
