"""An output folder into which each test writes by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from .make import OutputWriter


@pytest.fixture(name="writer")
def _writer(tmp_path: Path) -> OutputWriter:
    return OutputWriter(tmp_path)
