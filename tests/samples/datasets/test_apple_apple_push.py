"""What a push to a device of Apple needs."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_push", 200)


def test_every_device_of_apple_has_a_token_and_a_magic_string_of_its_own() -> None:
    devices = {record["device_id"] for record in RECORDS}
    assert len(devices) == len({record["Token"] for record in RECORDS}) == 200
    assert len({record["PushMagic"] for record in RECORDS}) == 200


def test_they_are_the_same_on_the_next_day() -> None:
    tokens = {record["device_id"]: record["Token"] for record in RECORDS}
    assert tokens == {record["device_id"]: record["Token"] for record in records("apple_push", 200, 1)}
