"""Applications of devices.
The devices of the world.
"""

from __future__ import annotations

from typing import Any

from minimize_samples.arrays import decode_dictionaries
from minimize_samples.devices import APP_NAMES, DEDICATED, DEVICE_TYPES, MANAGED_APPS, OPERATING_SYSTEMS, Devices
from minimize_samples.world import LOST_DEVICES, TENANTS, World

INSTALLED = Devices(World(1), 1000).apps
LISTS = decode_dictionaries(INSTALLED.lists).to_pylist()


def test_devices_have_a_few_applications_and_some_have_none() -> None:
    assert {len(apps) for apps in LISTS} >= {0, 1, 5, 9}


def test_a_device_has_an_application_once() -> None:
    assert all(len(apps) == len({app["name"] for app in apps}) for apps in LISTS)


def test_only_work_applications_are_managed() -> None:
    managed = {app["name"] for apps in LISTS for app in apps if app["managed"]}
    assert managed == set(APP_NAMES[:MANAGED_APPS])


def test_applications_have_the_facts_of_an_inventory() -> None:
    app = next(apps[0] for apps in LISTS if apps)
    assert list(app) == ["id", "name", "version", "managed", "bundle_size"]


DEVICES = Devices(World(1), 2000)


def column(name: str) -> list[Any]:
    values: list[Any] = decode_dictionaries(getattr(DEVICES, name)).to_pylist()
    return values


def kinds_with(name: str) -> set[str]:
    return {kind for kind, value in zip(column("device_type"), column(name), strict=True) if value is not None}


def test_every_type_system_and_owner_is_there() -> None:
    assert set(column("device_type")) == set(DEVICE_TYPES)
    assert set(column("operating_system")) == set(OPERATING_SYSTEMS)
    assert set(column("owner_type")) == {"corporate", "personal", "unknown"}


def test_each_tenant_has_ten_devices_of_each_system_among_a_thousand() -> None:
    devices = Devices(World(1), 1000)
    pairs = list(zip(devices.tenant.tolist(), devices.operating_system.to_pylist(), strict=True))
    assert {pair for pair in pairs if pairs.count(pair) >= 10} == {
        (tenant, system) for tenant in range(len(TENANTS)) for system in OPERATING_SYSTEMS
    }


def test_a_dedicated_device_has_no_user_and_is_never_personal_and_may_have_a_number() -> None:
    dedicated = DEVICES.kind == DEDICATED
    assert not DEVICES.is_personal[dedicated].any()
    for name in ("user_id", "user_display_name", "user_principal_name"):
        assert [value is None for value in column(name)] == dedicated.tolist()
    assert "android_dedicated" in kinds_with("phone_number")


def test_a_user_has_up_to_three_devices_of_one_tenant() -> None:
    found: dict[str, set[str]] = {}
    for user, tenant in zip(column("user_id"), column("tenant_id"), strict=True):
        if user is not None:
            found.setdefault(user, set()).add(tenant)
    assert {len(tenants) for tenants in found.values()} == {1}
    counts = {user: column("user_id").count(user) for user in list(found)[:50]}
    assert set(counts.values()) == {1, 2, 3}


def test_the_first_device_of_a_user_is_theirs() -> None:
    users = DEVICES.users
    first = users.first_device[: users.count - 1]
    assert DEVICES.holder[first].tolist() == list(range(len(first)))


def test_identifiers_belong_to_their_platforms() -> None:
    apple, phones = {"mac", "iphone", "ipad"}, set(DEVICE_TYPES) - {"windows", "mac"}
    android = {name for name in DEVICE_TYPES if name.startswith("android")}
    expected = {"udid": apple, "apple_id": apple, "android_id": android, "imei": phones, "iccid": phones}
    expected |= {
        "windows_id": {"windows"},
        "mac_address": {"mac"},
        "tpm_version": {"windows"},
        "bios_date": {"windows"},
    }
    assert {name: kinds_with(name) for name in expected} == expected


def test_some_devices_of_one_carrier_have_an_meid() -> None:
    carriers = {carrier for carrier, meid in zip(column("carrier"), column("meid"), strict=True) if meid is not None}
    assert len(carriers) == 1
    assert column("carrier").count(*carriers) > sum(meid is not None for meid in column("meid"))
    assert {imei[:14] for imei in column("imei") if imei} >= {meid for meid in column("meid") if meid}


def test_models_and_processors_are_more_than_a_top_list_keeps() -> None:
    assert min(len(set(column("model"))), len(set(column("cpu")))) > 50


def test_a_device_name_holds_the_users_name() -> None:
    for name, user in zip(column("device_name"), column("user_display_name"), strict=True):
        assert user is None or user.startswith(name.split("'s ")[0])


def test_devices_are_lost_in_every_tenant_and_supervised_ones_locked() -> None:
    assert [int(DEVICES.is_lost[DEVICES.tenant == tenant].sum()) for tenant in range(len(TENANTS))] == [
        LOST_DEVICES
    ] * 6
    locked = [kind for kind, locked in zip(column("device_type"), column("lost_mode"), strict=True) if locked]
    assert locked
    assert set(locked) <= {"iphone", "ipad"}
