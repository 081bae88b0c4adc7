"""Export first, then delete."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from minimize.errors import OutputError
from minimize.governance.subjects import Subject, restrict, view
from minimize.switching import House as Places
from tests.job.house import House, events

RECORDS = events(60)
D3 = Subject("d3", "north")
OF_D3 = sum((each["device_id"], each["tenant_id"]) == ("d3", "north") for each in RECORDS)


@pytest.fixture(name="places")
def _places(house: House) -> Places:
    house.pipeline(aggregates=None)
    house.brings(RECORDS)
    house.run(at=None, output=None)
    return Places(house.out / "ledger.db", keys=house.keys)


def test_what_was_exported_is_deleted_then(house: House, places: Places) -> None:
    (exported,), deletion = restrict([D3], house.folder / "export", places, datetime.now(UTC))
    assert (exported.rows, deletion.rows) == (OF_D3, OF_D3)
    assert pl.read_parquet(house.folder / "export/1-checkins.parquet").height == OF_D3
    assert view([D3], places, datetime.now(UTC))[0].rows == 0


def test_what_could_not_be_exported_is_not_deleted(house: House, places: Places) -> None:
    (house.folder / "export").mkdir()
    with pytest.raises(OutputError):
        restrict([D3], house.folder / "export", places, datetime.now(UTC))
    assert view([D3], places, datetime.now(UTC))[0].rows == OF_D3
