"""Why a value is collected or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from minimize.errors import PolicyError
from minimize.governance.settings import NewSetting, explain_setting, set_setting
from minimize.governance.workspace import Workspace
from tests.project import POLICY, SETTINGS, Project

EVENT, RUN = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)
OFF = "north,,location,off,admin,2026-11-22T00:00:00Z,2026-11-22T00:00:00Z\n"
OWN = "north,d3,location,off,user,2026-11-01T00:00:00Z,2026-11-01T00:00:00Z\n"


@pytest.fixture(name="files")
def _files(home: Project) -> Workspace:
    home.pipeline(aggregates=None, settings="settings.csv")
    (home.folder / "settings.csv").write_text(SETTINGS + OFF + OWN)
    return Workspace(pipeline=home.folder, keys=home.keys)


def test_it_holds_for_the_event_and_not_for_the_run(files: Workspace) -> None:
    found = explain_setting("north", "location", EVENT, files, run=RUN)
    assert (found.event.holds, found.run.holds, found.collected) == (True, False, False)
    assert [(row.value, row.line) for row in found.event.rows] == [("on", 2)]
    assert [(row.value, row.line) for row in found.run.rows] == [("off", 3)]


def test_a_run_before_the_change_was_recorded_collects(files: Workspace) -> None:
    assert explain_setting("north", "location", EVENT, files, run=datetime(2026, 11, 21, tzinfo=UTC)).collected


def test_the_subjects_own_row_decides_for_it(files: Workspace) -> None:
    found = explain_setting("north", "location", EVENT, files, run=datetime(2026, 11, 21, tzinfo=UTC), subject="d3")
    assert not found.collected
    assert [row.value for row in found.event.rows] == ["on", "off"]
    assert [row["subject"] for row in found.as_json()["event"]["rows"]] == [None, "the subject"]


def test_a_per_subject_feature_is_explained_by_the_rows_of_tenant_and_subject(home: Project) -> None:
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True}}})
    home.pipeline(aggregates=None, settings="settings.csv")
    (home.folder / "settings.csv").write_text(SETTINGS + OWN.replace("off,user", "on,admin").replace("11-01", "11-20"))
    project = Workspace(pipeline=home.folder, keys=home.keys)
    run = EVENT + timedelta(hours=1)
    whole, own = (
        explain_setting("north", "location", EVENT, project, run=run, subject=subject) for subject in (None, "d3")
    )
    assert (whole.collected, own.collected) == (False, True)
    assert [row["subject"] for row in own.as_json()["event"]["rows"]] == [None, "the subject"]
    assert whole.as_json()["per_subject"] is True


def test_where_nobody_said_anything_it_is_off(files: Workspace) -> None:
    found = explain_setting("south", "location", EVENT, files, run=RUN)
    assert (found.collected, found.event.rows) == (False, ())


def test_a_name_that_the_policy_does_not_know_is_a_fault(files: Workspace) -> None:
    with pytest.raises(PolicyError, match="no feature or level"):
        explain_setting("north", "locatoin", EVENT, files, run=RUN)


def test_levels_are_those_of_the_policy(home: Project) -> None:
    home.write("policy", POLICY | {"levels": ["required", "basic", "full"]})
    home.pipeline(aggregates=None, settings="settings.csv")
    row = "north,,level,basic,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (home.folder / "settings.csv").write_text(SETTINGS + row)
    project = Workspace(pipeline=home.folder, keys=home.keys)
    assert explain_setting("north", "basic", EVENT, project, run=RUN).collected
    assert not explain_setting("north", "full", EVENT, project, run=RUN).collected
    assert explain_setting("south", "required", EVENT, project, run=RUN).collected


def test_the_ledger_answers_where_the_pipeline_asks_it(home: Project) -> None:
    project = Workspace(pipeline=home.folder, keys=home.keys)
    for wish in (NewSetting("north", "location", "on"), NewSetting("north", "location", "off", "user", subject="d3")):
        set_setting(wish, project, datetime(2026, 11, 1, tzinfo=UTC))
    assert explain_setting("north", "location", EVENT, project, run=RUN).collected
    found = explain_setting("north", "location", EVENT, project, run=RUN, subject="d3")
    assert not found.collected
    assert [row.holder for row in found.run.rows] == ["admin", "user"]


def test_an_own_on_that_has_run_out_is_explained(home: Project) -> None:
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True}}})
    home.pipeline(aggregates=None, settings="settings.csv")
    (home.folder / "settings.csv").write_text(SETTINGS + OWN.replace("off,user", "on,user").replace("11-01", "11-20"))
    found = explain_setting(
        "north", "location", EVENT, Workspace(pipeline=home.folder, keys=home.keys), run=RUN, subject="d3"
    )
    assert (found.event.holds, found.run.holds) == (True, False)
    told = found.as_json()
    assert [row.get("ran_out") for row in told["event"]["rows"]] == [None, None]
    assert [row.get("ran_out") for row in told["run"]["rows"]] == [None, True]
