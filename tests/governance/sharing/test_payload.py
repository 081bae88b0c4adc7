"""A payload that is not what was declared does not leave."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from minimize.arrow.interchange import decode_batch
from minimize.errors import NotPermitted
from minimize.governance.sharing.export_file import StagedExport
from minimize.governance.sharing.payload import PayloadStats
from tests.governance.sharing.sender import EVENT, RECORDS, Sender
from tests.project import TIME


def rules(caught: pytest.ExceptionInfo[NotPermitted]) -> list[str]:
    return [each.rule for each in caught.value.reasons]


def test_a_column_that_was_not_declared_stops_it(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def wider(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        found = decode_batch(batch, schema)
        return found.append_column("serial", pa.array(["s"] * found.num_rows))

    monkeypatch.setattr("minimize.runs.minimizer.decode_batch", wider)
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    assert rules(caught) == ["differs"]


@pytest.mark.parametrize(
    ("column", "value"), [("event_time", datetime(2026, 11, 25, 6, 1, tzinfo=UTC)), ("device_id", "d-1")]
)
def test_a_value_in_another_form_than_was_declared_stops_it(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, column: str, value: Any
) -> None:
    def raw(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        found = decode_batch(batch, schema)
        place = found.schema.get_field_index(column)
        return found.set_column(place, schema.field(place), pa.array([value] * found.num_rows, schema.types[place]))

    monkeypatch.setattr("minimize.runs.minimizer.decode_batch", raw)
    monkeypatch.setattr("minimize.governance.sharing.payload._encoded_columns", lambda *_: {})
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    assert rules(caught) == ["differs"]
    assert str(value) not in str(caught.value.as_json())


def test_a_technique_that_does_nothing_is_found_out(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    from minimize.techniques.base import TechniqueResult
    from minimize.techniques.truncate_time import TruncateTime

    monkeypatch.setattr(TruncateTime, "apply", lambda _, values, __: TechniqueResult(values))
    exact = RECORDS.set_column(2, "event_time", pa.array([EVENT.replace(minute=7)] * 4, TIME))
    with pytest.raises(NotPermitted) as caught:
        sender.share(exact)
    assert rules(caught) == ["differs"]


def test_a_file_of_fewer_rows_than_were_made_stops_it(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StagedExport, "_read_again", lambda _: 2)
    with pytest.raises(NotPermitted) as caught:
        sender.share(to=sender.folder / "payload.parquet")
    assert rules(caught) == ["differs"]
    assert not Path(sender.folder / "payload.parquet").exists()


def test_records_that_are_nobody_s_stop_it(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "minimize.governance.sharing.payload._count_rows", lambda made, *_: made.tenants.update({"north": 1})
    )
    with pytest.raises(NotPermitted) as caught:
        sender.share()
    assert rules(caught) == ["differs"]


def test_what_is_printed_of_it_shows_no_subject() -> None:
    assert "pairs" not in repr(PayloadStats.empty(pa.schema([("a", pa.string())])))


def test_a_value_that_the_manifest_does_not_list_leaves_as_null_and_is_counted(sender: Sender) -> None:
    listing = sender.vendor_with("functions.sync.fields.model", {"do": "keep", "values": ["A"]}).agree("north", "south")
    given, account = listing.share(), listing.dry()
    assert given.column("model").to_pylist() == ["A", None, "A"]
    assert account.unparsable == {"model": 1}
    assert "model: 1 value replaced by null" in str(account)
