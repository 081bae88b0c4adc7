"""One world: the members of its populations are the same in samples of any size and in all datasets."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from minimize.samples import DATASETS, NAMES
from minimize.samples.arrays import decode_dictionaries
from minimize.samples.devices import AppInstallations, Devices
from minimize.samples.world import TENANTS, Administrators, Population, Users, World, colleague_numbers

from .made import records

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
    assert not set(users.user_id.to_pylist()) & set(users.sdk_user_id.to_pylist())


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
