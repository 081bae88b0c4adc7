"""The shipped pipelines, run once on the committed samples as of the samples' own time."""

from __future__ import annotations

import pytest

from .shipped import Runs, new_keys


@pytest.fixture(scope="session", name="runs")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("pipelines")
    return Runs(folder, new_keys(folder / "test.keys"))
