"""How devices of Apple are reached."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_push_token_update", 200)
SECRETS = ("Token", "PushMagic", "UnlockToken")


def test_every_device_has_secrets_of_its_own() -> None:
    assert len({record["UDID"] for record in RECORDS}) == 200
    assert [len({record[name] for record in RECORDS}) for name in SECRETS] == [200] * 3


def test_the_first_two_are_those_that_are_needed_to_push_to_devices() -> None:
    sent = {(record["Token"], record["PushMagic"]) for record in records("apple_push", 200)}
    assert {(record["Token"], record["PushMagic"]) for record in RECORDS} == sent
