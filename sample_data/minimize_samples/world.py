"""The world of all samples: invented names and contacts, then six tenants with their users, administrators and sites.

The members of a population are numbered. Member number n has the same facts in a population of any size, because each
column is drawn from a generator of its own. Phone numbers and addresses are of ranges reserved for fiction and documentation.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address
from typing import TYPE_CHECKING, ClassVar
from uuid import NAMESPACE_DNS, uuid5
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.arrow.dictionaries import Bools
from minimize.errors import ConfigurationError
from minimize_samples import arrays
from minimize_samples.arrays import Ints, Random, concatenate, pool_values

if TYPE_CHECKING:
    from faker import Faker

LOCALES = ("en_US", "fr_FR", "de_DE")
DOCUMENTATION_NETWORKS = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
_AREAS = (202, 206, 212, 303, 312, 404, 415, 503, 512, 617, 702, 713, 808, 907)


@dataclass(frozen=True, slots=True)
class NamePool:
    """Given and family names (equally many of each), and texts that people write to the help desk."""

    given_names: tuple[str, ...]
    family_names: tuple[str, ...]
    notes: tuple[str, ...]


def name_pool(seed: int, each: int = 80) -> NamePool:
    """A number of people of each locale. Raises ConfigurationError if Faker is not installed."""
    fakers = [_faker(locale, seed) for locale in LOCALES]
    given = tuple(faker.first_name() for faker in fakers for _ in range(each))
    family = tuple(faker.last_name() for faker in fakers for _ in range(each))
    return NamePool(given, family, tuple(_note(fakers[index % 3], index) for index in range(each)))


def phone_numbers() -> list[str]:
    """Telephone numbers of the ranges that regulators reserve for fiction (North America, United Kingdom, France)."""
    american = [f"+1{area}55501{number:02}" for area in _AREAS for number in range(100)]
    british = [f"+447700900{number:03}" for number in range(1000)]
    french = [f"+3363998{number:04}" for number in range(0, 10_000, 5)]
    return [*american, *british, *french]


def ip_addresses(random: Random, count: int = 1500) -> list[str]:
    """IP addresses of the documentation ranges: v4, v6, v4-mapped, and forms with brackets, port and zone."""
    v4 = [str(host) for network in DOCUMENTATION_NETWORKS for host in IPv4Network(network).hosts()]
    v6 = [_v6(random) for _ in range(count)]
    mapped = [f"::ffff:{address}" for address in v4[::9]]
    odd = [*(f"[{address}]:443" for address in v6[:20]), *(f"{address}%en0" for address in v6[20:40]), "n/a", "unknown"]
    return [*v4, *v6, *mapped, *odd]


def _v6(random: Random) -> str:
    low = int(random.integers(0, 2**63))
    subnet = int(random.integers(0, 2**31))
    return str(IPv6Address((0x20010DB8 << 96) | (subnet << 64) | low))


def _faker(locale: str, seed: int) -> Faker:
    faker = _import_faker()(locale)
    faker.seed_instance(seed)
    return faker


def _import_faker() -> type[Faker]:
    try:
        from faker import Faker
    except ImportError:
        pass
    else:
        return Faker
    raise ConfigurationError("sample data needs Faker", hint="Install minimize with its extra `samples`.")


def _note(faker: Faker, index: int) -> str:
    name = f"{faker.first_name()} {faker.last_name()}"
    forms = (
        f"{name} called, the device shows error 0x87D1041C after the update",
        f"write to {ascii_letters(faker.first_name())}@mail.example or call +1202555{100 + index % 100:04}",
        f"screen cracked; {name} will bring it to building 4",
        f"cannot reach 203.0.113.{index % 250 + 1}, see https://portal.example/devices/{index}",
        "résolu après redémarrage",
    )
    return forms[index % len(forms)]


def ascii_letters(text: str) -> str:
    """A name in the form that it has in an address."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum()) or "someone"


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
"""The ids of tenants at a third party; some tenants have none."""
OWNERS = tuple(f"owner@{domain}" for domain in DOMAINS)
TENANT_SHARES = (33, 20, 15, 12, 11, 9)
"""The shares of the tenants, in percent."""
APP_INVENTORY_TENANTS = (0, 1)
"""The indices of the tenants that have turned on the inventory of applications."""
LOST_DEVICES = 8
"""The number of devices of each tenant that are searched for."""

DEVICE_HOLDERS = (0, 0, 0, 1, 1, 2, 3, 4)
"""The user (of five) of each of eight devices."""
FIRST_DEVICES = (0, 3, 5, 6, 7)
"""The first device of each of five users."""


class Population:
    """A number of members of a world, by column. Each cached property is a column, named after the field that it fills.

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
        return arrays.random_mask(self.draw(column), self.count, share)

    def pick(self, column: str, pool: Sequence[str | None], skew: float = 0.0) -> pa.Array:
        """A value of a pool for each member; with a higher skew, more members have the first."""
        return pool_values(pool, arrays.random_codes(self.draw(column), self.count, len(pool), skew), type=pa.string())

    def guids(self, column: str) -> pa.StringArray:
        """A GUID for each member."""
        return arrays.guids(self.draw(column), self.count)

    @cached_property
    def tenant(self) -> Ints:
        """The index of the tenant in `TENANTS`."""
        return arrays.evenly_spread_codes(self.draw("tenant"), self.count, TENANT_SHARES, math.sqrt(2))

    @cached_property
    def tenant_id(self) -> pa.Array:
        """The tenant."""
        return pool_values(TENANTS, self.tenant)

    @cached_property
    def account_id(self) -> pa.Array:
        """The tenant's account."""
        return pool_values(ACCOUNTS, self.tenant)

    @cached_property
    def partner_tenant_id(self) -> pa.Array:
        """The tenant at a third party, null for some tenants."""
        return pool_values(PARTNER_TENANTS, self.tenant, type=pa.string())


