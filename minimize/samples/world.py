"""The world that all samples speak of: six tenants, their users, administrators and sites, and (`devices.py`) their devices.

The members of a population are numbered. Member number n has the same facts in a population of any size, because each column
is drawn from a generator of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar
from uuid import NAMESPACE_DNS, uuid5
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import values
from minimize.samples.lines import concatenated
from minimize.samples.people import People, ascii_letters, people, phones
from minimize.samples.values import Bools, Ints, Random, picked

DOMAINS = (
    "alpine.example",
    "harbour.example",
    "orchard.example",
    "quarry.example",
    "meadow.example",
    "lantern.example",
)
TENANTS = tuple(str(uuid5(NAMESPACE_DNS, domain)) for domain in DOMAINS)
ACCOUNTS = tuple(str(uuid5(NAMESPACE_DNS, f"account.{domain}")) for domain in DOMAINS)
PARTNER_TENANTS = ("LC01alpine", None, "LC03orchard", "LC04quarry", None, "LC06lantern")
"""The tenants at a third party, which some of them have."""
OWNERS = tuple(f"owner@{domain}" for domain in DOMAINS)
SHARES = (33, 20, 15, 12, 11, 9)
"""Of the tenants, in percent."""
LOST = 8
"""So many devices of each tenant are looked for."""

HOLDERS = (0, 0, 0, 1, 1, 2, 3, 4)
"""Who of five users has each of eight devices."""
FIRST = (0, 3, 5, 6, 7)
"""The first device of each of five users."""


class Population:
    """So many members of a world, side by side; each cached property is a column, named after the field that it fills.

    seeded_as  names the generators of its columns: the same for two views of the same members
    """

    seeded_as: ClassVar[str]

    def __init__(self, world: World, count: int) -> None:
        self.world = world
        self.count = count

    def facts(self, names: Iterable[str]) -> dict[str, pa.Array]:
        """The columns of these names."""
        return {name: getattr(self, name) for name in names}

    def draw(self, column: str) -> Random:
        """The generator of a column."""
        return np.random.default_rng([self.world.seed, crc32(f"{self.seeded_as}.{column}".encode())])

    def chance(self, column: str, share: float) -> Bools:
        """True for about this share of the members."""
        return values.chance(self.draw(column), self.count, share)

    def pick(self, column: str, pool: Sequence[str | None], skew: float = 0.0) -> pa.Array:
        """A value of a pool for each member; the higher the skew, the more have the first."""
        return picked(pool, values.codes(self.draw(column), self.count, len(pool), skew), type=pa.string())

    def guids(self, column: str) -> pa.StringArray:
        """A GUID for each member."""
        return values.guids(self.draw(column), self.count)

    @cached_property
    def tenant(self) -> Ints:
        """The place of the tenant among `TENANTS`."""
        return values.spread(self.draw("tenant"), self.count, SHARES, math.sqrt(2))

    @cached_property
    def tenant_id(self) -> pa.Array:
        """The tenant."""
        return picked(TENANTS, self.tenant)

    @cached_property
    def account_id(self) -> pa.Array:
        """The tenant's account."""
        return picked(ACCOUNTS, self.tenant)

    @cached_property
    def partner_tenant_id(self) -> pa.Array:
        """The tenant at a third party, null for some tenants."""
        return picked(PARTNER_TENANTS, self.tenant, type=pa.string())


class Persons(Population):
    """People with a name and an address at their tenant's domain, no two of which are the same."""

    @cached_property
    def given(self) -> Ints:
        """The place of the given name among those of `people`."""
        return values.codes(self.draw("given"), self.count, len(self.world.people.given), 0.3)

    @cached_property
    def family(self) -> Ints:
        """The place of the family name among those of `people`."""
        return values.codes(self.draw("family"), self.count, len(self.world.people.family), 0.3)

    @cached_property
    def first_name(self) -> pa.Array:
        """The given name."""
        return picked(self.world.people.given, self.given)

    @cached_property
    def last_name(self) -> pa.Array:
        """The family name."""
        return picked(self.world.people.family, self.family)

    @cached_property
    def display_name(self) -> pa.StringArray:
        """Given and family name."""
        return concatenated(self.first_name.cast(pa.string()), " ", self.last_name.cast(pa.string()))

    @cached_property
    def user_name(self) -> pa.StringArray:
        """The part of an address before the `@`: the names in ASCII, and a number if somebody at the tenant has them already."""
        given, family = (
            picked([ascii_letters(name) for name in names], codes).cast(pa.string())
            for names, codes in ((self.world.people.given, self.given), (self.world.people.family, self.family))
        )
        name = concatenated(given, ".", family)
        at_tenant = concatenated(name, self.tenant_id.cast(pa.string())).dictionary_encode()
        earlier = values.ordinals(np.asarray(at_tenant.indices, np.int64))
        number = pa.array(earlier + 1).cast(pa.string())
        return concatenated(name, pc.if_else(pa.array(earlier > 0), number, ""))

    @cached_property
    def user_principal_name(self) -> pa.StringArray:
        """The address at the tenant."""
        return concatenated(self.user_name, "@", picked(DOMAINS, self.tenant).cast(pa.string()))

    @cached_property
    def phone_number(self) -> pa.Array:
        """A telephone number."""
        return self.pick("phone_number", phones())


class Users(Persons):
    """The people whose devices are managed: five users have eight devices."""

    seeded_as = "users"

    @cached_property
    def user_id(self) -> pa.StringArray:
        """The user."""
        return self.guids("user_id")

    @cached_property
    def sdk_user_id(self) -> pa.StringArray:
        """The user as the kit in applications knows them."""
        return self.guids("sdk_user_id")

    @cached_property
    def user_email(self) -> pa.StringArray:
        """A private address."""
        return concatenated(self.user_name, "@mail.example")

    @cached_property
    def apple_id(self) -> pa.StringArray:
        """The account at Apple."""
        return concatenated(self.user_name, "@icloud.example")

    @cached_property
    def first_device(self) -> Ints:
        """The number of each user's first device."""
        number = np.arange(self.count)
        first: Ints = number // len(FIRST) * len(HOLDERS) + np.array(FIRST)[number % len(FIRST)]
        return first


class Administrators(Persons):
    """The people who manage a tenant's devices."""

    seeded_as = "administrators"

    @cached_property
    def admin_id(self) -> pa.StringArray:
        """The administrator."""
        return self.guids("admin_id")

    @cached_property
    def directory_id(self) -> pa.StringArray:
        """The administrator in the directory."""
        return self.guids("directory_id")

    @cached_property
    def owner_email(self) -> pa.Array:
        """The owner of the tenant's account."""
        return picked(OWNERS, self.tenant)


class World:
    """What a seed determines for all datasets."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @cached_property
    def people(self) -> People:
        """The names that people have, and what they write."""
        return people(self.seed)


def holder(devices: Ints) -> Ints:
    """The number of the user of each device."""
    number: Ints = devices // len(HOLDERS) * len(FIRST) + np.array(HOLDERS)[devices % len(HOLDERS)]
    return number


def colleagues(tenants: Ints, members: Population, random: Random) -> Ints:
    """The number of a member of the same tenant for each of these tenants, -1 if it has none. Loops over tenants."""
    found, place = np.full(len(tenants), -1), random.random(len(tenants))
    for tenant in range(len(TENANTS)):
        rows, own = np.flatnonzero(tenants == tenant), np.flatnonzero(members.tenant == tenant)
        if len(own):
            found[rows] = own[(place[rows] * len(own)).astype(np.int64)]
    return found
