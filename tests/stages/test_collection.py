"""What a reviewer of collection would ask, as sentences: ownership, features, levels, and who may turn them off."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tests.stages.make import APPS, before, left, plan_of, records, settings

COLUMNS = {
    "owner_type": pa.string(),
    "phone_number": pa.string(),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "is_lost": pa.bool_(),
    "user_name": pa.string(),
    "use_count": pa.int64(),
    "apps": APPS,
}
POLICY: dict[str, Any] = {
    "levels": ["required", "basic", "enhanced", "full"],
    "features": {
        "app_inventory": {"about": "applications installed on the device"},
        "location": {"about": "position of a lost device", "retention": "24h", "per_subject": True},
        "usage": {"about": "how often features are used", "holders": ["admin", "user", "developer"]},
        "client_usage": {"about": "how the person uses the client", "holders": ["user"]},
    },
}
FIELDS: dict[str, Any] = {
    "owner_type": {"type": "string", "do": "keep"},
    "phone_number": {
        "type": "string",
        "role": "identifier",
        "cases": [
            {"if": {"owner_type": "corporate"}, "do": "keep"},
            {"if": {"owner_type": "personal"}, "do": {"mask": {"keep_last": 4}}},
        ],
        "otherwise": "drop",
    },
    "latitude": {"type": "double", "role": "quasi", "do": "drop"},
    "longitude": {"type": "double", "role": "quasi", "do": "drop"},
    "is_lost": {"type": "boolean", "do": "keep"},
    "position": {
        "from": ["latitude", "longitude"],
        "feature": "location",
        "collect_if": {"owner_type": "corporate", "is_lost": True},
        "do": {"grid": {"metres": 300}},
    },
    "user_name": {"type": "string", "role": "identifier", "level": "full", "do": "keep"},
    "use_count": {"type": "integer", "feature": "usage", "do": "keep"},
    "/apps/*/name": {
        "type": "string",
        "do": "keep",
        "collect_if": {
            "any": [{"owner_type": "corporate"}, {"all": [{"feature": "app_inventory"}, {"/apps/*/managed": True}]}]
        },
    },
    "/apps/*/managed": {"type": "boolean", "do": "drop"},
}
PLAN = plan_of(FIELDS, columns=COLUMNS, **POLICY)
MAIL = {"name": "mail", "managed": True}
GAME = {"name": "game", "managed": False}


def one(record: dict[str, Any], *said: dict[str, Any]) -> dict[str, Any]:
    rows = left(PLAN, records(COLUMNS, record), settings(*said))
    return rows[0]


def on(setting: str, **more: Any) -> dict[str, Any]:
    return {"setting": setting, "value": "on", **more}


def off(setting: str, **more: Any) -> dict[str, Any]:
    return {"setting": setting, "value": "off", **more}


def phone(owner: str | None) -> str | None:
    found: str | None = one({"owner_type": owner, "phone_number": "+33612345678"})["phone_number"]
    return found


def test_the_phone_number_of_a_corporate_device_is_whole() -> None:
    assert phone("corporate") == "+33612345678"


def test_of_a_personal_phone_number_four_digits_are_left() -> None:
    assert phone("personal") == "****5678"


def test_a_dedicated_device_or_one_of_unknown_owner_has_no_phone_number() -> None:
    assert phone("dedicated") is None
    assert phone(None) is None


def test_a_device_that_became_personal_leaves_its_number_reduced_and_its_applications_out() -> None:
    device = {"phone_number": "+33612345678", "apps": [MAIL, GAME]}
    assert one({"owner_type": "corporate", **device})["apps"] == [{"name": "mail"}, {"name": "game"}]
    now = one({"owner_type": "personal", **device})
    assert (now["phone_number"], now["apps"]) == ("****5678", None)


SINCE = before(hours=23, minutes=59)
LOCATED = (on("location"), on("location", subject="d", valid_from=SINCE, recorded_at=SINCE))
LOST = {"latitude": 48.8566, "longitude": 2.3522, "owner_type": "corporate", "is_lost": True}


def test_while_location_is_off_for_the_tenant_or_the_device_there_is_no_position() -> None:
    for said in ((), LOCATED[:1], LOCATED[1:], (*LOCATED, off("location", subject="d", holder="user"))):
        assert one(LOST, *said)["position"] is None


def test_the_position_of_a_located_device_is_that_of_its_cell() -> None:
    cell = one(LOST, *LOCATED)["position"]
    assert cell == pytest.approx({"latitude": 48.8566, "longitude": 2.3522}, abs=0.003)
    assert cell == one({**LOST, "latitude": cell["latitude"], "longitude": cell["longitude"]}, *LOCATED)["position"]


def test_another_device_of_the_tenant_is_not_located() -> None:
    assert one({**LOST, "device_id": "other"}, *LOCATED)["position"] is None


def test_a_device_that_is_personal_or_not_lost_is_not_located() -> None:
    for changed in ({"owner_type": "personal"}, {"is_lost": False}, {"is_lost": None}):
        assert one({**LOST, **changed}, *LOCATED)["position"] is None


def test_the_position_is_gone_at_twenty_four_hours() -> None:
    assert one({**LOST, "event_time": before(hours=23, minutes=59)}, *LOCATED)["position"] is not None
    assert one({**LOST, "event_time": before(hours=24)}, *LOCATED)["position"] is None


def test_locating_a_device_today_does_not_release_positions_of_yesterday() -> None:
    said = on("location", subject="d", valid_from=before(hours=2), recorded_at=before(hours=2))
    assert one({**LOST, "event_time": before(hours=3)}, on("location"), said)["position"] is None
    assert one({**LOST, "event_time": before(hours=1)}, on("location"), said)["position"] is not None


def test_after_the_end_of_a_locate_action_no_position_is_released_of_any_time() -> None:
    ended = off("location", subject="d", valid_from=before(minutes=1))
    assert one({**LOST, "event_time": before(hours=1)}, *LOCATED, ended)["position"] is None


def test_a_personal_device_without_the_inventory_has_no_applications_not_even_an_empty_list() -> None:
    assert one({"owner_type": "personal", "apps": [MAIL]})["apps"] is None
    assert one({"owner_type": "personal", "apps": []})["apps"] is None


def test_a_personal_device_with_the_inventory_has_its_managed_applications_only() -> None:
    assert one({"owner_type": "personal", "apps": [MAIL, GAME]}, on("app_inventory"))["apps"] == [{"name": "mail"}]


def test_a_personal_device_with_the_inventory_on_and_no_application_has_an_empty_list() -> None:
    assert one({"owner_type": "personal", "apps": []}, on("app_inventory"))["apps"] == []


def test_a_corporate_device_has_all_its_applications_without_a_feature() -> None:
    assert one({"owner_type": "corporate", "apps": [MAIL, GAME]})["apps"] == [{"name": "mail"}, {"name": "game"}]


def test_below_the_full_level_there_is_no_name() -> None:
    for level in ("required", "basic", "enhanced"):
        assert one({"user_name": "Alice"}, {"setting": "level", "value": level})["user_name"] is None
    assert one({"user_name": "Alice"}, {"setting": "level", "value": "full"})["user_name"] == "Alice"


def test_silence_about_the_level_is_the_first_level() -> None:
    assert one({"user_name": "Alice"})["user_name"] is None


def test_a_person_who_opts_out_stays_out_under_any_setting_of_the_administrator() -> None:
    said = [
        off("usage", holder="user", subject="d"),
        on("usage", valid_from=before(days=1), recorded_at=before(days=1)),
    ]
    assert one({"use_count": 3}, *said)["use_count"] is None
    assert one({"use_count": 3, "device_id": "other"}, *said)["use_count"] == 3


def test_records_from_a_switched_off_period_are_never_collected() -> None:
    said = [on("usage"), off("usage", valid_from=before(hours=9)), on("usage", valid_from=before(hours=6))]
    counts = [one({"use_count": 3, "event_time": before(hours=hours)}, *said)["use_count"] for hours in (10, 8, 5)]
    assert counts == [3, None, 3]


def test_an_administrator_cannot_turn_on_what_only_the_person_may() -> None:
    fields = {**FIELDS, "use_count": {"type": "integer", "feature": "client_usage", "do": "keep"}}
    plan = plan_of(fields, columns=COLUMNS, **POLICY)
    raw = records(COLUMNS, {"use_count": 3}, {"use_count": 3, "device_id": "other"})
    said = settings(on("client_usage"), on("client_usage", holder="user", subject="d"))
    assert [row["use_count"] for row in left(plan, raw, said)] == [3, None]
