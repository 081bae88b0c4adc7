"""What a reviewer of collection asks of whole runs: one record in, what of it came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minimize.errors import RefusedError
from tests.project import AT, DAY, Project, write_keyring

POLICY = Path(__file__).parents[2] / "pipelines" / "device_telemetry" / "policy.yaml"
HEAD = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
NUMBER = "+33612345678"
MAIL = {"name": "Mail", "version": "1.2.3", "managed": True}
GAME = {"name": "Game", "version": "9.9.9", "managed": False}


def says(setting: str, value: str = "on", holder: str = "admin", subject: str = "", since: str = "2026-01-01") -> str:
    return f"t,{subject},{setting},{value},{holder},{since}T00:00:00Z,{since}T00:00:00Z\n"


def checkin(**more: Any) -> dict[str, Any]:
    usual = {"event_id": "e", "tenant_id": "t", "device_id": "d", "event_time": "2026-11-24T22:15:00Z"}
    return {"owner_type": "personal", "device_type": "android", **usual, **more}


class Golden:
    """The policy of the shipped check-ins over one record and the settings that a test names."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def out(self, record: dict[str, Any], *settings: str, purpose: str = "service_maintenance") -> dict[str, Any]:
        """What became of one record; nothing where it did not leave."""
        self.project.write(
            "pipeline",
            {
                "pipeline": "golden",
                "policy": str(POLICY),
                "purpose": purpose,
                "source": {"path": "data/{date}/*.ndjson.gz", "format": "ndjson"},
                "settings": "settings.csv",
                "output": "out",
                "records": {"must_be": "identified"},
            },
        )
        (self.project.folder / "settings.csv").write_text(HEAD + "".join(settings))
        self.project.records([record])
        self.project.run(at=AT)
        rows = self.project.rows(mixed_keys=True)
        return rows[0] if rows else {}

    def phone(self, **more: Any) -> Any:
        return self.out(checkin(phone_number=NUMBER, **more), purpose="customer_support")["phone_number"]


@pytest.fixture(name="golden")
def _golden(project: Project) -> Golden:
    write_keyring(project.keys, ("device", "user"))
    return Golden(project)


def test_a_personal_phone_number_is_its_last_four_digits(golden: Golden) -> None:
    assert golden.phone(owner_type="personal") == "****5678"


def test_a_corporate_phone_number_is_whole(golden: Golden) -> None:
    assert golden.phone(owner_type="corporate") == NUMBER


@pytest.mark.parametrize("owner", ["corporate", "personal"])
def test_a_dedicated_device_has_no_phone_number(golden: Golden, owner: str) -> None:
    assert golden.phone(owner_type=owner, device_type="android_dedicated") is None


@pytest.mark.parametrize("owner", ["unknown", None])
def test_a_device_of_an_unknown_owner_type_has_no_phone_number(golden: Golden, owner: str | None) -> None:
    assert golden.phone(owner_type=owner) is None


def test_for_another_purpose_there_is_no_phone_number_at_all(golden: Golden) -> None:
    assert "phone_number" not in golden.out(checkin(phone_number=NUMBER))


LOST = {"owner_type": "corporate", "device_type": "iphone", "is_supervised": True, "lost_mode": True}
ACTION = "t,d,location,on,admin,2026-11-23T12:00:00Z,2026-11-23T12:00:00Z\n"
AGAIN = ACTION.replace("2026-11-23T12", "2026-11-24T06")


def position(golden: Golden, *settings: str, when: str = "2026-11-24T22:15:00Z") -> Any:
    """What the help desk gets of the position of a lost device."""
    record = checkin(**LOST, latitude=48.8566, longitude=2.3522, event_time=when)
    return golden.out(record, *settings, purpose="customer_support").get("position")


def test_without_the_locate_action_there_is_no_position(golden: Golden) -> None:
    assert position(golden, says("location")) is None


def test_with_the_locate_action_the_position_is_the_centre_of_a_cell(golden: Golden) -> None:
    found = position(golden, says("location"), ACTION, AGAIN)
    assert found["latitude"] == pytest.approx(48.8566, abs=0.0015)
    assert found["latitude"] != 48.8566


@pytest.mark.parametrize(("when", "is_there"), [("2026-11-24T00:00:00Z", False), ("2026-11-24T00:00:01Z", True)])
def test_a_position_is_gone_at_twenty_four_hours(golden: Golden, when: str, is_there: bool) -> None:
    assert (position(golden, says("location"), ACTION, AGAIN, when=when) is not None) == is_there


