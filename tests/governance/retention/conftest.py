"""A house for every test of retention."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.governance.retention.house import START, House, built, rows


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return built(tmp_path)


@pytest.fixture(name="day")
def _day(house: House) -> House:
    """A house whose first day was run at the midnight after it."""
    house.brings(rows(START.date()), START.date())
    house.run(START.date(), START + timedelta(days=1))
    return house
