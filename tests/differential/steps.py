"""Random techniques with parameters that are valid, most of the time for the field that they are used on."""

from __future__ import annotations

import random
from typing import Any, Final

UNITS: Final = ("minute", "hour", "day", "week", "month", "quarter", "year")
ZONES: Final = ("UTC", "Europe/Paris", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")
PATTERNS: Final = ("email", "phone", "ip", "mac", "imei", "uuid", "url", "path", "card", "iban")
HIERARCHY: Final = "models.csv"
HIERARCHY_TEXT: Final = "A1;A;letter;any\nA2;A;letter;any\nB1;B;letter;any\nB2;B;letter;any\nC1;C;letter;any\n"


def keep(rng: random.Random) -> Any:
    """The value as it is."""
    return "keep"


def drop(rng: random.Random) -> Any:
    """No value."""
    return "drop"


def presence(rng: random.Random) -> Any:
    """Whether there is a value."""
    return "presence"


def size(rng: random.Random) -> Any:
    """How many elements."""
    return "size"


def pseudonymize(rng: random.Random) -> Any:
    """A keyed hash."""
    chosen: dict[str, Any] = {"key": rng.choice(("device", "user"))}
    if rng.random() < 0.4:
        chosen["per"] = "tenant_id"
    if rng.random() < 0.2:
        chosen["rotate"] = rng.choice(UNITS[2:])
    if rng.random() < 0.2:
        chosen["link"] = "person"
    if rng.random() < 0.3:
        chosen["fold"] = True
    return {"pseudonymize": chosen}


def per_tenant(rng: random.Random) -> Any:
    """A keyed hash within the tenant: the usual form of the subject."""
    return {"pseudonymize": {"key": "device", "per": "tenant_id"}}


def tokenize(rng: random.Random) -> Any:
    """Reversible encryption."""
    return {"tokenize": {"key": "user", **({"per": "tenant_id"} if rng.random() < 0.4 else {})}}


def mask(rng: random.Random) -> Any:
    """A mark and some characters."""
    return {"mask": {rng.choice(("keep_last", "keep_first")): rng.randint(1, 6)}}


def rounded(rng: random.Random) -> Any:
    """A multiple of a step."""
    return {"round": {"to": rng.choice((0.1, 0.25, "0.05", 1, 5, 1000, 0.003))}}


def bins(rng: random.Random) -> Any:
    """Intervals of one width, or between edges."""
    chosen: dict[str, Any]
    if rng.random() < 0.5:
        chosen = {"width": rng.choice((10, 0.1, 2.5, 1000)), "origin": rng.choice((0, 0, 5, -3))}
    else:
        chosen = {"edges": sorted(rng.sample((-10, 0, 0.5, 10, 50, 64e9, 100, 1e6), rng.randint(1, 5)))}
    return {"bin": {**chosen, "as": rng.choice(("lower", "lower", "middle", "label"))}}


def whole_rounded(rng: random.Random) -> Any:
    """A multiple of a whole step."""
    return {"round": {"to": rng.choice((1, 5, 1000))}}


def whole_bins(rng: random.Random) -> Any:
    """Intervals of whole numbers."""
    if rng.random() < 0.5:
        return {
            "bin": {"width": rng.choice((5, 1000)), "origin": rng.choice((0, 3)), "as": rng.choice(("lower", "label"))}
        }
    return {"bin": {"edges": sorted(rng.sample((-10, 0, 10, 50, 64e9, 100, 1e6), rng.randint(1, 5)))}}


def clip(rng: random.Random) -> Any:
    """Bounds."""
    return {"clip": {"min": rng.choice((0, -5, 1)), "max": rng.choice((20, 100, 1000))}}


def clip_and_round(rng: random.Random) -> Any:
    """Bounds, then a multiple."""
    return [clip(rng), rounded(rng)]


def truncate_time(rng: random.Random) -> Any:
    """The start of a unit."""
    zone = {"zone": rng.choice(ZONES)} if rng.random() < 0.4 else {}
    return {"truncate_time": {"to": rng.choice(UNITS), **zone}}


def truncate_event(rng: random.Random) -> Any:
    """The start of a unit that aggregates by day can still use, most of the time."""
    zone = {"zone": rng.choice(ZONES)} if rng.random() < 0.2 else {}
    return {"truncate_time": {"to": rng.choice(("minute", "hour", "hour", "day", "week", "month")), **zone}}


def truncate_date(rng: random.Random) -> Any:
    """The start of a unit of days."""
    return {"truncate_time": {"to": rng.choice(UNITS[2:])}}


def age(rng: random.Random) -> Any:
    """Completed units until the run or the event."""
    return {"age": {"unit": rng.choice(("days", "months", "years")), "at": rng.choice(("run", "event_time"))}}


def age_and_bins(rng: random.Random) -> Any:
    """Completed units in intervals."""
    return [age(rng), {"bin": {"width": rng.choice((5, 10))}}]


def shift_dates(rng: random.Random) -> Any:
    """A secret shift per device."""
    return {"shift_dates": {"key": "user", "per": "device_id", "max_days": rng.choice((1, 7, 60))}}


def truncate_ip(rng: random.Random) -> Any:
    """A network."""
    chosen = {"v4": rng.choice((0, 8, 16, 23, 24, 31)), "v6": rng.choice((0, 32, 48, 61, 127))}
    return {"truncate_ip": {**chosen, "as": rng.choice(("address", "network"))}}


def truncate_version(rng: random.Random) -> Any:
    """The leading parts."""
    return {"truncate_version": {"parts": rng.randint(1, 4)}}


def version_and_top(rng: random.Random) -> Any:
    """The leading parts, of these the most frequent."""
    return [truncate_version(rng), top(rng)]


def generalize(rng: random.Random) -> Any:
    """A label of a hierarchy."""
    return {"generalize": {"hierarchy": HIERARCHY, "level": rng.randint(1, 3)}}


def mapped(rng: random.Random) -> Any:
    """Words for some values."""
    words = {"A1": "first", "A2": "first", "phone": "handheld", "tablet": "handheld", "corporate": "c", "": "empty"}
    values = {value: words[value] for value in rng.sample(sorted(words), rng.randint(1, 6))}
    return {"map": {"values": values, **({"otherwise": "other"} if rng.random() < 0.6 else {})}}


def mapped_flag(rng: random.Random) -> Any:
    """Words for a boolean."""
    return {"map": {"values": {"true": "yes", "false": "no"}}}


def top(rng: random.Random) -> Any:
    """The most frequent values."""
    return {"top": {"keep": rng.randint(1, 4), "other": "other", "at_least": rng.choice((1, 2, 4, 10))}}


def grid(rng: random.Random) -> Any:
    """The centre of a cell."""
    return {"grid": {"metres": rng.choice((10, 300, 25000))}}


def h3(rng: random.Random) -> Any:
    """An H3 cell."""
    return {"h3": {"resolution": rng.randint(0, 9)}}


def keep_host(rng: random.Random) -> Any:
    """The host of a URL."""
    return "keep_host"


def email_domain(rng: random.Random) -> Any:
    """The domain of an address."""
    return "email_domain"


def redact(rng: random.Random) -> Any:
    """Marks for what patterns find."""
    if rng.random() < 0.3:
        return "redact"
    mark = {"mark": "<gone>"} if rng.random() < 0.3 else {}
    return {"redact": {"patterns": rng.sample(PATTERNS, rng.randint(1, 10)), **mark}}
