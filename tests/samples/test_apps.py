"""Applications of devices."""

from minimize.samples.arrays import decode_dictionaries
from minimize.samples.devices import APP_NAMES, MANAGED_APPS, Devices
from minimize.samples.world import World

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
