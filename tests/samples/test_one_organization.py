"""The committed samples describe one organization: the same devices and users, under the same ids, in all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from minimize_samples import NAMES

from tests.pipelines.shipped import RECEIVED, sample

Record = Mapping[str, Any]
Name = tuple[str, str]
"""A kind of id, and its value."""

DEVICE_FIELDS = {
    "device_id": "device",
    "vendor_device_id": "threat defense",
    "directory_device_id": "directory",
    "device_aad_id": "directory",
    "serial_number": "serial number",
    "SerialNumber": "serial number",
    "udid": "udid",
    "UDID": "udid",
    "imei": "imei",
    "IMEI": "imei",
    "android_id": "android",
    "windows_id": "windows",
    "management_id": "management",
}
USER_FIELDS = {
    "user_id": "user",
    "sdk_user_id": "user",
    "user_aad_id": "user",
    "user_guid": "Apple's guid",
    "appleUserId": "Apple's own id",
    "user_principal_name": "address",
    "user_email": "address",
    "apple_id": "apple id",
}
OTHER_MEANINGS = {
    ("threat_defense_threat_state", "device_id"): "threat defense",
    ("usage_events", "user_email"): "private address",
    ("administrators", "user_principal_name"): None,
}
"""Fields that have another meaning in one dataset; None is no user of a device."""


def names_in(dataset: str, record: Record, fields: Mapping[str, str]) -> Iterator[Name]:
    """The ids in a record, of a device or of a user."""
    for field, kind in fields.items():
        meaning = OTHER_MEANINGS.get((dataset, field), kind)
        if meaning is not None and isinstance(value := record.get(field), str):
            yield meaning, value


@cache
def groups(of: Callable[[], Mapping[str, str]]) -> list[tuple[set[str], set[Name]]]:
    """The devices or the users: datasets and ids of each. Records with a common id are about the same one."""
    root: dict[Name, Name] = {}
    seen_in: dict[Name, set[str]] = defaultdict(set)

    def find(name: Name) -> Name:
        while root.setdefault(name, name) != name:
            root[name] = name = root[root[name]]
        return name

    for dataset in NAMES:
        for record in sample(dataset):
            names = list(names_in(dataset, record, of()))
            for name in names:
                seen_in[name].add(dataset)
                root[find(name)] = find(names[0])
    found: dict[Name, tuple[set[str], set[Name]]] = defaultdict(lambda: (set(), set()))
    for name, datasets in seen_in.items():
        where, known = found[find(name)]
        where |= datasets
        known.add(name)
    return list(found.values())


def device_fields() -> Mapping[str, str]:
    return DEVICE_FIELDS


def user_fields() -> Mapping[str, str]:
    return USER_FIELDS


def kinds_twice(names: Iterable[Name]) -> set[str]:
    """The kinds of ids of which there are several."""
    kinds = [kind for kind, _ in names]
    return {kind for kind in kinds if kinds.count(kind) > 1}


@pytest.mark.parametrize("of", [device_fields, user_fields])
def test_everyone_has_one_id_of_each_kind(of: Callable[[], Mapping[str, str]]) -> None:
    assert {kind for _, names in groups(of) for kind in kinds_twice(names)} == set()


@pytest.mark.parametrize(("of", "kind"), [(device_fields, "device"), (user_fields, "user")])
def test_every_id_leads_to_the_id_of_the_service(of: Callable[[], Mapping[str, str]], kind: str) -> None:
    unknown = [where for where, names in groups(of) if kind not in {each for each, _ in names}]
    assert unknown == []


def test_third_parties_answer_about_devices_of_the_inventory() -> None:
    unknown = [where for where, _ in groups(device_fields) if where & set(RECEIVED) and "device_inventory" not in where]
    assert unknown == []


def test_third_parties_answer_about_devices_and_users_that_were_sent_to_them() -> None:
    sent = {"threat_defense_threat_state": "threat_defense_app_sync", "apple_push_token_update": "apple_push"}
    sent |= {"apple_device_enrollment_sync": "apple_device_enrollment"}
    for answers, sends in sent.items():
        assert [where for where, _ in groups(device_fields) if answers in where and sends not in where] == []
    licences = [where for where, _ in groups(user_fields) if "apple_volume_purchase_sync" in where]
    assert [where for where in licences if "apple_volume_purchase" not in where] == []
