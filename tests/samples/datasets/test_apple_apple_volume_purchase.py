"""Licences that are assigned to users and devices."""

from __future__ import annotations

from minimize_samples.world import World

from tests.samples.made import dataset, records

RECORDS = records("apple_volume_purchase", 200)


def test_the_account_is_the_administrators_and_the_same_for_the_whole_tenant() -> None:
    accounts = {(record["tenant_id"], record["managed_apple_id_upn"]) for record in RECORDS}
    assert len(accounts) == len({record["tenant_id"] for record in RECORDS}) == 6


def test_users_and_devices_are_those_of_the_world() -> None:
    members = dataset("apple_volume_purchase", 200).members
    users = members.devices.users
    guids = dict(zip(users.user_id.to_pylist(), users.apple_user_guid.to_pylist(), strict=True))
    assert isinstance(members.world, World)
    assert all(guids[record["user_id"]] == record["user_guid"] for record in RECORDS)
    assert len({record["serial_number"] for record in RECORDS}) == 200
