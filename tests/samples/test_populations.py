"""Some of the devices of the world, which are the same ones in any number."""

from __future__ import annotations

import numpy as np
import pytest
from minimize_samples.devices import ANDROID, IPAD, IPHONE, MAC
from minimize_samples.populations import (
    AndroidDevices,
    AppleDevices,
    DeviceSelection,
    Macs,
    OrganizationAppleDevices,
    ProtectedDevices,
)
from minimize_samples.world import World

WORLD = World(1)


@pytest.mark.parametrize("kind", [AndroidDevices, AppleDevices, OrganizationAppleDevices, Macs, ProtectedDevices])
def test_fewer_devices_are_the_first_of_more(kind: type[DeviceSelection]) -> None:
    few, many = kind(WORLD, 20).facts(("device_id",)), kind(WORLD, 300).facts(("device_id",))
    assert few["device_id"].to_pylist() == many["device_id"].to_pylist()[:20]


def test_they_are_of_the_kinds_that_they_are_called_after() -> None:
    apple, android = AppleDevices(WORLD, 200), AndroidDevices(WORLD, 200)
    assert set(np.unique(apple.devices.kind[apple.numbers])) == set(range(MAC, IPAD + 1))
    assert android.devices.kind[android.numbers].min() == ANDROID
    macs, protected = Macs(WORLD, 200), ProtectedDevices(WORLD, 200)
    assert set(np.unique(macs.devices.kind[macs.numbers])) == {MAC}
    assert set(np.unique(protected.devices.kind[protected.numbers])) == {IPHONE, IPAD}


def test_no_device_of_an_organization_is_the_users_own() -> None:
    found = OrganizationAppleDevices(WORLD, 200)
    assert not found.devices.is_personal[found.numbers].any()


def test_a_value_of_the_tenant_is_constant_for_its_id() -> None:
    found = AppleDevices(WORLD, 200)
    pairs = set(zip(found.tenant_id.to_pylist(), found.of_tenant("abcdef").to_pylist(), strict=True))
    assert len(pairs) == 6


def test_the_administrator_is_one_of_the_tenant() -> None:
    found = AppleDevices(WORLD, 100)
    pairs = set(zip(found.tenant.tolist(), found.administrator.to_pylist(), strict=True))
    assert len(pairs) == len(np.unique(found.tenant))