class PersonPopulation(Population):
    """People with a name and a unique address at their tenant's domain."""

    @cached_property
    def given_name_code(self) -> Ints:
        """The index of the given name in `name_pool`."""
        return arrays.random_codes(self.draw("given"), self.count, len(self.world.people.given_names), 0.3)

    @cached_property
    def family_name_code(self) -> Ints:
        """The index of the family name in `name_pool`."""
        return arrays.random_codes(self.draw("family"), self.count, len(self.world.people.family_names), 0.3)

    @cached_property
    def first_name(self) -> pa.Array:
        """The given name."""
        return pool_values(self.world.people.given_names, self.given_name_code)

    @cached_property
    def last_name(self) -> pa.Array:
        """The family name."""
        return pool_values(self.world.people.family_names, self.family_name_code)

    @cached_property
    def display_name(self) -> pa.StringArray:
        """Given and family name."""
        return concatenate(self.first_name.cast(pa.string()), " ", self.last_name.cast(pa.string()))

    @cached_property
    def user_name(self) -> pa.StringArray:
        """The part of an address before the `@`: the names in ASCII, with a number if another person of the tenant has them."""
        given, family = (
            pool_values([ascii_letters(name) for name in names], codes).cast(pa.string())
            for names, codes in (
                (self.world.people.given_names, self.given_name_code),
                (self.world.people.family_names, self.family_name_code),
            )
        )
        name = concatenate(given, ".", family)
        at_tenant = concatenate(name, self.tenant_id.cast(pa.string())).dictionary_encode()
        earlier = arrays.ordinals_in_group(np.asarray(at_tenant.indices, np.int64))
        number = pa.array(earlier + 1).cast(pa.string())
        return concatenate(name, pc.if_else(pa.array(earlier > 0), number, ""))

    @cached_property
    def user_principal_name(self) -> pa.StringArray:
        """The address at the tenant."""
        return concatenate(self.user_name, "@", pool_values(DOMAINS, self.tenant).cast(pa.string()))

    @cached_property
    def phone_number(self) -> pa.Array:
        """A telephone number."""
        return self.pick("phone_number", phone_numbers())


class Users(PersonPopulation):
    """The people whose devices are managed: five users have eight devices."""

    seeded_as = "users"

    @cached_property
    def user_id(self) -> pa.StringArray:
        """The user."""
        return self.guids("user_id")

    @property
    def sdk_user_id(self) -> pa.StringArray:
        """The user, under the name that the field has in the kit of applications."""
        return self.user_id

    @cached_property
    def apple_user_guid(self) -> pa.StringArray:
        """An id that the service made for Apple alone, and stores."""
        return self.guids("apple_user_guid")

    @cached_property
    def apple_user_id(self) -> pa.StringArray:
        """An id that Apple made for the user."""
        return arrays.with_check_digit("2", self.draw("apple_user").integers(0, 10**6, self.count), 6)

    @cached_property
    def user_email(self) -> pa.StringArray:
        """A private address."""
        return concatenate(self.user_name, "@mail.example")

    @cached_property
    def apple_id(self) -> pa.StringArray:
        """The account at Apple."""
        return concatenate(self.user_name, "@icloud.example")

    @cached_property
    def first_device(self) -> Ints:
        """The number of each user's first device."""
        number = np.arange(self.count)
        first: Ints = (
            number // len(FIRST_DEVICES) * len(DEVICE_HOLDERS) + np.array(FIRST_DEVICES)[number % len(FIRST_DEVICES)]
        )
        return first


class Administrators(PersonPopulation):
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
        return pool_values(OWNERS, self.tenant)


class World:
    """The data that a seed determines for all datasets."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @cached_property
    def people(self) -> NamePool:
        """The names of people, and the texts that they write."""
        return name_pool(self.seed)


def holder_numbers(devices: Ints) -> Ints:
    """The number of the user of each device."""
    number: Ints = (
        devices // len(DEVICE_HOLDERS) * len(FIRST_DEVICES) + np.array(DEVICE_HOLDERS)[devices % len(DEVICE_HOLDERS)]
    )
    return number


def colleague_numbers(tenants: Ints, members: Population, random: Random) -> Ints:
    """The number of a member of the same tenant for each of these tenants, -1 if it has none. Loops over tenants."""
    found, place = np.full(len(tenants), -1), random.random(len(tenants))
    for tenant in range(len(TENANTS)):
        rows, own = np.flatnonzero(tenants == tenant), np.flatnonzero(members.tenant == tenant)
        if len(own):
            found[rows] = own[(place[rows] * len(own)).astype(np.int64)]
    return found
