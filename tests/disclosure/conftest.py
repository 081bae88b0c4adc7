"""What the files of subtractions share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.disclosure.survey import Survey


@pytest.fixture
def survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Survey:
    monkeypatch.delenv("MINIMIZE_LEDGER")
    return Survey.new(tmp_path)
