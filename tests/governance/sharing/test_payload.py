"""A payload that is not what was declared does not leave."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from minimize.errors import NotPermitted
from minimize.frames import decoded
from minimize.governance.sharing.files import Aside
from minimize.governance.sharing.payload import Made
from tests.governance.sharing.house import House


def rules(caught: pytest.ExceptionInfo[NotPermitted]) -> list[str]:
    return [each.rule for each in caught.value.reasons]


def test_a_column_that_was_not_declared_stops_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def wider(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        found = decoded(batch, schema)
        return found.append_column("serial", pa.array(["s"] * found.num_rows))

    monkeypatch.setattr("minimize.minimizer.decoded", wider)
    with pytest.raises(NotPermitted) as caught:
        house.share()
    assert rules(caught) == ["differs"]


def test_a_file_of_fewer_rows_than_were_made_stops_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Aside, "_read_again", lambda _: 2)
    with pytest.raises(NotPermitted) as caught:
        house.share(to=house.folder / "payload.parquet")
    assert rules(caught) == ["differs"]
    assert not Path(house.folder / "payload.parquet").exists()


def test_records_that_are_nobody_s_stop_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "minimize.governance.sharing.payload._count", lambda made, *_: made.tenants.update({"north": 1})
    )
    with pytest.raises(NotPermitted) as caught:
        house.share()
    assert rules(caught) == ["differs"]


def test_what_is_printed_of_it_shows_no_subject() -> None:
    assert "pairs" not in repr(Made.of(pa.schema([("a", pa.string())])))
