"""Columns that a dataset does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from minimize.governance.access.misnamed import misnamed
from minimize.switching import House as Places
from tests.job.house import House, built, events


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    for name in ("MINIMIZE_KEYS", "MINIMIZE_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    house = built(tmp_path)
    house.brings(events(40))
    house.run()
    return house


def test_the_pipeline_behind_an_output_tells_the_columns(house: House) -> None:
    places = Places(output=house.out, keys=house.keys)
    assert misnamed("checkins", ["modell", "battery"], places) == {"modell": "did you mean `model`?"}
    assert misnamed("checkins/per_model", ["event", "model"], places) == {"event": "did you mean `events`?"}


@pytest.mark.parametrize("dataset", ["elsewhere", "checkins/nothing"])
def test_a_dataset_that_is_not_found_tells_nothing(house: House, dataset: str) -> None:
    assert misnamed(dataset, ["modell"], Places(output=house.out, keys=house.keys)) == {}


def test_without_a_ledger_nothing_is_told(house: House, tmp_path: Path) -> None:
    assert misnamed("checkins", ["modell"], Places(tmp_path / "none.db", keys=house.keys)) == {}
    assert misnamed("checkins", ["modell"], Places(tmp_path / "none.db", pipeline=house.folder, keys=house.keys)) != {}
