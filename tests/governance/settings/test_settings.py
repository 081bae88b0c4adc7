"""Settings set and shown; every change in the audit log.
Why a value is collected or not.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import ConfigurationError, KeyringError, PolicyError, RefusedError
from minimize.governance.setting_reasons import explain_setting
from minimize.governance.settings import NewSetting, list_settings, set_setting
from minimize.keys.keyring import add_key
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.ledger.kinds import SETTING
from minimize.workspace import Workspace
from tests.project import POLICY, SETTINGS, Project

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


@pytest.fixture(name="book")
def _book(home: Project) -> Workspace:
    return Workspace(ledger=home.folder / "ledger.db", pipeline=home.folder, keys=home.keys)


def values(project: Workspace, at: datetime = NOW, **asked: Any) -> list[tuple[str, str, str, str | None]]:
    return [(row.tenant_id, row.setting, row.value, row.subject) for row in list_settings(project, at, **asked)]


def test_a_recorded_setting_is_shown(book: Workspace) -> None:
    assert set_setting(NewSetting("north", "location", "on"), book, NOW).old == "nothing"
    assert values(book) == [("north", "location", "on", None)]


def test_the_earlier_value_is_returned(book: Workspace) -> None:
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    assert set_setting(NewSetting("north", "location", "off"), book, NOW + timedelta(hours=1)).old == "on"
    assert (
        set_setting(NewSetting("north", "location", "off", holder="user"), book, NOW + timedelta(hours=2)).old
        == "nothing"
    )


def test_history_keeps_every_row_and_the_force_is_of_a_time(book: Workspace) -> None:
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    later = NOW + timedelta(days=1)
    set_setting(NewSetting("north", "location", "off", valid_from=later), book, NOW + timedelta(hours=1))
    assert [row[2] for row in values(book, later, history=True)] == ["on", "off"]
    assert [row[2] for row in values(book, NOW + timedelta(hours=2))] == ["on"]
    assert [row[2] for row in values(book, later)] == ["off"]


def test_an_opt_out_by_a_clock_ahead_is_effective_immediately(book: Workspace) -> None:
    now = datetime.now(UTC)
    set_setting(NewSetting("north", "location", "on"), book, now - timedelta(days=2))
    set_setting(NewSetting("north", "location", "off"), book, now + timedelta(days=30))
    set_setting(NewSetting("south", "location", "on"), book, now + timedelta(days=30))
    assert values(book, now) == [("north", "location", "off", None)], "an opt-in does not count at once"
    assert set_setting(NewSetting("north", "location", "on"), book, now).old == "off"


def test_one_tenant_or_one_setting_may_be_asked_for(book: Workspace) -> None:
    for tenant in ("north", "south"):
        set_setting(NewSetting(tenant, "location", "on"), book, NOW)
    assert [row[0] for row in values(book, tenant="south")] == ["south"]
    assert values(book, setting="usage") == []


def test_the_ledger_holds_a_subject_as_a_token_only(book: Workspace, home: Project) -> None:
    set_setting(NewSetting("north", "location", "off", "user", subject="device-4711"), book, NOW)
    assert (values(book)[0][3] or "").startswith("subject/1:")
    assert not [path for path in home.folder.glob("ledger.db*") if b"device-4711" in path.read_bytes()]


def test_a_change_after_the_key_was_rotated_counts(book: Workspace, home: Project) -> None:
    """An opt-out under the new version of the key would else stand beside the opt-in under the old one, unseen."""
    mine = NewSetting("north", "location", "on", "user", subject="d1", reference="app-1")
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    set_setting(mine, book, NOW)
    add_key(home.keys, "subject", now=NOW)
    assert set_setting(replace(mine, value="off"), book, NOW + timedelta(hours=1)).old == "on"
    answer = explain_setting("north", "location", NOW, book, run=NOW + timedelta(hours=2), subject="d1")
    assert (answer.event.holds, answer.run.holds) == (True, False)
    set_setting(mine, book, NOW + timedelta(hours=3))
    assert explain_setting("north", "location", NOW, book, run=NOW + timedelta(hours=4), subject="d1").is_collected


def test_a_setting_is_refused_if_the_subject_key_differs_from_the_recorded_one(
    book: Workspace, home: Project, tmp_path: Path
) -> None:
    copy = shutil.copy2(home.keys, tmp_path / "other.keys")
    other = add_key(Path(copy), "subject", now=NOW)
    set_setting(NewSetting("north", "location", "off", "user", subject="d1"), replace(book, keys=other), NOW)
    with pytest.raises(KeyringError):
        set_setting(NewSetting("north", "location", "off", "user", subject="d2"), book, NOW)
    assert len(values(book)) == 1


def test_a_subject_without_a_name_is_not_the_whole_tenant(book: Workspace) -> None:
    """A shell variable that is empty would else switch for everybody."""
    set_setting(NewSetting("north", "location", "off"), book, NOW)
    with pytest.raises(PolicyError):
        set_setting(NewSetting("north", "location", "on", subject=" "), book, NOW)
    assert [row[2] for row in values(book, history=True)] == ["off"]


def test_the_audit_log_records_who_changed_a_setting_and_both_values(
    book: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    for _ in range(2):  # what is recorded is not logged again
        set_setting(NewSetting("north", "location", "off"), book, NOW + timedelta(hours=1))
    with book.open_ledger() as ledger:
        events = [entry_event(entry) for entry in find_entries(ledger, EntryFilter(resource="settings/north/location"))]
    assert [event["actor"]["user"] for event in events] == ["ann", "ann"]
    changes = [event["resources"][0]["changed_properties"][0] for event in events]
    assert changes == [{"name": "admin", "old": None, "new": "on"}, {"name": "admin", "old": "on", "new": "off"}]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (NewSetting("north", "locatoin", "on"), "C008"),
        (NewSetting("north", "location", "yes"), "C008"),
        (NewSetting("north", "level", "basic"), "C008"),
        (NewSetting("north", "location", "on", "boss"), "C008"),
        (NewSetting("", "location", "on"), "C003"),
    ],
)
def test_words_that_the_policy_does_not_know_are_faults(book: Workspace, wish: NewSetting, code: str) -> None:
    with pytest.raises(PolicyError) as caught:
        set_setting(wish, book, NOW)
    assert [finding.code for finding in caught.value.findings] == [code]


def test_without_a_keyring_nothing_is_changed(home: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIMIZE_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyringError, match="needed to sign the change"):
        set_setting(NewSetting("north", "location", "on"), Workspace(ledger=home.folder / "ledger.db"), NOW)


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
    assert (found.event.holds, found.run.holds, found.is_collected) == (True, False, False)
    assert [(row.value, row.line) for row in found.event.rows] == [("on", 2)]
    assert [(row.value, row.line) for row in found.run.rows] == [("off", 3)]


def test_a_run_before_the_change_was_recorded_collects(files: Workspace) -> None:
    assert explain_setting("north", "location", EVENT, files, run=datetime(2026, 11, 21, tzinfo=UTC)).is_collected


def test_the_subjects_own_row_decides_for_it(files: Workspace) -> None:
    found = explain_setting("north", "location", EVENT, files, run=datetime(2026, 11, 21, tzinfo=UTC), subject="d3")
    assert not found.is_collected
    assert [row.value for row in found.event.rows] == ["on", "off"]
    assert [row["subject"] for row in found.to_json()["event"]["rows"]] == [None, "the subject"]


def test_a_per_subject_feature_is_explained_by_the_rows_of_tenant_and_subject(home: Project) -> None:
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True}}})
    home.pipeline(aggregates=None, settings="settings.csv")
    (home.folder / "settings.csv").write_text(SETTINGS + OWN.replace("off,user", "on,admin").replace("11-01", "11-20"))
    project = Workspace(pipeline=home.folder, keys=home.keys)
    run = EVENT + timedelta(hours=1)
    whole, own = (
        explain_setting("north", "location", EVENT, project, run=run, subject=subject) for subject in (None, "d3")
    )
    assert (whole.is_collected, own.is_collected) == (False, True)
    assert [row["subject"] for row in own.to_json()["event"]["rows"]] == [None, "the subject"]
    assert whole.to_json()["per_subject"] is True


def test_a_tenant_without_settings_is_off(files: Workspace) -> None:
    found = explain_setting("south", "location", EVENT, files, run=RUN)
    assert (found.is_collected, found.event.rows) == (False, ())


def test_a_name_that_the_policy_does_not_know_is_a_fault(files: Workspace) -> None:
    with pytest.raises(PolicyError, match="no feature or level"):
        explain_setting("north", "locatoin", EVENT, files, run=RUN)


def test_levels_are_those_of_the_policy(home: Project) -> None:
    home.write("policy", POLICY | {"levels": ["required", "basic", "full"]})
    home.pipeline(aggregates=None, settings="settings.csv")
    row = "north,,level,basic,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n"
    (home.folder / "settings.csv").write_text(SETTINGS + row)
    project = Workspace(pipeline=home.folder, keys=home.keys)
    assert explain_setting("north", "basic", EVENT, project, run=RUN).is_collected
    assert not explain_setting("north", "full", EVENT, project, run=RUN).is_collected
    assert explain_setting("south", "required", EVENT, project, run=RUN).is_collected


def test_the_ledger_answers_where_the_pipeline_asks_it(home: Project) -> None:
    project = Workspace(pipeline=home.folder, keys=home.keys)
    for wish in (NewSetting("north", "location", "on"), NewSetting("north", "location", "off", "user", subject="d3")):
        set_setting(wish, project, datetime(2026, 11, 1, tzinfo=UTC))
    assert explain_setting("north", "location", EVENT, project, run=RUN).is_collected
    found = explain_setting("north", "location", EVENT, project, run=RUN, subject="d3")
    assert not found.is_collected
    assert [row.holder for row in found.run.rows] == ["admin", "user"]


def test_an_own_on_that_has_run_out_is_explained(home: Project) -> None:
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True}}})
    home.pipeline(aggregates=None, settings="settings.csv")
    (home.folder / "settings.csv").write_text(SETTINGS + OWN.replace("off,user", "on,user").replace("11-01", "11-20"))
    found = explain_setting(
        "north", "location", EVENT, Workspace(pipeline=home.folder, keys=home.keys), run=RUN, subject="d3"
    )
    assert (found.event.holds, found.run.holds) == (True, False)
    told = found.to_json()
    assert [row.get("ran_out") for row in told["event"]["rows"]] == [None, None]
    assert [row.get("ran_out") for row in told["run"]["rows"]] == [None, True]


def test_a_user_setting_requires_the_record_of_the_client(book: Workspace) -> None:
    with pytest.raises(RefusedError, match="in the name of the user"):
        set_setting(NewSetting("north", "location", "on", "user", subject="d1"), book, NOW)
    with pytest.raises(ConfigurationError, match="personal data"):
        set_setting(NewSetting("north", "location", "on", "user", subject="d1", reference="ann@x.example"), book, NOW)
    set_setting(NewSetting("north", "location", "on", "user", subject="d1", reference="app-1"), book, NOW)
    set_setting(NewSetting("north", "location", "off", "user", subject="d2"), book, NOW)
    with book.open_ledger() as ledger:
        assert [row.reference for row in ledger.find(SETTING)] == ["app-1", ""]
        entries = [entry_event(each) for each in find_entries(ledger, EntryFilter(operation="set"))]
    assert "app-1" in str(entries[0]["resources"])


def test_a_user_may_choose_the_first_level_of_a_policy_without_a_reference(book: Workspace, home: Project) -> None:
    home.policy(levels=["required", "full"])
    checked = replace(book, pipeline=home.folder)
    set_setting(NewSetting("north", "level", "required", "user", subject="d1"), checked, NOW)
    with pytest.raises(RefusedError):
        set_setting(NewSetting("north", "level", "full", "user", subject="d1"), checked, NOW)


@pytest.mark.parametrize(("holder", "value", "warned"), [("admin", "on", True), ("admin", "off", False)])
def test_a_setting_of_a_holder_who_cannot_turn_the_feature_on_is_warned_of(
    book: Workspace, home: Project, caplog: pytest.LogCaptureFixture, holder: str, value: str, warned: bool
) -> None:
    features = {"location": {"about": "position", "holders": ["user"]}}
    home.policy(features=features)
    set_setting(NewSetting("north", "location", value, holder), replace(book, pipeline=home.folder), NOW)
    assert ("W048" in [getattr(record, "code", None) for record in caplog.records]) == warned


def test_a_user_turns_nothing_on_for_a_whole_tenant(book: Workspace) -> None:
    with pytest.raises(RefusedError, match="for a whole tenant"):
        set_setting(NewSetting("north", "location", "on", "user", reference="app-1"), book, NOW)
    set_setting(NewSetting("north", "location", "off", "user"), book, NOW)
    assert values(book) == [("north", "location", "off", None)]


def test_names_are_recorded_in_their_canonical_form(book: Workspace) -> None:
    set_setting(NewSetting(" north", "Location\u200b", "OFF", "Admin "), book, NOW)
    assert values(book, setting="LOCATION") == [("north", "location", "off", None)]


def test_a_subject_can_be_named_by_another_field(book: Workspace, home: Project) -> None:
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    set_setting(NewSetting("north", "location", "off", "user", subject="u7", field="model"), book, NOW)
    assert [row.field for row in list_settings(book, NOW)] == [None, "model"]
    asked: dict[str, Any] = {"event": NOW, "workspace": book, "run": NOW}
    assert explain_setting("north", "location", subject="u7", **asked).is_collected
    found = explain_setting("north", "location", subject="u7", field="model", **asked)
    assert not found.is_collected
    assert [(row.value, row.field) for row in found.run.rows] == [("on", None), ("off", "model")]
    with pytest.raises(PolicyError, match="no field"):
        set_setting(NewSetting("north", "location", "off", subject="u7", field="nothing"), book, NOW)
    with pytest.raises(PolicyError, match="no subject"):
        set_setting(NewSetting("north", "location", "off", field="model"), book, NOW)
