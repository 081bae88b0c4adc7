"""Settings files, by their suffix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from minimize.errors import PolicyError
from minimize.settings import FeatureSwitch, SettingsRows, load_settings
from tests.faults.child import obey_modes

HEADER = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"

ROW = "t,,location,on,admin,2026-11-01T00:00:00+00:00,2026-11-01T00:00:00Z\n"

AT = datetime(2026, 11, 20, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> list[tuple[str, int | None]]:
    with pytest.raises(PolicyError) as caught:
        load_settings(path)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert all(finding.file == str(path) for finding in caught.value.findings)
    return [(finding.code, finding.line) for finding in caught.value.findings]


def is_on(rows: SettingsRows) -> bool:
    answer = rows.effective_at(AT).feature_on(FeatureSwitch("location"), pa.array(["t"]), pa.array(["s"]), None)
    return bool(answer[0].as_py())


def test_a_csv_file_is_read_with_an_empty_subject_for_the_whole_tenant(tmp_path: Path) -> None:
    rows = load_settings(str(written(tmp_path, HEADER + ROW)))
    assert rows.table["subject"].to_pylist() == [None]
    assert is_on(rows)


def test_columns_are_accepted_in_any_order_with_a_byte_order_mark_and_extra_columns(tmp_path: Path) -> None:
    header = "\ufeffnote,recorded_at,valid_from,holder,value,setting,tenant_id\n"
    rows = load_settings(written(tmp_path, header + ",2026-11-01T00:00Z,2026-11-01T01:00+01:00,a,on,location,t\n"))
    assert is_on(rows)
    assert rows.table["valid_from"].to_pylist() == rows.table["recorded_at"].to_pylist()


def test_all_faulty_rows_are_reported_together_with_their_lines(tmp_path: Path) -> None:
    text = (
        HEADER
        + ROW
        + "\n"
        + ROW.replace("t,,", ",,")
        + ROW.replace("+00:00,", ",")
        + ROW.replace("admin", "")
        + ROW.replace("Z", "x")
    )
    assert faults(written(tmp_path, text)) == [("C003", 4), ("C004", 5), ("C003", 6), ("C004", 7)]


def test_a_fault_after_a_value_of_several_lines_has_the_right_line(tmp_path: Path) -> None:
    text = HEADER + ROW.replace(",on,", ',"on\nor off",') + ROW.replace("2026-11-01T00:00:00Z", "soon")
    assert faults(written(tmp_path, text)) == [("C004", 4)]


@pytest.mark.parametrize("time", ["2026-11-01T00:00:00", "2026-11-01", "", "2026-13-01T00:00:00Z", "1 November 2026"])
def test_a_time_without_an_offset_is_a_fault(tmp_path: Path, time: str) -> None:
    assert faults(written(tmp_path, HEADER + ROW.replace("2026-11-01T00:00:00Z", time))) == [("C004", 2)]


def test_a_missing_or_repeated_column_is_a_fault(tmp_path: Path) -> None:
    assert faults(written(tmp_path, HEADER.replace(",holder", "").replace("value", "setting"))) == [("C002", None)] * 3
    assert [code for code, _ in faults(written(tmp_path, ""))] == ["C002"] * 6


def test_a_row_of_another_length_is_a_fault(tmp_path: Path) -> None:
    assert faults(written(tmp_path, HEADER + ROW + "t,,location\n")) == [("C005", 3)]


def test_no_fault_shows_a_value(tmp_path: Path) -> None:
    text = HEADER + ROW.replace("location", "").replace("t,,", "canary,canary,").replace("Z", "canary") + "canary\n"
    path = written(tmp_path, text)
    for rest in (text, text.removesuffix("canary\n")):
        path.write_text(rest, encoding="utf-8")
        with pytest.raises(PolicyError) as caught:
            load_settings(path)
        assert "canary" not in str(caught.value).replace(str(path), "")


def test_a_header_alone_is_no_settings(tmp_path: Path) -> None:
    rows = load_settings(written(tmp_path, HEADER))
    assert (rows.table.num_rows, is_on(rows)) == (0, False)


@pytest.mark.parametrize("value", ['"on"x', '"on" ', '"o"n"'])
def test_text_after_a_closing_quote_is_a_fault(tmp_path: Path, value: str) -> None:
    assert faults(written(tmp_path, HEADER + ROW.replace(",on,", f",{value},"))) == [("C001", None)]


def test_a_quote_within_quotes_is_doubled_and_separators_are_literal(tmp_path: Path) -> None:
    rows = load_settings(written(tmp_path, HEADER + ROW.replace("t,,", '"t ""1"", north",,') + ROW))
    assert rows.table["tenant_id"].to_pylist() == ['t "1", north', "t"]


def test_an_unclosed_quote_is_a_fault(tmp_path: Path) -> None:
    assert faults(written(tmp_path, HEADER + '"t' + ROW + ROW)) == [("C001", None)]


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
def test_tables_and_frames_give_the_same_settings(data: Any) -> None:
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


def test_a_subject_column_of_missing_values_in_a_frame_has_no_subjects() -> None:
    frame = pd.DataFrame({**COLUMNS, "subject": [float("nan"), float("nan")]})
    assert load_settings(frame).digest == load_settings(pa.table({**COLUMNS, "subject": [None, None]})).digest


def test_subjects_that_are_fractions_are_refused() -> None:
    with pytest.raises(PolicyError) as caught:
        load_settings(pa.table({**COLUMNS, "subject": [1.0, 2.0]}))
    assert [finding.code for finding in caught.value.findings] == ["C006"]


@pytest.mark.parametrize("data", [7, object(), {"tenant_id": ["t"]}])
def test_data_that_is_no_settings_table_is_refused(data: Any) -> None:
    with pytest.raises(PolicyError):
        load_settings(data)


def test_a_row_can_name_the_field_of_its_subject(tmp_path: Path) -> None:
    header = HEADER.strip() + ",field\n"
    rows = load_settings(written(tmp_path, header + ROW.replace("t,,", "t,u,").strip() + ", user_id \n"))
    assert rows.table["field"].to_pylist() == ["user_id"]
    assert rows.fields == {"user_id"}


def test_a_field_without_a_subject_is_a_fault(tmp_path: Path) -> None:
    assert faults(written(tmp_path, HEADER.strip() + ",field\n" + ROW.strip() + ",user_id\n")) == [("C003", 2)]


def test_an_empty_field_does_not_change_the_digest(tmp_path: Path) -> None:
    without = load_settings(written(tmp_path, HEADER + ROW)).digest
    header = HEADER.strip() + ",field\n"
    assert load_settings(written(tmp_path, header + ROW.strip() + ",\n")).digest == without


def test_names_holders_and_values_become_canonical_and_are_reported(tmp_path: Path) -> None:
    rows = load_settings(
        written(tmp_path, HEADER + ROW + ROW.replace("location,on,admin", " Location,OFF\u200b,Admin"))
    )
    assert rows.table.select(["setting", "value", "holder"]).to_pylist()[1] == {
        "setting": "location",
        "value": "off",
        "holder": "admin",
    }
    assert list(rows.noncanonical) == [1]
    assert not is_on(rows)


@pytest.mark.parametrize("spelling", ["Subject", "subject ", "SUBJECT", "sub\u200bject", "subjects", "device_id"])
def test_a_column_of_subjects_under_another_name_is_a_fault_and_not_the_whole_tenant(
    tmp_path: Path, spelling: str
) -> None:
    assert faults(written(tmp_path, HEADER.replace("subject", spelling) + ROW)) == [("C002", None)]
    load_settings(written(tmp_path, HEADER + ROW))


@pytest.mark.parametrize("spelling", ["Field", "fields"])
def test_a_column_of_fields_under_another_name_is_a_fault(tmp_path: Path, spelling: str) -> None:
    more = HEADER.replace("\n", f",{spelling},note\n") + ROW.replace("\n", ",,because\n")
    assert faults(written(tmp_path, more)) == [("C002", None)]
    load_settings(written(tmp_path, more.replace(spelling, "field")))


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet"])
def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path / name) == [("C001", None)]


@pytest.mark.parametrize("name", ["settings.csv", "settings.parquet"])
def test_a_file_that_is_something_else_is_a_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00canary")
    assert faults(tmp_path / name) == [("C001", None)]


@pytest.mark.parametrize("name", ["settings.csv", "settings.parquet"])
def test_a_file_without_read_permission_is_reported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    path.chmod(0)
    with ThreadPoolExecutor(1, initializer=obey_modes) as pool, pytest.raises(PolicyError) as caught:
        pool.submit(load_settings, path).result()
    (finding,) = caught.value.findings
    assert (finding.code, finding.hint) == ("C001", "Check its permissions.")
    assert finding.message == "the settings cannot be read: permission is denied (EACCES)"
    assert caught.value.__context__ is None
