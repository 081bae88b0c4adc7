"""Settings set and shown; every change in the audit log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import KeyringError, PolicyError, RefusedError
from minimize.governance.settings import NewSetting, explain_setting, list_settings, set_setting
from minimize.governance.workspace import Workspace
from minimize.keys import new_keyring
from minimize.keys.keyring import add_key
from minimize.ledger import Actor, Resource
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_log import EntryFilter, entry_event
from tests.project import Project

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


@pytest.fixture(name="book")
def _book(home: Project) -> Workspace:
    return Workspace(ledger=home.folder / "ledger.db", pipeline=home.folder, keys=home.keys)


def values(project: Workspace, at: datetime = NOW, **asked: Any) -> list[tuple[str, str, str, str | None]]:
    return [(row.tenant_id, row.setting, row.value, row.subject) for row in list_settings(project, at, **asked)]


def test_what_was_set_is_shown(book: Workspace) -> None:
    assert set_setting(NewSetting("north", "location", "on"), book, NOW) == "nothing"
    assert values(book) == [("north", "location", "on", None)]


def test_it_says_what_was_in_force_before(book: Workspace) -> None:
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    assert set_setting(NewSetting("north", "location", "off"), book, NOW + timedelta(hours=1)) == "on"
    assert (
        set_setting(NewSetting("north", "location", "off", holder="user"), book, NOW + timedelta(hours=2)) == "nothing"
    )


def test_history_keeps_every_row_and_the_force_is_of_a_time(book: Workspace) -> None:
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    later = NOW + timedelta(days=1)
    set_setting(NewSetting("north", "location", "off", valid_from=later), book, NOW + timedelta(hours=1))
    assert [row[2] for row in values(book, later, history=True)] == ["on", "off"]
    assert [row[2] for row in values(book, NOW + timedelta(hours=2))] == ["on"]
    assert [row[2] for row in values(book, later)] == ["off"]


def test_one_tenant_or_one_setting_may_be_asked_for(book: Workspace) -> None:
    for tenant in ("north", "south"):
        set_setting(NewSetting(tenant, "location", "on"), book, NOW)
    assert [row[0] for row in values(book, tenant="south")] == ["south"]
    assert values(book, setting="usage") == []


def test_a_subject_stands_there_as_a_token_only(book: Workspace, home: Project) -> None:
    set_setting(NewSetting("north", "location", "off", "user", subject="device-4711"), book, NOW)
    assert (values(book)[0][3] or "").startswith("subject/1:")
    assert not [path for path in home.folder.glob("ledger.db*") if b"device-4711" in path.read_bytes()]


def test_a_change_after_the_key_was_rotated_counts(book: Workspace, home: Project) -> None:
    """An opt-out under the new version of the key would else stand beside the opt-in under the old one, unseen."""
    mine = NewSetting("north", "location", "on", "user", subject="d1")
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    set_setting(mine, book, NOW)
    add_key(home.keys, "subject", now=NOW)
    assert set_setting(replace(mine, value="off"), book, NOW + timedelta(hours=1)) == "on"
    answer = explain_setting("north", "location", NOW, book, run=NOW + timedelta(hours=2), subject="d1")
    assert (answer.event.holds, answer.run.holds) == (True, False)
    set_setting(mine, book, NOW + timedelta(hours=3))
    assert explain_setting("north", "location", NOW, book, run=NOW + timedelta(hours=4), subject="d1").collected


def test_where_a_token_of_the_tenant_cannot_be_told_nothing_is_changed(
    book: Workspace, home: Project, tmp_path: Path
) -> None:
    other = add_key(new_keyring(tmp_path / "other.keys", now=NOW).path, "subject", now=NOW)
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


def test_the_log_tells_who_changed_what_from_what_to_what(book: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann")
    set_setting(NewSetting("north", "location", "on"), book, NOW)
    set_setting(NewSetting("north", "location", "off"), book, NOW + timedelta(hours=1))
    with book.open_ledger() as ledger:
        events = [entry_event(entry) for entry in find_entries(ledger, EntryFilter(resource="settings/north/location"))]
    assert [event["actor"]["user"] for event in events] == ["ann", "ann"]
    changes = [event["resources"][0]["changed_properties"][0] for event in events]
    assert changes == [{"name": "admin", "old": None, "new": "on"}, {"name": "admin", "old": "on", "new": "off"}]


def test_whoever_may_not_change_it_changes_nothing(book: Workspace) -> None:
    set_setting(NewSetting("north", "location", "on"), book, NOW)

    def nobody(actor: Actor, resource: Resource) -> None:
        raise RefusedError("only the tenant's administrator may")

    with pytest.raises(RefusedError):
        set_setting(NewSetting("north", "location", "off"), book, NOW, allowed=nobody)
    assert [row[2] for row in values(book)] == ["on"]


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
    with pytest.raises(KeyringError, match="every change is signed"):
        set_setting(NewSetting("north", "location", "on"), Workspace(ledger=home.folder / "ledger.db"), NOW)
