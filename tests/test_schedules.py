"""The schedules that are shipped: schedulers can read them, and each does every step of a night."""

from __future__ import annotations

import ast
import shutil
import subprocess
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import kubernetes_validate
import pytest
from cronsim import CronSim

from minimize.access.roles import BUILTIN_ROLES
from tests.schedules import DAG, FOLDER, JOBS, Machine, cronjob, crontab, from_cron, from_systemd, keyword, pod

ORGANIZATION = ("consent mark-expired", "access mark-expired", "share recall issue", "audit truncate")


def machine_with(root: Path, command: str = "exit 0") -> Machine:
    """A machine on which `minimize` records its arguments and then does something else."""
    return Machine.fresh(root, f'#!/bin/sh\necho "$@" >> {root}/calls\n{command}\n')


def calls_on(machine: Machine) -> list[str]:
    return (machine.root / "calls").read_text().splitlines()


@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_does_every_step_of_a_night_in_a_fresh_folder(tmp_path: Path, schedule: str) -> None:
    machine, job = machine_with(tmp_path), JOBS[schedule]()
    done = machine.runs(job)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [
        step
        for pipeline, output in job.places.items()
        for step in (f"run {pipeline}", f"expire {output}", f"retract {output} --received")
    ]
    expected = ["events import", *steps, *ORGANIZATION, *(f"verify {place}" for place in job.places.values())]
    calls = calls_on(machine)
    assert len(calls) == len(expected)
    assert all(call.startswith(start) for call, start in zip(calls, expected, strict=True))


@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_imports_the_feed_for_all_pipelines(tmp_path: Path, schedule: str) -> None:
    machine, job = machine_with(tmp_path), JOBS[schedule]()
    machine.runs(job)
    words = calls_on(machine)[0].split()
    assert words[:4] == ["events", "import", f"{tmp_path}/srv/telemetry/deleted_users.csv", "--linked"]
    assert [name for word, name in pairwise(words) if word == "--pipeline"] == list(job.places)
    assert len(job.places) > 1
    assert ("--quiet" in words) == ("QUIET" in job.environment)


@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_acts_as_the_account_that_a_new_access_file_gives_the_role(schedule: str) -> None:
    assert JOBS[schedule]().environment["MINIMIZE_ACTOR"] == "scheduler@example.com"
    assert "scheduler" in BUILTIN_ROLES


@pytest.mark.parametrize("since", ["", "2026-11-20"])
def test_the_first_date_of_a_night_can_be_set(tmp_path: Path, since: str) -> None:
    machine = machine_with(tmp_path)
    assert machine.runs(from_cron(), SINCE=since).returncode == 0
    end = " --since 2026-11-20 --quiet" if since else " --quiet"
    assert f"run pipelines/device_telemetry --pending{end}" in calls_on(machine)


@pytest.mark.parametrize("schedule", JOBS)
def test_each_schedule_fails_if_a_step_does(tmp_path: Path, schedule: str) -> None:
    done = machine_with(tmp_path, '[ "$1" != verify ]').runs(JOBS[schedule]())
    assert done.returncode == 1
    assert "minimize verify out/managed_apps" in done.stderr


def test_cron_reports_a_night_that_was_skipped_because_the_last_one_still_runs(tmp_path: Path) -> None:
    machine = machine_with(tmp_path)
    lock = machine.telemetry / ".nightly.lock"
    with subprocess.Popen(["flock", lock, "sh", "-c", "echo locked; read line"], stdin=-1, stdout=-1) as running:
        assert running.stdout is not None
        running.stdout.readline()
        done = machine.runs(from_cron())
        running.communicate(b"\n")
    assert (done.returncode, done.stderr) == (1, "the night failed, or the last one still runs\n")
    assert not (tmp_path / "calls").exists()


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


def test_no_schedule_runs_as_root_or_concurrently_with_itself() -> None:
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
