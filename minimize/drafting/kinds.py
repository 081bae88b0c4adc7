"""What a whole text may be: an address, a number with a check digit, a version, a time. Each kind by its name, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from minimize.io.text import one
from minimize.techniques.patterns import PATTERNS, Name, find

Recognizer = Callable[[str], bool]


def _whole(name: Name) -> Recognizer:
    """Whether a pattern of `redact` covers the whole text."""

    def recognize(text: str) -> bool:
        return find(text, name) == [(0, len(text))]

    return recognize


def _shape(pattern: str) -> Recognizer:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is_time(text: str) -> bool:
    return one(text, "timestamp") is not None or one(text, "date") is not None


def _is_position(text: str) -> bool:
    """Latitude and longitude in degrees, with decimals, as one text."""
    found = re.fullmatch(r"\(?\s*(-?\d{1,2}\.\d+)\s*[,; ]\s*(-?\d{1,3}\.\d+)\s*\)?", text)
    return found is not None and abs(float(found[1])) <= 90 and abs(float(found[2])) <= 180


def _is_whole_version(text: str) -> bool:
    """Numbers with dots, a suffix behind them or not; of two parts only with a `v`, for else it is a number."""
    return re.fullmatch(r"v\d+(\.\d+)+.{0,40}|\d+\.\d+(\.\d+)+([-+ (].{0,40})?", text) is not None


_POSTAL: Final = (
    r"\d{5}(-\d{4})?"  # United States; France, Germany, Spain, Italy and others have five digits, too
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"  # United Kingdom (BS 7666)
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d"  # Canada
    r"|\d{4} ?[A-Z]{2}"  # Netherlands
    r"|\d{3}-\d{4}|\d{4}-\d{3}|\d{2}-\d{3}|\d{3} \d{2}|\d{4}|\d{6}"  # Japan, Portugal, Poland, Sweden; four and six digits
)

KINDS: Final[Mapping[str, Recognizer]] = MappingProxyType(
    {
        "email": _whole("email"),
        "uuid": _whole("uuid"),
        "mac": _whole("mac"),
        "ip": _whole("ip"),
        "url": _whole("url"),
        "iban": _whole("iban"),
        "imei": _whole("imei"),
        "card": _whole("card"),
        "position": _is_position,
        "time": _is_time,
        "version": _is_whole_version,
        "phone": _whole("phone"),
        "postal_code": _shape(_POSTAL),
        "path": _whole("path"),
    }
)
"""In the order of precedence: the first kind that most values are of counts."""


def kinds_of(text: str) -> frozenset[str]:
    """All kinds that a text may be of.

    >>> sorted(kinds_of("ann@example.com")), sorted(kinds_of("203.0.113.7")), sorted(kinds_of("hello"))
    (['email'], ['ip', 'version'], [])
    """
    return frozenset(name for name, recognize in KINDS.items() if recognize(text))


def holds_personal(text: str) -> bool:
    """Whether something of a person, a device or a place stands anywhere in a text."""
    return any(find(text, name) for name in PATTERNS)
