"""The organization in which examples of docstrings run, if they read files: what `minimize sample demo --out demo` makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

_DEMO_PATHS = ("pipelines/", "out/", "demo.keys")
"""An example that names one of these runs in the folder of the organization. `day` is its batch date."""


@pytest.fixture(scope="session")
def demo_organization(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organization, made once."""
    from minimize_samples.demo import OFFICER, create_demo

    folder, now = tmp_path_factory.mktemp("organization") / "demo", datetime.now(UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMIZE_ACTOR", OFFICER)
        create_demo(folder, now=now, rows=400, day=(now - timedelta(days=1)).date())
    return folder


@pytest.fixture(autouse=True)
def _example_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs an example in the organization, with the variables of its `env`."""
    node = request.node
    if isinstance(node, pytest.DoctestItem) and any(
        path in each.source for each in node.dtest.examples for path in _DEMO_PATHS
    ):
        folder: Path = request.getfixturevalue("demo_organization")
        monkeypatch.chdir(folder)
        for line in (folder / "env").read_text(encoding="utf-8").splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name == "day":
                node.dtest.globs["day"] = value
            else:
                monkeypatch.setenv(name, value)
