"""An organization with a server, for every test of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import Builds
from tests.server.home import Home, home
from tests.server.server import Running, running


@pytest.fixture(name="home")
def _home(builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    with home(builds, tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture(name="server")
def _server(home: Home) -> Iterator[Running]:
    with running(home) as found:
        yield found
