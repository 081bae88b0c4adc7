"""For all tests: properties are judged by what they find, never by how long that takes on a busy machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Server, server

settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("house")


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[Server]:
    """A PostgreSQL server, started when the first test asks for it."""
    with server() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def _ledger_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One ledger for all runs that name none, so that the one of the checkout (`pipelines/minimize.yaml`) stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMIZE_LEDGER", str(tmp_path_factory.mktemp("ledger") / "ledger.db"))
        yield