def test_a_position_from_before_the_action_is_never_collected(golden: Golden) -> None:
    assert position(golden, says("location"), AGAIN, when="2026-11-24T05:59:59Z") is None


def test_without_the_inventory_a_personal_device_shows_no_application(golden: Golden) -> None:
    assert golden.out(checkin(apps=[MAIL, GAME]))["apps"] is None


def test_with_the_inventory_a_personal_device_shows_managed_applications(golden: Golden) -> None:
    row = golden.out(checkin(apps=[MAIL, GAME]), says("app_inventory"))
    assert row["apps"] == [{"name": "Mail", "version": "1.2"}]


def test_a_corporate_device_shows_all_applications(golden: Golden) -> None:
    row = golden.out(checkin(apps=[MAIL, GAME], owner_type="corporate"))
    assert [app["name"] for app in row["apps"]] == ["Mail", "Game"]


def test_a_gated_list_is_null_at_any_length(golden: Golden) -> None:
    for apps in ([], [GAME], [GAME, GAME], None):
        assert golden.out(checkin(apps=apps))["apps"] is None


def own(value: str = "on", subject: str = "d", since: str = "2026-01-01") -> str:
    """What a person says about usage, which is the person's own to decide."""
    return says("usage", value, "user", subject, since)


def test_an_opt_out_of_the_person_survives_an_on_of_the_administrator(golden: Golden) -> None:
    record = checkin(portal_opens=3)
    out = own("off", since="2026-10-01")
    assert golden.out(record, own())["portal_opens"] == 3
    assert golden.out(record, own(), out)["portal_opens"] is None
    assert golden.out(record, own(), out, says("usage", since="2026-11-01"))["portal_opens"] is None
    assert golden.out(checkin(portal_opens=3, device_id="e"), own(), own(subject="e"), out)["portal_opens"] == 3


def test_an_opt_out_in_between_is_never_collected_however_late_it_comes(golden: Golden) -> None:
    settings = (own(), own("off", since="2026-11-20"), own(since="2026-11-23"))
    for day, expected in (("19", 3), ("20", None), ("22", None), ("23", 3)):
        record = checkin(portal_opens=3, event_time=f"2026-11-{day}T12:00:00Z")
        assert golden.out(record, *settings)["portal_opens"] == expected, day


def test_a_forbidden_field_quarantines_its_whole_record(golden: Golden) -> None:
    assert golden.out(checkin(contacts=[])) == {}


def test_a_device_is_pseudonymous_only_if_no_identifier_is_released_with_it(project: Project) -> None:
    project.policy({"model": {"type": "string", "role": "identifier", "do": "keep"}})
    project.pipeline(aggregates=None, settings=None)
    project.records([checkin(model="Ann")])
    with pytest.raises(RefusedError):
        project.run()


@pytest.mark.parametrize(("level", "seen"), [("basic", False), ("enhanced", False), ("full", True)])
def test_names_addresses_and_mail_are_never_there_below_the_full_level(
    project: Project, level: str, seen: bool
) -> None:
    personal = ("user_name", "ip", "mail")
    gated = {name: {"type": "string", "role": "identifier", "level": "full", "do": "keep"} for name in personal}
    project.policy(gated, levels=["required", "basic", "enhanced", "full"])
    project.pipeline(aggregates=None, records={"must_be": "identified"})
    (project.folder / "settings.csv").write_text(HEAD + says("level", level))
    values = dict(zip(personal, ("Ann", "203.0.113.7", "ann@mail.example"), strict=True))
    project.records([checkin(model="A", battery=1.0, storage=1, latitude=1.0, **values)])
    receipt = project.run()
    (row,) = project.rows()
    assert [row[name] is not None for name in personal] == [seen] * 3
    assert json.dumps(receipt.to_json()).count("ann@mail.example") == 0


def test_of_several_levels_the_lowest_counts(project: Project) -> None:
    project.policy({"note": {"type": "string", "level": "full", "do": "keep"}}, levels=["required", "basic", "full"])
    project.pipeline(aggregates=None)
    (project.folder / "settings.csv").write_text(HEAD + says("level", "full") + says("level", "basic", "user", "d"))
    project.records([checkin(note="x"), checkin(note="x", device_id="e")])
    project.run(date=DAY)
    assert sorted(str(row["note"]) for row in project.rows()) == ["None", "x"]
