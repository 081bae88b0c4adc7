"""Application inventories."""

import json

import numpy as np

from minimize.samples.apps import APPS, MANAGED, inventories

LISTS = [json.loads(text) for text in inventories(1000, np.random.default_rng(1)).to_pylist()]


def test_every_device_has_a_list_an_empty_one_or_null() -> None:
    assert any(apps is None for apps in LISTS)
    assert any(apps == [] for apps in LISTS)
    assert max(len(apps or []) for apps in LISTS) > 8


def test_only_work_applications_are_managed() -> None:
    managed = {app["name"] for apps in LISTS for app in apps or [] if app["managed"]}
    assert managed
    assert managed <= set(APPS[:MANAGED])


def test_applications_have_the_facts_of_an_inventory() -> None:
    app = next(apps[0] for apps in LISTS if apps)
    assert list(app) == ["id", "name", "version", "managed", "bundle_size"]
