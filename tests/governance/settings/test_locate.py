"""Locate actions: one device, for a day at most, and only where that has an effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from minimize.errors import PolicyError, RefusedError
from minimize.governance.locate import end_locate, list_locate_actions, start_locate
from minimize.governance.setting_reasons import explain_setting
from minimize.governance.settings import NewSetting, list_settings, set_setting
from minimize.keys.keyring import add_key
from minimize.ledger.audit_check import find_entries
from minimize.ledger.audit_event import EntryFilter, entry_event
from minimize.workspace import Workspace
from tests.project import POLICY, Project

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
TENANT_ON = NewSetting("north", "location", "on", valid_from=NOW - 48 * HOUR)


@pytest.fixture(name="book")
def _book(home: Project) -> Workspace:
    """A tenant that lets its devices be located."""
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True, "retention": "24h"}}})
    made = Workspace(ledger=home.folder / "ledger.db", pipeline=home.folder, keys=home.keys)
    set_setting(TENANT_ON, replace(made), NOW - 48 * HOUR)
    return made


def collected(book: Workspace, at: datetime, device: str = "d1", run: datetime | None = None) -> bool:
    return explain_setting("north", "location", at, book, run=run or at, subject=device).is_collected


def hours(book: Workspace, now: datetime) -> list[tuple[float, float | None]]:
    """Of each device that is located at a time since when and until when it is, in hours from the first moment."""
    return [
        ((each.since - NOW) / HOUR, None if each.until is None else (each.until - NOW) / HOUR)
        for each in list_locate_actions(book, now)
    ]


def test_one_device_is_located_from_now_until_the_end(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW)
    assert [collected(book, NOW + hour * HOUR) for hour in (-1, 0, 23, 24, 30)] == [False, True, True, False, False]
    assert not collected(book, NOW, "d2")
    assert hours(book, NOW + HOUR) == [(0, 24)]


def test_after_the_end_a_run_releases_no_position_of_before(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW, span=4 * HOUR)
    assert collected(book, NOW + HOUR, run=NOW + 3 * HOUR)
    assert not collected(book, NOW + HOUR, run=NOW + 4 * HOUR)


@pytest.mark.parametrize("span", [timedelta(), -HOUR, timedelta(hours=24, seconds=1)])
def test_a_device_is_located_for_a_day_at_most(book: Workspace, span: timedelta) -> None:
    with pytest.raises(RefusedError, match="at most 24 hours"):
        start_locate("d1", "north", book, NOW, span=span)
    assert len(list_settings(book, NOW, history=True)) == 1


def test_starting_again_gives_a_new_end(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW)
    start_locate("d1", "north", book, NOW + 20 * HOUR)
    assert hours(book, NOW + 21 * HOUR) == [(0, 44)]
    assert [collected(book, NOW + hour * HOUR) for hour in (23, 24, 43, 44)] == [True, True, True, False]


def test_starting_again_for_less_time_ends_earlier(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW)
    start_locate("d1", "north", book, NOW + HOUR, span=2 * HOUR)
    assert [collected(book, NOW + hour * HOUR) for hour in (2, 3, 20)] == [True, False, False]


def test_an_action_ends_immediately_and_permanently(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW)
    start_locate("d1", "north", book, NOW + 20 * HOUR)
    assert end_locate("d1", "north", book, NOW + 21 * HOUR).ended
    assert [collected(book, NOW + hour * HOUR) for hour in (20, 21, 25, 43)] == [True, False, False, False]
    assert list_locate_actions(book, NOW + 21 * HOUR) == []


def test_ending_what_is_not_located_changes_nothing(book: Workspace) -> None:
    assert not end_locate("d1", "north", book, NOW).ended
    start_locate("d1", "north", book, NOW)
    assert not end_locate("d1", "north", book, NOW + 25 * HOUR).ended
    assert not end_locate("d2", "north", book, NOW).ended
    assert len(list_settings(book, NOW + 25 * HOUR, history=True)) == 3


def test_it_can_be_located_again_after_the_end(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW)
    end_locate("d1", "north", book, NOW + HOUR)
    start_locate("d1", "north", book, NOW + 2 * HOUR)
    assert hours(book, NOW + 3 * HOUR) == [(2, 26)]
    assert [collected(book, NOW + hour * HOUR) for hour in (1, 2, 24, 25, 26)] == [False, True, True, True, False]


def test_the_list_has_tokens_of_one_tenant_or_of_all(book: Workspace) -> None:
    set_setting(replace(TENANT_ON, tenant="south"), book, NOW - 48 * HOUR)
    for tenant in ("north", "south"):
        start_locate("device-4711", tenant, book, NOW)
    assert [each.tenant for each in list_locate_actions(book, NOW + HOUR)] == ["north", "south"]
    (only,) = list_locate_actions(book, NOW + HOUR, tenant="south")
    assert only.device.startswith("subject/1:")
    assert "4711" not in str(only.to_json())


def test_the_ledger_holds_a_device_as_a_token_only(book: Workspace, home: Project) -> None:
    start_locate("device-4711", "north", book, NOW)
    assert not [path for path in home.folder.glob("ledger.db*") if b"device-4711" in path.read_bytes()]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"usage": {}}, "no feature `location` with `per_subject: true`"),
        ({"location": {}}, "no feature `location` with `per_subject: true`"),
        ({"location": {"per_subject": True, "holders": ["user"]}}, "does not let an administrator"),
    ],
)
def test_a_policy_that_locates_no_device_refuses(
    book: Workspace, home: Project, features: dict[str, Any], message: str
) -> None:
    fields = {key: field for key, field in POLICY["fields"].items() if key != "latitude"}
    home.write("policy", POLICY | {"features": features, "fields": fields})
    with pytest.raises(RefusedError, match=message):
        start_locate("d1", "north", book, NOW)


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"purposes": ["customer_support"]}, "one of these purposes: customer_support"),
        ({"do": "drop"}, "Release a field of the feature for this purpose in the policy"),
    ],
)
def test_a_pipeline_whose_purpose_has_no_position_refuses(
    book: Workspace, home: Project, changes: dict[str, Any], hint: str
) -> None:
    fields = POLICY["fields"] | {"latitude": POLICY["fields"]["latitude"] | changes}
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True}}, "fields": fields})
    with pytest.raises(RefusedError, match="no field of `location` for the purpose service_maintenance") as refused:
        start_locate("d1", "north", book, NOW)
    assert hint in refused.value.hint
    assert list_locate_actions(book, NOW) == []


@pytest.mark.parametrize("made", [{"from": ["latitude"]}, {"collect_if": {"feature": "location"}}])
def test_a_field_that_depends_on_the_feature_in_another_way_is_enough(
    book: Workspace, home: Project, made: dict[str, Any]
) -> None:
    hidden = POLICY["fields"]["latitude"] | {"do": "drop"}
    shown_ = {"type": "double", "role": "quasi", "do": {"round": {"to": 0.1}}} | made
    fields = POLICY["fields"] | {"latitude": hidden, "place": shown_}
    home.write("policy", POLICY | {"features": {"location": {"per_subject": True}}, "fields": fields})
    assert start_locate("d1", "north", book, NOW).action.until == NOW + 24 * HOUR


def test_without_a_pipeline_nothing_is_started(book: Workspace) -> None:
    with pytest.raises(RefusedError, match="a pipeline whose policy"):
        start_locate("d1", "north", replace(book, pipeline=None), NOW)


@pytest.mark.parametrize("holder", ["user", "developer"])
def test_a_refusal_names_the_holder_that_has_turned_the_tenant_off(book: Workspace, holder: str) -> None:
    set_setting(NewSetting("north", "location", "off", holder), book, NOW - HOUR)
    with pytest.raises(
        RefusedError, match=f"the holder `{holder}` has turned `location` off for the tenant"
    ) as refused:
        start_locate("d1", "north", book, NOW)
    assert "--settings ledger" in refused.value.hint


def test_a_tenant_whose_own_setting_is_off_refuses(book: Workspace) -> None:
    set_setting(replace(TENANT_ON, value="off", valid_from=NOW - HOUR), book, NOW - HOUR)
    with pytest.raises(RefusedError, match="the tenant's own setting") as refused:
        start_locate("d1", "north", book, NOW)
    assert "--pipeline" in refused.value.hint
    with pytest.raises(RefusedError, match="the tenant's own setting"):
        start_locate("d1", "south", book, NOW)


def test_an_opt_out_of_the_device_refuses(book: Workspace) -> None:
    set_setting(NewSetting("north", "location", "off", "user", subject="d1"), book, NOW - HOUR)
    with pytest.raises(
        RefusedError, match="the holder `user` has turned `location` off for this device, and any opt-out wins"
    ):
        start_locate("d1", "north", book, NOW)
    start_locate("d2", "north", book, NOW)


@pytest.mark.parametrize("names", [(" ", "north"), ("d1", " ")])
def test_a_device_and_its_tenant_have_names(book: Workspace, names: tuple[str, str]) -> None:
    with pytest.raises(PolicyError):
        start_locate(*names, book, NOW)
    with pytest.raises(PolicyError):
        end_locate(*names, book, NOW)


def test_after_a_rotation_of_the_key_an_action_is_found(book: Workspace, home: Project) -> None:
    start_locate("d1", "north", book, NOW)
    add_key(home.keys, "subject", now=NOW)
    start_locate("d1", "north", book, NOW + HOUR)
    assert hours(book, NOW + 2 * HOUR) == [(0, 25)]
    assert end_locate("d1", "north", book, NOW + 2 * HOUR).ended
    assert not collected(book, NOW + 2 * HOUR)


def test_ids_that_differ_in_case_are_one_device_if_the_policy_folds(book: Workspace, home: Project) -> None:
    device = {"pseudonymize": {"key": "device", "per": "tenant_id", "fold": True}}
    fields = POLICY["fields"] | {"device_id": POLICY["fields"]["device_id"] | {"do": device}}
    features = {"location": {"per_subject": True}, "usage": {}}
    home.write("policy", POLICY | {"features": features, "fields": fields})
    set_setting(NewSetting("north", "usage", "off", "user", subject="D1"), book, NOW - HOUR)
    start_locate("d1", "north", book, NOW)
    assert collected(book, NOW, "D1")
    assert end_locate("D1", "north", replace(book, pipeline=None), NOW + HOUR).ended
    assert not collected(book, NOW + HOUR, "d1")


def test_each_action_is_in_the_audit_log_with_its_end(
    book: Workspace, home: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIMIZE_ACTOR", "sue@example.com")
    start_locate("device-4711", "north", book, NOW, span=2 * HOUR)
    end_locate("device-4711", "north", book, NOW + HOUR)
    with book.open_ledger() as ledger:
        start, end = (entry_event(entry) for entry in find_entries(ledger, EntryFilter(activity="settings"))[-2:])
    assert [(each["operation"], each["actor"]["user"]) for each in (start, end)] == [
        ("locate", "sue@example.com"),
        ("end_locate", "sue@example.com"),
    ]
    changes = {change["name"]: change["new"] for change in start["resources"][0]["changed_properties"]}
    assert changes == {"admin": "on", "until": "2026-11-25T10:00:00Z"}
    assert "device-4711" not in str((start, end))


def test_a_pipeline_that_does_not_read_the_ledger_is_warned_of(
    book: Workspace, home: Project, caplog: pytest.LogCaptureFixture
) -> None:
    home.pipeline(aggregates=None, settings="settings.csv")
    start_locate("d1", "north", book, NOW)
    assert [getattr(record, "code", None) for record in caplog.records] == ["W036"]
    assert "minimize settings import FILE" in caplog.text


def test_a_device_that_its_user_turned_on_is_listed_until_it_runs_out_and_can_be_ended(book: Workspace) -> None:
    by_user = replace(TENANT_ON, subject="d1", holder="user", valid_from=NOW, reference="app-1")
    set_setting(by_user, replace(book, pipeline=None), NOW)
    assert hours(book, NOW + HOUR) == [(0, 24)]
    assert hours(book, NOW + 24 * HOUR) == []
    assert end_locate("d1", "north", book, NOW + 2 * HOUR).ended
    assert hours(book, NOW + 2 * HOUR) == []
    assert [collected(book, NOW + hour * HOUR) for hour in (1, 2)] == [True, False]
    assert not end_locate("d1", "north", book, NOW + 3 * HOUR).ended


def test_a_later_opt_in_of_a_user_is_also_ended(book: Workspace) -> None:
    by_user = replace(TENANT_ON, subject="d1", holder="user", valid_from=NOW + 5 * HOUR, reference="app-1")
    set_setting(by_user, replace(book, pipeline=None), NOW)
    assert end_locate("d1", "north", book, NOW + HOUR).ended
    assert not collected(book, NOW + 6 * HOUR)


@pytest.mark.parametrize("holder", ["admin", "user"])
def test_settings_set_does_not_turn_location_on_for_one_device(book: Workspace, holder: str) -> None:
    own = replace(TENANT_ON, subject="d1", holder=holder)
    with pytest.raises(RefusedError, match="`per_subject`") as refused:
        set_setting(own, book, NOW)
    assert (refused.value.exit_code, refused.value.hint) == (3, "Use `minimize locate start`.")
    assert len(list_settings(book, NOW, history=True)) == 1


def test_settings_set_turns_location_off_for_one_device(book: Workspace) -> None:
    start_locate("d1", "north", book, NOW)
    set_setting(replace(TENANT_ON, subject="d1", value="off", valid_from=NOW + HOUR), book, NOW)
    assert not collected(book, NOW + HOUR)
