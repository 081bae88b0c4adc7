"""Pools of invented people: names, phone numbers of the ranges reserved for fiction, addresses reserved for documentation."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address
from typing import TYPE_CHECKING

from minimize.errors import ConfigurationError
from minimize.samples.values import Random

if TYPE_CHECKING:
    from faker import Faker

LOCALES = ("en_US", "fr_FR", "de_DE")
DOCUMENTATION = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
_AREAS = (202, 206, 212, 303, 312, 404, 415, 503, 512, 617, 702, 713, 808, 907)


@dataclass(frozen=True, slots=True)
class People:
    """Given and family names (equally many of each), and what people write to the help desk."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    notes: tuple[str, ...]


def people(seed: int, each: int = 80) -> People:
    """So many people of each locale. Raises ConfigurationError where Faker is not installed."""
    fakers = [_faker(locale, seed) for locale in LOCALES]
    given = tuple(faker.first_name() for faker in fakers for _ in range(each))
    family = tuple(faker.last_name() for faker in fakers for _ in range(each))
    return People(given, family, tuple(_note(fakers[index % 3], index) for index in range(each)))


def phones() -> list[str]:
    """Telephone numbers of the ranges that regulators keep for fiction (North America, United Kingdom, France)."""
    american = [f"+1{area}55501{number:02}" for area in _AREAS for number in range(100)]
    british = [f"+447700900{number:03}" for number in range(1000)]
    french = [f"+3363998{number:04}" for number in range(0, 10_000, 5)]
    return [*american, *british, *french]


def addresses(random: Random, count: int = 1500) -> list[str]:
    """IP addresses of the documentation ranges: v4, v6, v4-mapped, and forms with brackets, port and zone."""
    v4 = [str(host) for network in DOCUMENTATION for host in IPv4Network(network).hosts()]
    v6 = [_v6(random) for _ in range(count)]
    mapped = [f"::ffff:{address}" for address in v4[::9]]
    odd = [*(f"[{address}]:443" for address in v6[:20]), *(f"{address}%en0" for address in v6[20:40]), "n/a", "unknown"]
    return [*v4, *v6, *mapped, *odd]


def _v6(random: Random) -> str:
    low = int(random.integers(0, 2**63))
    subnet = int(random.integers(0, 2**31))
    return str(IPv6Address((0x20010DB8 << 96) | (subnet << 64) | low))


def _faker(locale: str, seed: int) -> Faker:
    faker = _import()(locale)
    faker.seed_instance(seed)
    return faker


def _import() -> type[Faker]:
    try:
        from faker import Faker
    except ImportError:
        pass
    else:
        return Faker
    raise ConfigurationError("sample data needs Faker", hint="pip install 'minimize[samples]'")


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
    """A name as it is written in an address."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum()) or "someone"
