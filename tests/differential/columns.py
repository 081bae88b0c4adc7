"""The columns that generated records can have: their Arrow types, their values, and what a policy may say about them."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from tests.differential import steps

Value = Callable[[random.Random], Any]
Do = Callable[[random.Random], Any]

TEXTS: Final = (
    "",
    " ",
    "\u00a0padded\u2009",
    "\u200bzero width",
    "\ufeffmark",
    "caf\u00e9",
    "cafe\u0301",
    "Stra\u00dfe",
    "STRASSE",
    "\u0130stanbul",
    "\ufb01le",
    "\uff11\uff12",
    "\U0001f600",
    "a\u0000b",
    "line\nbreak",
    'quote"comma,semi;',
    "NULL",
    "nan",
    "=1+1",
    "x" * 300,
)
NUMBERS: Final = (
    0.0,
    -0.0,
    0.1,
    0.5,
    1.5,
    2.5,
    48.8566,
    87.0,
    99.99999999999999,
    1e-320,
    1e15,
    -1e17,
    9007199254740993.0,
)
NOT_FINITE: Final = (float("nan"), float("inf"), float("-inf"))
INTEGERS: Final = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))
ADDRESSES: Final = (
    "203.0.113.77",
    "::ffff:203.0.113.77",
    "2001:db8:1:2::3",
    "[2001:db8::1]:443",
    "198.51.100.9:8080",
    "fe80::1%eth0",
    "2001:DB8:0:0:1::1",
    "0.0.0.1",
    "::",
    "256.1.1.1",
    "01.2.3.4",
    " 192.0.2.1 ",
)
URLS: Final = (
    "https://user:word@Example.COM:8443/a?b=c#d",
    "http://[2001:db8::1]/x",
    "ftp://files.example",
    "example.com/path",
    "https://b\u00fccher.example/",
    "mailto:a@b.example",
    "https://",
)
EMAILS: Final = (
    "ann@Example.com",
    "a.b+c@sub.example.org",
    '"odd@local"@x.example',
    "no-at-sign",
    "@",
    "x@b\u00fccher.example",
)
NOTES: Final = (
    "call +33 6 12 34 56 78 or write to ann@example.com",
    "from 203.0.113.77 (00:1B:44:11:3A:B7), imei 353626070676775",
    "see https://example.com/x?y=1 and C:\\Users\\ann\\file.txt",
    "card 4111 1111 1111 1111, FR14 2004 1010 0505 0001 3M02 606",
    "id 9f1c2f9e-2f40-4b27-8a2b-5f9c53e1b7aa",
    "nothing to hide",
)
VERSIONS: Final = ("10.0.19045.3803", "10.0", "7", "v1.2.3", "1.2.3-rc1", "1..2", "", ".5", "17.4.1 (21E236)")
DATES: Final = (
    "2024-02-29",
    "2025-03-30",
    "2025-03-31",
    "2024-12-31",
    "2025-01-01",
    "1970-01-01",
    "1900-03-01",
    "2023-10-29",
)
TIMES: Final = (
    "2025-03-30T01:30:00Z",
    "2025-03-30T00:59:59.999999Z",
    "2024-10-27T02:30:00+02:00",
    "2024-10-27T02:30:00+01:00",
    "2024-02-29T23:59:59Z",
    "2024-12-31T23:59:59.999Z",
    "1969-12-31T23:59:59Z",
    "2020-12-28T00:00:00+05:30",
)


@dataclass(frozen=True)
class Column:
    """One field of the policy: its word for the type, its usual role, its values, and what may be done with it.

    `family` says which measures fit.
    """

    type: str
    role: str
    value: Value
    does: tuple[Do, ...]
    family: str = ""


def one_of(common: tuple[Any, ...], edges: tuple[Any, ...] = (), rare: float = 0.1) -> Value:
    """A common value, or rarely an edge."""
    return lambda rng: rng.choice(edges) if edges and rng.random() < rare else rng.choice(common)


def _battery(rng: random.Random) -> float:
    edge = rng.random()
    if edge < 0.004:
        return rng.choice(NOT_FINITE)
    return rng.choice(NUMBERS) if edge < 0.1 else round(rng.uniform(0, 100), rng.randrange(4))


def _storage(rng: random.Random) -> int:
    return rng.choice(INTEGERS) if rng.random() < 0.05 else rng.randrange(0, 200) * rng.choice((1, 1000))


def _price(rng: random.Random) -> float:
    return rng.randrange(-99999, 999999) / 100


def _latitude(rng: random.Random) -> float:
    return rng.choice((90.0, -90.0, 91.0, 0.0)) if rng.random() < 0.05 else 48 + rng.random()


def _longitude(rng: random.Random) -> float:
    return rng.choice((180.0, -180.0, 181.0, 0.0)) if rng.random() < 0.05 else 2 + rng.random()


def _binary(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(rng.randrange(6))).decode()


MODELS: Final = ("A1", "A2", "B1", "B2", "C1", "Z9")
_words = one_of(MODELS, TEXTS)
_texts = (steps.keep, steps.drop, steps.top, steps.mapped, steps.generalize, steps.presence, steps.mask)
_secrets = (steps.pseudonymize, steps.pseudonymize, steps.tokenize, steps.mask, steps.drop)
_doubles = (steps.bins, steps.bins, steps.rounded, steps.clip, steps.keep, steps.clip_and_round, steps.presence)
_integers = (steps.whole_bins, steps.whole_rounded, steps.clip, steps.keep, steps.presence)
_dates = (steps.truncate_date, steps.truncate_date, steps.age, steps.age_and_bins, steps.shift_dates, steps.keep)
_times = (steps.truncate_time, steps.truncate_time, steps.age, steps.age_and_bins, steps.shift_dates, steps.keep)

BASE: Final[Mapping[str, Column]] = {
    "event_id": Column("string", "identifier", lambda rng: f"e{rng.randrange(200)}", (steps.drop, steps.pseudonymize)),
    "tenant_id": Column("string", "plain", lambda rng: "", (steps.keep,), "text"),
    "device_id": Column("string", "identifier", lambda rng: "", (*_secrets[:2], steps.per_tenant, steps.drop)),
    "event_time": Column("timestamp", "quasi", lambda rng: "", (steps.truncate_event, steps.keep), "time"),
}
OPTIONAL: Final[Mapping[str, Column]] = {
    "user_id": Column("string", "identifier", one_of(("u1", "u2", "U2", "u3", " u3"), TEXTS), _secrets),
    "account": Column("integer", "identifier", lambda rng: rng.randrange(40), (steps.pseudonymize, steps.drop)),
    "phone": Column("string", "identifier", one_of(("+33612345678", "0612345678", "112"), TEXTS), _secrets),
    "model": Column("string", "plain", _words, _texts, "text"),
    "device_type": Column("string", "plain", one_of(("phone", "tablet", "kiosk")), (steps.keep, steps.drop), "text"),
    "owner_type": Column("string", "plain", one_of(("corporate", "personal")), (steps.keep, steps.mapped), "text"),
    "os_version": Column("string", "quasi", one_of(VERSIONS), (steps.truncate_version, steps.version_and_top), "text"),
    "is_managed": Column(
        "boolean", "plain", one_of((True, False)), (steps.keep, steps.mapped_flag, steps.presence), "flag"
    ),
    "battery": Column("double", "plain", _battery, _doubles, "number"),
    "storage": Column("integer", "plain", _storage, _integers, "number"),
    "price": Column("decimal(10,2)", "plain", _price, (steps.clip, steps.keep, steps.presence), "decimal"),
    "latitude": Column("double", "quasi", _latitude, (steps.rounded, steps.drop), "position"),
    "longitude": Column("double", "quasi", _longitude, (steps.rounded, steps.drop), "position"),
    "ip_address": Column("string", "quasi", one_of(ADDRESSES), (steps.truncate_ip,), "text"),
    "url": Column("string", "quasi", one_of(URLS), (steps.keep_host, steps.drop), "text"),
    "email": Column("string", "identifier", one_of(EMAILS, TEXTS), (steps.email_domain, steps.drop, steps.mask)),
    "note": Column("string", "free_text", one_of(NOTES, TEXTS), (steps.redact, steps.drop, steps.presence)),
    "enrolled": Column("date", "quasi", one_of(DATES), _dates, "time"),
    "installed": Column("timestamp", "quasi", one_of(TIMES), _times, "time"),
    "blob": Column("binary", "plain", _binary, (steps.presence, steps.pseudonymize, steps.drop)),
    "/hardware/cpu": Column("string", "plain", _words, _texts),
    "/hardware/memory": Column("integer", "plain", _storage, _integers),
    "/odd.name/a~1b": Column("string", "plain", _words, (steps.keep, steps.drop, steps.mapped)),
    "/apps/*/name": Column("string", "plain", _words, (steps.keep, steps.mapped, steps.drop)),
    "/apps/*/version": Column("string", "quasi", one_of(VERSIONS), (steps.truncate_version, steps.drop)),
    "/apps/*/managed": Column("boolean", "plain", one_of((True, False)), (steps.keep, steps.drop)),
    "/tags/*": Column("string", "plain", _words, (steps.keep, steps.mapped, steps.mask, steps.drop)),
    "/readings/*": Column("integer", "plain", _storage, _integers),
    "labels": Column("map", "plain", lambda rng: None, (steps.presence, steps.size)),
}
COLUMNS: Final[Mapping[str, Column]] = {**BASE, **OPTIONAL}

_TIME = pa.timestamp("us", "UTC")
_APP = pa.struct([("name", pa.string()), ("version", pa.string()), ("managed", pa.bool_())])
ARROW: Final[Mapping[str, pa.DataType]] = {
    "event_id": pa.string(),
    "tenant_id": pa.string(),
    "device_id": pa.string(),
    "event_time": _TIME,
    "user_id": pa.string(),
    "account": pa.int64(),
    "phone": pa.string(),
    "model": pa.string(),
    "device_type": pa.string(),
    "owner_type": pa.string(),
    "os_version": pa.string(),
    "is_managed": pa.bool_(),
    "battery": pa.float64(),
    "storage": pa.int64(),
    "price": pa.decimal128(10, 2),
    "latitude": pa.float64(),
    "longitude": pa.float64(),
    "ip_address": pa.string(),
    "url": pa.string(),
    "email": pa.string(),
    "note": pa.string(),
    "enrolled": pa.date32(),
    "installed": _TIME,
    "blob": pa.binary(),
    "hardware": pa.struct([("cpu", pa.string()), ("memory", pa.int64())]),
    "odd.name": pa.struct([("a/b", pa.string())]),
    "apps": pa.list_(_APP),
    "tags": pa.list_(pa.string()),
    "readings": pa.list_(pa.int64()),
    "labels": pa.map_(pa.string(), pa.string()),
}
"""By the name of a record's top-level key."""


def is_flat(key: str) -> bool:
    """Whether CSV can hold the field."""
    return not key.startswith("/") and COLUMNS[key].type != "map"


def top_of(key: str) -> str:
    """The record's key that holds a field."""
    return key.split("/")[1] if key.startswith("/") else key
