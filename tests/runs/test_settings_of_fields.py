"""A run, data in memory and retract with settings that name a subject by a field, and what a run reports about settings."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.governance.settings import NewSetting, set_setting
from minimize.removal.retract import retract
from minimize.settings import load_settings
from minimize.workspace import Workspace
from tests.project import AT, SETTINGS, Project, events, new_project, table

HEAD, ROW = SETTINGS.splitlines()
USER = {"user_id": {"type": "string", "role": "identifier", "do": "drop"}}
OFF = "north,u7,location,off,user,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z,user_id"


@pytest.fixture(name="shared")
def _shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Devices with three users, whose ids are read and dropped, and a ledger of their own."""
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))
    project = new_project(tmp_path, lasting=True)
    project.policy(USER)
    project.records({**each, "user_id": f"u{number % 3 + 6}"} for number, each in enumerate(events(30)))
    return project


def settings(*rows: str) -> pa.Table:
    """Settings by which the tenant north has the feature on."""
    cells = [line.split(",") for line in (f"{ROW},", *rows)]
    columns = [pa.array([row[place] or None for row in cells], pa.string()) for place in range(len(cells[0]))]
    return pa.table(columns, names=[*HEAD.split(","), "field"])


def located(project: Project, **options: Any) -> int:
    project.run(**options)
    return sum(row["latitude"] is not None for row in project.rows(output=options.get("output")))


def test_an_opt_out_by_a_dropped_field_counts_in_a_run(shared: Project) -> None:
    assert located(shared, settings=settings(), output=shared.folder / "all") == 15
    assert located(shared, settings=settings(OFF), output=shared.folder / "some") == 10


def test_it_counts_in_the_ledger(shared: Project) -> None:
    shared.pipeline(aggregates=None, settings="ledger")
    book = Workspace(pipeline=shared.folder, keys=shared.keys)
    since = datetime.fromisoformat("2026-01-01T00:00:00Z")
    set_setting(NewSetting("north", "location", "on", valid_from=since), book, AT)
    assert located(shared, output=shared.folder / "all") == 15
    own = NewSetting("north", "location", "off", "user", subject="u7", field="user_id", valid_from=since)
    set_setting(own, book, AT)
    assert located(shared, output=shared.folder / "some") == 10


def test_it_counts_in_memory_and_in_a_prepared_policy(shared: Project) -> None:
    users = [f"u{number % 3 + 6}" for number in range(30)]
    data = table(events(30)).append_column("user_id", pa.array(users))
    policy, given = shared.folder / "policy.yaml", {"settings": settings(OFF), "keys": shared.keys}
    done = minimize.apply(policy, data, at=AT, **given)
    assert len(done["latitude"].drop_null()) == 10
    ready = minimize.prepare(policy, data.schema, **given)
    assert len(ready(data, at=AT)["latitude"].drop_null()) == 10


def test_retract_removes_the_values_of_a_person_who_opted_out(shared: Project) -> None:
    shared.pipeline(aggregates=None, settings="ledger")
    book = Workspace(pipeline=shared.folder, keys=shared.keys)
    since = datetime.fromisoformat("2026-01-01T00:00:00Z")
    set_setting(NewSetting("north", "location", "on", valid_from=since), book, AT)
    assert located(shared) == 15
    own = NewSetting("north", "location", "off", "user", subject="u7", field="user_id", valid_from=since)
    set_setting(own, book, AT)
    retract(shared.out, at=AT, keys=shared.keys, yes=True)
    assert sum(row["latitude"] is not None for row in shared.rows()) == 10


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (OFF.replace("u7", "u99"), "W052"),
        (OFF.replace("user_id", "no_field"), "W052"),
        (OFF.replace("u7", "d7").replace("user_id", ""), ""),
        (OFF.replace(",off,", ",Off ,"), "W049"),
        (OFF.replace(",off,", ",never,"), "W051"),
        (ROW.replace("admin", "user") + ",", "W050"),
    ],
)
def test_a_run_reports_ineffective_settings_without_a_value(
    shared: Project, caplog: pytest.LogCaptureFixture, row: str, code: str
) -> None:
    with caplog.at_level(logging.WARNING, "minimize"):
        shared.run(settings=settings(row))
    found = [record for record in caplog.records if getattr(record, "code", "") in ("W049", "W050", "W051", "W052")]
    assert [getattr(record, "code", "") for record in found] == ([code] if code else [])
    assert not any(word in record.getMessage() for record in found for word in ("u99", "u7", "d7", "no_field"))
    assert load_settings(settings(row)).table.num_rows == 2
