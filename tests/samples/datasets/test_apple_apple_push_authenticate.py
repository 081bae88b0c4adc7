"""What devices of Apple say when they check in for the first time."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("apple_push_authenticate", 200)


def test_each_device_says_its_names() -> None:
    assert len({record["UDID"] for record in RECORDS}) == len({record["SerialNumber"] for record in RECORDS}) == 200
    assert {record["MessageType"] for record in RECORDS} == {"Authenticate"}


def test_only_phones_and_tablets_have_an_imei() -> None:
    assert 0 < sum("IMEI" in record for record in RECORDS) < len(RECORDS)


def test_the_devices_of_a_tenant_listen_to_one_topic() -> None:
    pairs = {(record["tenant_id"], record["Topic"]) for record in RECORDS}
    assert len(pairs) == len({tenant for tenant, _ in pairs}) == len({topic for _, topic in pairs})
