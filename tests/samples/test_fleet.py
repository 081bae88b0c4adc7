"""The devices of a sample."""

import json

import numpy as np

from minimize.samples.fleet import DEDICATED, TYPES, fleet
from minimize.samples.people import people

FLEET = fleet(2000, people(1, 10), np.random.default_rng(1))
DEVICES = [json.loads("{" + text + "}") for text in FLEET.members.to_pylist()]


def test_every_kind_of_device_is_there() -> None:
    assert {device["device_type"] for device in DEVICES} == set(TYPES)


def test_a_dedicated_device_is_never_personal_and_may_have_a_number() -> None:
    dedicated = [device for device in DEVICES if device["device_type"] == TYPES[DEDICATED]]
    assert "personal" not in {device["owner_type"] for device in dedicated}
    assert any("phone_number" in device for device in dedicated)


def test_every_owner_is_there() -> None:
    assert {device["owner_type"] for device in DEVICES} == {"corporate", "personal", "unknown"}


def test_only_cellular_devices_have_an_imei() -> None:
    assert not any("imei" in device for device in DEVICES if device["device_type"] in ("windows", "mac"))
    assert any("imei" in device for device in DEVICES)


def test_models_are_more_than_a_top_list_keeps() -> None:
    assert len({device["model"] for device in DEVICES}) > 50


def test_a_device_name_can_hold_a_person() -> None:
    given = set(people(1, 10).given)
    assert all(device["device_name"].split("'s ")[0] in given for device in DEVICES)
