"""Pools of invented people.
One world: the members of its populations are the same in samples of any size and in all datasets.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from minimize_samples import DATASETS, NAMES
from minimize_samples.arrays import decode_dictionaries
from minimize_samples.devices import AppInstallations, Devices
from minimize_samples.world import (
    DOCUMENTATION_NETWORKS,
    TENANTS,
    Administrators,
    Population,
    Users,
    World,
    ascii_letters,
    colleague_numbers,
    ip_addresses,
    name_pool,
    phone_numbers,
)

from minimize.errors import ConfigurationError

from .made import records

FICTION = r"\+1[0-9]{3}55501[0-9]{2}|\+447700900[0-9]{3}|\+3363998[0-9]{4}"


def test_the_same_seed_gives_the_same_people() -> None:
    assert name_pool(3, 4) == name_pool(3, 4)
    assert name_pool(3, 4) != name_pool(4, 4)


def test_names_in_addresses_are_ascii() -> None:
    assert [ascii_letters(name) for name in ("Zoé", "O'Neil", "Groß", "李")] == ["zoe", "oneil", "gro", "someone"]


def test_notes_hold_what_redaction_looks_for() -> None:
    notes = "\n".join(name_pool(1, 10).notes)
    assert "@mail.example" in notes
    assert "+1202555" in notes
    assert "203.0.113." in notes


def test_telephone_numbers_are_kept_for_fiction() -> None:
    assert all(re.fullmatch(FICTION, number) for number in phone_numbers())


def test_addresses_are_kept_for_documentation() -> None:
    networks = [ip_network(text) for text in (*DOCUMENTATION_NETWORKS, "2001:db8::/32")]
    for text in ip_addresses(np.random.default_rng(1), 100):
        if text in ("n/a", "unknown"):
            continue
        address = ip_address(re.sub(r"\]:443$|^\[|%en0$", "", text))
        plain = getattr(address, "ipv4_mapped", None) or address
        assert any(plain in network for network in networks)


def test_without_faker_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(ConfigurationError) as refused:
        name_pool(1, 1)
    assert "extra `samples`" in refused.value.hint


POPULATIONS: set[type[Population]] = {Devices, Users, *(each.population for each in DATASETS.values())}


def columns(population: Population) -> dict[str, list[Any]]:
    names = sorted(
        name for name in dir(type(population)) if isinstance(getattr(type(population), name), cached_property)
    )
    found = {name: getattr(population, name) for name in names}
    found |= {name: value.lists for name, value in found.items() if isinstance(value, AppInstallations)}
    return {
        name: decode_dictionaries(value).to_pylist() if isinstance(value, pa.Array) else value.tolist()
        for name, value in found.items()
        if isinstance(value, pa.Array | np.ndarray)
    }


@pytest.mark.parametrize("population", sorted(POPULATIONS, key=repr))
def test_a_member_is_the_same_in_a_population_of_any_size(population: type[Population]) -> None:
    few, many = (columns(population(World(1), count)) for count in (37, 500))
    assert {name: values[:37] for name, values in many.items()} == few


def test_another_seed_is_another_world() -> None:
    assert not set(Users(World(1), 50).user_id.to_pylist()) & set(Users(World(2), 50).user_id.to_pylist())


def test_tenants_are_distinct_and_always_the_same() -> None:
    assert len(set(TENANTS)) == 6
    assert TENANTS[0] == "91b9fd63-473d-5eb2-8da9-5d2ecc407171"


def test_columns_are_drawn_independently() -> None:
    users = Users(World(1), 50)
    assert not set(users.user_id.to_pylist()) & set(users.apple_user_guid.to_pylist())


@pytest.mark.parametrize("kind", [Users, Administrators])
def test_addresses_are_ascii_and_of_one_person(kind: type[Users | Administrators]) -> None:
    addresses = kind(World(1), 20_000).user_principal_name.to_pylist()
    assert len(set(addresses)) == 20_000
    assert all(re.fullmatch(r"[a-z0-9]+\.[a-z0-9]+@[a-z]+\.example", address) for address in addresses)


def test_colleagues_are_of_the_same_tenant_or_missing() -> None:
    some = Administrators(World(1), 3)
    found = colleague_numbers(np.arange(6), some, np.random.default_rng(1))
    assert {tenant for tenant in range(6) if found[tenant] >= 0} == set(some.tenant.tolist())
    assert all(some.tenant[number] == tenant for tenant, number in enumerate(found.tolist()) if number >= 0)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [("device_id", Devices), ("user_id", Users), ("sdk_user_id", Users), ("admin_id", Administrators)],
)
def test_a_subject_has_the_same_facts_in_every_dataset(subject: str, kind: type[Population]) -> None:
    others = (
        {"version"} if kind is Devices else {"phone_number"} if kind is Users else set()
    )  # of applications, of devices
    facts = set(dir(kind)) - others
    seen: dict[tuple[str, str], set[str]] = {}
    for name in NAMES:
        for record in records(name, 300):
            for field in facts & record.keys() if subject in record else ():
                seen.setdefault((record[subject], field), set()).add(repr(record[field]))
    assert [key for key, values in seen.items() if len(values) > 1] == []
