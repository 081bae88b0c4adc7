from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from minimize.settings import FeatureSwitch, SettingKind, SettingsRows, load_settings

HEADER = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def rows(folder: Path, *lines: str) -> SettingsRows:
    path = folder / "settings.csv"
    path.write_text(HEADER + "".join(f"{line},2026-11-01T12:00:00Z\n" for line in lines), encoding="utf-8")
    return load_settings(path)


def test_nothing_given_is_no_rows() -> None:
    none = load_settings(None)
    assert none.kinds() == ()
    assert none.effective_at(NOON).feature_on(FeatureSwitch("location"), pa.array(["t"]), None, None).to_pylist() == [
        False
    ]


def test_loaded_rows_pass_through() -> None:
    none = load_settings(None)
    assert load_settings(none) is none


def test_a_row_recorded_at_the_very_moment_of_the_run_is_seen(tmp_path: Path) -> None:
    loaded = rows(tmp_path, "t,,location,on,admin,2026-11-01T00:00:00Z")
    for run_at, expected in ((NOON, True), (NOON - timedelta(microseconds=1), False)):
        assert loaded.effective_at(run_at).feature_on(
            FeatureSwitch("location"), pa.array(["t"]), None, None
        ).to_pylist() == [expected]


def test_a_run_at_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        load_settings(None).effective_at(NOON.replace(tzinfo=None))


def test_the_digest_is_of_the_rows_in_no_order(tmp_path: Path) -> None:
    lines = [f"t,,location,{value},admin,2026-11-01T00:00:00Z" for value in ("on", "off")]
    digests = {rows(tmp_path, *order).digest for order in (lines, lines[::-1])}
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")
    assert rows(tmp_path, *lines).digest != rows(tmp_path, lines[0]).digest


def test_the_digest_of_what_a_run_sees_does_not_change_with_later_rows(tmp_path: Path) -> None:
    before = rows(tmp_path, "t,,location,on,admin,2026-11-01T00:00:00Z").effective_at(NOON).digest
    path = tmp_path / "settings.csv"
    later = "t,,location,off,admin,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z\n"
    path.write_text(path.read_text(encoding="utf-8") + later, encoding="utf-8")
    assert load_settings(path).effective_at(NOON).digest == before


def test_a_missing_subject_is_not_a_subject_called_null(tmp_path: Path) -> None:
    whole, single = (rows(tmp_path, f"t,{subject},x,on,a,2026-11-01T00:00:00Z").digest for subject in ("", "null"))
    assert whole != single


def test_kinds_are_the_distinct_settings_with_their_first_lines(tmp_path: Path) -> None:
    loaded = rows(
        tmp_path,
        "t,,usage,on,user,2026-11-01T00:00:00Z",
        "t,,location,ON,admin,2026-11-01T00:00:00Z",
        "u,s,usage,on,user,2026-11-02T00:00:00Z",
    )
    assert loaded.kinds() == (SettingKind("location", "admin", "on", 3), SettingKind("usage", "user", "on", 2))


def test_kinds_of_data_in_memory_have_no_lines(tmp_path: Path) -> None:
    loaded = load_settings(rows(tmp_path, "t,,usage,on,user,2026-11-01T00:00:00Z").table)
    assert loaded.kinds() == (SettingKind("usage", "user", "on", None),)


def test_why_gives_the_lines_of_the_file(tmp_path: Path) -> None:
    loaded = rows(
        tmp_path,
        "t,,usage,on,admin,2026-11-01T00:00:00Z",
        "t,,usage,off,admin,2026-11-02T00:00:00Z",
        "u,,usage,off,admin,2026-11-01T00:00:00Z",
    )
    (row,) = loaded.effective_at(NOON).deciding_rows("t", "usage", NOON)
    assert (row.value, row.line) == ("on", 2)


def test_rows_are_not_printed(tmp_path: Path) -> None:
    assert "canary" not in repr(rows(tmp_path, "canary,canary,usage,on,admin,2026-11-01T00:00:00Z"))


def test_a_notebook_shows_how_often_a_switch_was_moved_and_nobodys_own(tmp_path: Path) -> None:
    day = "2026-11-01T00:00:00Z"
    loaded = rows(
        tmp_path, f"t,,location,on,admin,{day}", f"u,,location,on,admin,{day}", f"t,d-7,location,off,user,{day}"
    )
    shown = re.sub(r" style='[^']*'", "", loaded._repr_html_())
    assert "<td>location</td><td>admin</td><td>on</td><td>2</td><td>2</td>" in shown
    assert "<td>location</td><td>user</td><td>off</td><td>1</td><td>1</td>" in shown
    assert "d-7" not in shown
