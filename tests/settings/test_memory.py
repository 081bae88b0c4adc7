from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from minimize.errors import PolicyError
from minimize.settings import FeatureSwitch, load_settings

START = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS: dict[str, list[Any]] = {
    "tenant_id": ["t", "t"],
    "subject": [None, "s"],
    "setting": ["location", "location"],
    "value": ["on", "off"],
    "holder": ["admin", "user"],
    "valid_from": [START, START],
    "recorded_at": [START, START],
}
TEXT = {**COLUMNS, "valid_from": ["2026-11-01T00:00:00Z"] * 2, "recorded_at": ["2026-11-01T01:00:00+01:00"] * 2}


@pytest.mark.parametrize(
    "data",
    [
        pa.table(COLUMNS),
        pa.table(COLUMNS).to_batches()[0],
        pa.table(TEXT),
        pa.table({name: pa.array(values).dictionary_encode() for name, values in TEXT.items()}),
        pd.DataFrame(COLUMNS),
        pd.DataFrame(TEXT),
        pl.DataFrame(COLUMNS),
        pl.DataFrame(TEXT),
    ],
)
def test_tables_and_frames_are_read_alike(data: Any) -> None:
    rows = load_settings(data)
    assert rows.digest == load_settings(pa.table(COLUMNS)).digest
    view = rows.effective_at(datetime(2026, 11, 2, tzinfo=UTC))
    answer = view.feature_on(FeatureSwitch("location"), pa.array(["t", "t"]), pa.array(["s", "other"]), None)
    assert answer.to_pylist() == [False, True]


def test_a_stream_is_read_once() -> None:
    assert load_settings(pa.table(COLUMNS).to_reader()).table.num_rows == 2


def test_a_timestamp_without_zone_is_utc() -> None:
    naive = pa.table(COLUMNS)
    for name in ("valid_from", "recorded_at"):
        place = naive.schema.get_field_index(name)
        naive = naive.set_column(place, name, naive[name].cast(pa.timestamp("us")))
    assert load_settings(naive).digest == load_settings(pa.table(COLUMNS)).digest


def test_rows_are_named_by_number_where_there_are_no_lines() -> None:
    with pytest.raises(PolicyError) as caught:
        load_settings(pa.table({**TEXT, "valid_from": ["2026-11-01T00:00:00Z", "canary"]}))
    assert [(finding.code, finding.line) for finding in caught.value.findings] == [("C004", None)]
    assert "row 2" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_subjects_of_a_frame_in_which_nobody_is_named_are_nobody() -> None:
    frame = pd.DataFrame({**COLUMNS, "subject": [float("nan"), float("nan")]})
    assert load_settings(frame).digest == load_settings(pa.table({**COLUMNS, "subject": [None, None]})).digest


def test_subjects_that_are_fractions_are_refused() -> None:
    with pytest.raises(PolicyError) as caught:
        load_settings(pa.table({**COLUMNS, "subject": [1.0, 2.0]}))
    assert [finding.code for finding in caught.value.findings] == ["C006"]


@pytest.mark.parametrize("data", [7, object(), {"tenant_id": ["t"]}])
def test_what_is_no_table_of_settings_is_refused(data: Any) -> None:
    with pytest.raises(PolicyError):
        load_settings(data)
