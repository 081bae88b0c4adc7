"""A prepared call is measured beside a round trip through Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import calls
from benchmarks.data.generate import devices


@pytest.mark.nightly
def test_both_sides_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "REPEATS", 2)
    found = calls.prepared(devices(tmp_path, 1000))
    assert found.keys() == {"prepared", "round trip"}
    assert all(took > 0 for took in found.values())
