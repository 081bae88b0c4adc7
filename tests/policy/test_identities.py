"""Identities: which fields of a policy hold the ids of users and devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from minimize.errors import ConfigurationError, PolicyError
from minimize.policy.fields import all_fields_named, fields_named, individual_of, resolve_identity, stated_identities
from minimize.policy.load import load_policy
from minimize.policy.model import Policy

FIELDS = {
    "tenant": {"type": "string", "do": "keep"},
    "device_id": {"type": "string", "role": "identifier", "identifies": "device", "do": "keep"},
    "serial": {"type": "string", "role": "identifier", "identifies": "device.serial_number", "do": "drop"},
    "owner": {"type": "string", "role": "identifier", "identifies": "user", "do": "drop"},
    "contact": {"type": "string", "role": "identifier", "identifies": "user", "do": "keep"},
    "/objects/*/id": {"type": "string", "role": "identifier", "identifies": ["user", "device"], "do": "drop"},
    "session": {"type": "string", "role": "identifier", "do": "keep"},
}


def written(folder: Path, name: str = "people", **fields: Any) -> Policy:
    """A policy with these fields, read from its file."""
    body = {"policy": name, "version": 1, "purposes": ["operations"], "tenant": "tenant", "subject": "session"}
    path = folder / f"{name}.yaml"
    with path.open("w") as file:
        YAML().dump({**body, "fields": {**FIELDS, **fields}}, file)
    return load_policy(path)


def test_a_policy_states_what_its_fields_identify(tmp_path: Path) -> None:
    assert stated_identities(written(tmp_path)) == {
        "device_id": ("device",),
        "serial": ("device.serial_number",),
        "owner": ("user",),
        "contact": ("user",),
        "/objects/*/id": ("user", "device"),
    }


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("user", ("owner", "contact", "/objects/*/id")),
        ("owner", ("owner", "contact", "/objects/*/id")),
        ("device.serial_number", ("serial",)),
        ("session", ("session",)),
        ("unknown", ()),
        (None, ("session", "device_id", "serial", "owner", "contact", "/objects/*/id")),
    ],
)
def test_an_identity_name_selects_the_fields_with_its_ids(
    tmp_path: Path, name: str | None, fields: tuple[str, ...]
) -> None:
    assert fields_named(written(tmp_path), name) == fields


def test_several_identity_names_select_all_their_fields(tmp_path: Path) -> None:
    assert all_fields_named(written(tmp_path), ["device", "session"]) == {"device_id", "session", "/objects/*/id"}


def test_a_field_of_one_policy_is_resolved_for_all(tmp_path: Path) -> None:
    other = written(tmp_path, "other", owner={"type": "string"})
    assert resolve_identity("owner", [other, written(tmp_path)]) == "user"
    assert resolve_identity("session", [other]) == "session"
    assert resolve_identity(None, [other]) is None


def test_a_field_that_identifies_different_things_is_refused(tmp_path: Path) -> None:
    other = written(tmp_path, "other", owner={"type": "string", "identifies": "device"})
    with pytest.raises(ConfigurationError, match="owner identifies more than one thing") as refused:
        resolve_identity("owner", [written(tmp_path), other])
    assert refused.value.hint == "Pass one of device, user instead of the field."


@pytest.mark.parametrize("identity", ["person", "device.", "device.Serial", "user.a.b", "", 3, []])
def test_another_word_for_an_identity_is_refused(tmp_path: Path, identity: Any) -> None:
    with pytest.raises(PolicyError):
        written(tmp_path, owner={"type": "string", "identifies": identity})


def test_an_identity_is_that_of_a_user_or_of_a_device() -> None:
    assert [individual_of(each) for each in ("user", "user.apple_id", "device.udid", "users", None)] == [
        "user",
        "user",
        "device",
        None,
        None,
    ]
