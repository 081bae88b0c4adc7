"""The invented organization of `minimize sample demo`: everything that the guides begin with is there, and works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from minimize_samples.demo import CONSENTS, DEVICES, TENANT_NAMES, USER, create_demo

from tests.commands import command
from tests.project import clean_environment

NOW = datetime(2026, 11, 25, 6, tzinfo=UTC)
DAY = "2026-11-24"


@pytest.fixture(name="demo", scope="module")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organization") / "demo"
    with time_machine.travel(NOW, tick=False):
        assert create_demo(folder, now=NOW).records == 3000
    return folder


@pytest.fixture(autouse=True)
def _reader(demo: Path) -> Iterator[None]:
    """Acts in the folder with the variables that the file `env` sets, six hours after the end of the batch date."""
    with clean_environment(demo) as patch, time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        for line in (demo / "env").read_text().splitlines():
            patch.setenv(*line.removeprefix("export ").split("=", 1))
        yield


def test_the_file_of_variables_names_what_is_there(demo: Path) -> None:
    lines = (demo / "env").read_text().splitlines()
    variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert variables["day"] == DAY
    assert Path(variables["MINIMIZE_KEYS"]).is_file()
    assert Path(variables["MINIMIZE_LEDGER"]).is_file()


def test_the_user_and_the_devices_have_records(demo: Path) -> None:
    assert command("run", "pipelines/device_telemetry").code == 0
    of_user = command("subject", "view", USER, "--as", "user", "--tenant", TENANT_NAMES[0], "--linked", "--json").json
    assert of_user["subjects"][0]["rows"] >= len(DEVICES)
    for device in DEVICES:
        of_device = command("subject", "view", device, "--tenant", TENANT_NAMES[0], "--json").json
        assert of_device["subjects"][0]["rows"] > 0


def test_the_first_tenant_has_authorized_functions() -> None:
    shown = command("consent", "show", "--tenant", TENANT_NAMES[0]).out
    for recipient, function in CONSENTS:
        assert f"{recipient}  {function}  given" in shown
    assert shown.count(": valid") == len(CONSENTS)


def test_a_folder_with_files_is_refused(demo: Path) -> None:
    before = sorted(demo.rglob("*"))
    refused = command("sample", "demo", "--out", demo)
    assert refused.code == 2
    assert "is not empty" in refused.err
    assert sorted(demo.rglob("*")) == before


@pytest.mark.slow
def test_every_shipped_pipeline_runs(demo: Path) -> None:
    pipelines = sorted(path.parent for path in demo.glob("pipelines/*/pipeline.yaml"))
    assert len(pipelines) > 20
    codes = {path.name: command("run", path, "--date", DAY).code for path in pipelines}
    assert codes == dict.fromkeys(codes, 0)
