"""The front door: a wheel outside the checkout, and `make run` on a fresh copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = (
    "minimize",
    "pipelines",
    "sample_data",
    "Makefile",
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "constraints.txt",
)
NOISE = ("MINIMIZE_", "PYTHON", "COV_", "COVERAGE_", "VIRTUAL_ENV", "MAKE", "MFLAGS", "PIP_REQUIRE")


def run(*command: str | Path, cwd: Path, code: int = 0, **variables: str) -> str:
    """Runs a command without what the test's own environment says; gives its output."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(NOISE)}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def copy_checkout(target: Path) -> Path:
    """What a clone holds, without what was made in the checkout."""
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module", name="bin_")
def _bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a fresh environment in which a wheel was installed."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    source = copy_checkout(folder / "source")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", source, cwd=folder)
    wheel = next((folder / "dist").glob("*.whl"))
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = (folder / "venv" / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[samples]", cwd=folder)
    return folder / "venv" / "bin"


@pytest.mark.slow
def test_the_help_of_a_wheel_lists_the_verbs(bin_: Path, tmp_path: Path) -> None:
    said = run(bin_ / "minimize", "--help", cwd=tmp_path)
    assert all(verb in said for verb in ("init", "lint", "plan", "run", "verify", "sample", "schema", "keys"))


@pytest.mark.slow
def test_a_wheel_has_the_version_of_the_project_and_its_types(bin_: Path, tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version in run(bin_ / "minimize", "--version", cwd=tmp_path)
    where = "import minimize, pathlib; print((pathlib.Path(minimize.__file__).parent / 'py.typed').exists())"
    assert run(bin_ / "python", "-c", where, cwd=tmp_path) == "True\n"


@pytest.mark.slow
def test_a_wheel_runs_a_pipeline_outside_the_checkout(bin_: Path, tmp_path: Path) -> None:
    copy_checkout(tmp_path)
    for made in ("minimize", "sample_data"):
        (tmp_path / made).rename(tmp_path / f"not-{made}")
    command, keys = bin_ / "minimize", tmp_path / "my.keys"
    run(command, "keys", "new", keys, "--name", "device", "--name", "user", cwd=tmp_path)
    run(command, "access", "new", "out/demo-access.yaml", cwd=tmp_path)
    run(command, "sample", "device_telemetry", "--rows", "1000", "--output", "data", cwd=tmp_path)
    arguments = ["run", "pipelines/device_telemetry", "--date", "2026-11-24", "--input", "data", "--json"]
    arguments += ["--at", "2026-11-25T00:00:00Z", "--output", "published", "--settings", "data/settings.csv"]
    said = run(command, *arguments, cwd=tmp_path, MINIMIZE_KEYS=str(keys))
    receipt = json.loads(said)
    assert receipt["rows"]["read"] == 500
    assert receipt["rows"]["written"] > 0
    run(command, "verify", "published", "--keys", keys, cwd=tmp_path)
    audit = ("audit", "verify", "--receipts", "published", "--keys", keys, "--json")
    said = run(command, *audit, cwd=tmp_path, MINIMIZE_ACTOR="auditor@example.com")
    assert json.loads(said)["findings"] == []


@pytest.mark.slow
def test_make_run_works_on_a_fresh_clone_and_again(tmp_path: Path) -> None:
    copy_checkout(tmp_path)
    first = run("make", "run", cwd=tmp_path)
    assert "out/demo.keys" in first
    assert (tmp_path / "out" / "demo.keys").stat().st_mode & 0o777 == 0o600
    assert "role: operator" in (tmp_path / "out" / "demo-access.yaml").read_text()
    assert list((tmp_path / "out" / "demo" / "device_telemetry" / "records").glob("date=*/*.parquet"))
    again = run("make", "run", cwd=tmp_path)
    assert "setting up" not in again
    assert len(list((tmp_path / "out" / "demo" / "device_telemetry" / "records").glob("date=*/_SUCCESS"))) == 1


@pytest.mark.slow
def test_make_run_works_in_an_environment_that_was_set_up_before(tmp_path: Path) -> None:
    """Installs nothing, so that it can be run with a moved clock, by which a registry's certificates have expired."""
    if not (Path(sys.prefix) / ".run-ready").exists():
        pytest.skip("make did not set up this environment")
    copy_checkout(tmp_path)
    os.utime(tmp_path / "pyproject.toml", (0, 0))
    ran = run("make", "run", f"VENV={sys.prefix}", cwd=tmp_path)
    assert "setting up" not in ran
    assert list((tmp_path / "out" / "demo" / "device_telemetry" / "records").glob("date=*/*.parquet"))
