"""The managed devices of a sample: what is fixed for each of them, and therefore rendered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from minimize.samples import lines, values
from minimize.samples.base import DOMAINS, TENANTS
from minimize.samples.lines import member, quoted, texts
from minimize.samples.people import People, owned, phones
from minimize.samples.values import Bools, Ints, Random, chance, only

TYPES = ("windows", "mac", "iphone", "ipad", "android", "android_work_profile", "android_dedicated")
WINDOWS, MAC, IPHONE, IPAD, ANDROID, WORK, DEDICATED = range(7)
AGENTS = (
    "mdm",
    "jamf",
    "mdm",
    "mdm",
    "easMdm",
    "googleCloudDevicePolicyController",
    "googleCloudDevicePolicyController",
)
MAKERS = (
    ("Tailspin", "Fabrikam"),
    ("Orchard",),
    ("Orchard",),
    ("Orchard",),
    ("LGE", "Wingtip"),
    ("LGE", "Wingtip"),
    ("Zephyr",),
)
THINGS = ("laptop", "MacBook", "iPhone", "iPad", "phone", "phone", "scanner")
LANGUAGES = ("en-US", "fr-FR", "de-DE", "en-GB", "pt-BR", "ja-JP")
CARRIERS = tuple(f"Carrier {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
MODELS_EACH = 14
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices, side by side: their ids, tenants and kinds, and the members that are the same in all their records."""

    ids: pa.StringArray
    tenants: Ints
    kinds: Ints
    personal: Bools
    storage: Ints
    members: pa.StringArray


def fleet(count: int, who: People, random: Random) -> Fleet:
    """So many devices."""
    ids = values.guids(random, count)
    tenants = values.codes(random, count, len(TENANTS), 0.6)
    kinds = values.weighted(random, count, (30, 6, 26, 8, 12, 12, 6))
    personal = ((kinds == IPHONE) | (kinds == ANDROID) | (kinds == WORK)) & chance(random, count, 0.55)
    storage = random.choice(np.array([32, 64, 128, 256, 512]), count) * GIB
    fixed = [*_ownership(ids, tenants, kinds, personal, random), *_person(tenants, kinds, who, random)]
    fixed += [*_identifiers(kinds, random), *_make(kinds, random), *_state(kinds, random), _hardware(storage, random)]
    return Fleet(ids, tenants, kinds, personal, storage, lines.members(fixed))


def _ownership(
    ids: pa.StringArray, tenants: Ints, kinds: Ints, personal: Bools, random: Random
) -> list[pa.StringArray]:
    owner = np.where(chance(random, len(ids), 0.02), 2, personal.astype(np.int64))
    return [
        member("tenant_id", texts(TENANTS).take(pa.array(tenants))),
        member("device_id", quoted(ids)),
        member("device_type", texts(TYPES).take(pa.array(kinds))),
        member("owner_type", texts(("corporate", "personal", "unknown")).take(pa.array(owner))),
        member("management_agent", texts(AGENTS).take(pa.array(kinds))),
    ]


def _person(tenants: Ints, kinds: Ints, who: People, random: Random) -> list[pa.StringArray]:
    person = values.codes(random, len(tenants), len(who.given))
    mailboxes = texts([address for domain in DOMAINS for address in who.addresses(domain)])
    names = texts(owned(who.given, THINGS))
    return [
        member("user_id", quoted(values.guids(random, len(tenants)))),
        member("user_principal_name", mailboxes.take(pa.array(tenants * len(who.given) + person))),
        member("device_name", names.take(pa.array(person * len(THINGS) + kinds))),
    ]


def _identifiers(kinds: Ints, random: Random) -> list[pa.StringArray]:
    count = len(kinds)
    cellular = (kinds >= IPHONE) & chance(random, count, 0.9)
    apple = ((kinds == IPHONE) | (kinds == IPAD)) & chance(random, count, 0.1)
    numbers = texts(phones())
    called = numbers.take(pa.array(values.codes(random, count, len(numbers))))
    return [
        member("serial_number", quoted(values.serials(random, count))),
        member("imei", quoted(only(values.imeis(random, count), cellular))),
        member("wifi_mac", quoted(values.macs(random, count))),
        member("phone_number", only(called, cellular & (kinds != IPAD))),
        member("carrier", only(_pool(CARRIERS, values.codes(random, count, len(CARRIERS), 1.2)), cellular)),
        member("activation_lock_bypass_code", quoted(only(values.serials(random, count, 16), apple))),
    ]


def _make(kinds: Ints, random: Random) -> list[pa.StringArray]:
    first = np.array([len(makers) for makers in MAKERS])[kinds]
    maker = random.integers(0, 2, len(kinds)) % first
    names = [makers[number % len(makers)] for makers in MAKERS for number in range(2)]
    number = values.codes(random, len(kinds), MODELS_EACH, 1.1)
    models = [
        f"{name} {THINGS[row // 2].title()} {step + 1}" for row, name in enumerate(names) for step in range(MODELS_EACH)
    ]
    row = kinds * 2 + maker
    return [member("manufacturer", _pool(names, row)), member("model", _pool(models, row * MODELS_EACH + number))]


def _state(kinds: Ints, random: Random) -> list[pa.StringArray]:
    count = len(kinds)
    enrolled = 1_700_000_000_000 + random.integers(0, 80_000_000_000, count)
    bios = values.days(random.integers(16_500, 20_200, count))
    labels = texts(["building-4", "loan", "kiosk", "finance"])
    return [
        member("enrolled_date_time", quoted(values.times(enrolled))),
        member("bios_date", quoted(only(bios, kinds == WINDOWS))),
        member("os_installed", quoted(values.days(random.integers(19_700, 20_400, count)))),
        member("os_language", _pool(LANGUAGES, values.codes(random, count, len(LANGUAGES), 1.0))),
        member("is_encrypted", lines.numbers(pa.array(chance(random, count, 0.93)))),
        member(
            "labels", only(lines.record([member("site", labels.take(pa.array(kinds % 4)))]), chance(random, count, 0.3))
        ),
    ]


def _hardware(storage: Ints, random: Random) -> pa.StringArray:
    count = len(storage)
    cpus = [f"Core {family}-{step}" for family in "ABCDEF" for step in range(12)]
    parts = [
        member("total_storage_bytes", lines.numbers(pa.array(storage))),
        member("memory_bytes", lines.numbers(pa.array(random.choice(np.array([3, 4, 8, 16, 32]), count) * GIB))),
        member("cpu", _pool(cpus, values.codes(random, count, len(cpus), 1.3))),
    ]
    return member("hardware", lines.record(parts))


def _pool(pool: Sequence[str], codes: npt.NDArray[np.int64]) -> pa.StringArray:
    return texts(pool).take(pa.array(codes))
