"""A house whose records are encrypted, in which two days were run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.job.house import BEFORE, DAY, House, built, events

TENANTS = {"partition_by": ["tenant_id"], "encrypt": {"by_category": {"per": "tenant_id"}}}


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minimize.yaml").write_text("keys: test.keys\nledger: ledger.db\n")
    house = built(tmp_path)
    house.pipeline(records={"encrypt": "by_category"})
    return house


@pytest.fixture(name="ran")
def _ran(house: House) -> House:
    for number, day in enumerate((BEFORE, DAY)):
        house.brings(events(40, first=40 * number), day)
        house.run(date=day)
    return house


@pytest.fixture(name="apart")
def _apart(house: House) -> House:
    """The same with keys for each tenant."""
    house.pipeline(records=TENANTS)
    house.brings(events(40))
    house.run(date=DAY)
    return house
