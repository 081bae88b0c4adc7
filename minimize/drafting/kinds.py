"""What a whole text may be: an address, a number with a check digit, a version, a time. Each kind by its name, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from minimize.io.text import one
from minimize.techniques.patterns import PATTERNS, Name, find, is_imei

Recognizer = Callable[[str], bool]


def _whole(name: Name) -> Recognizer:
    """Whether a pattern of `redact` covers the whole text."""

    def recognize(text: str) -> bool:
        return find(text, name) == [(0, len(text))]

    return recognize


def _shape(pattern: str) -> Recognizer:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is_uuid(text: str) -> bool:
    """A UUID as RFC 9562 writes it, as a URN, or in braces."""
    return _UUID(text.removeprefix("urn:uuid:").removeprefix("{").removesuffix("}"))


_UUID: Final = _whole("uuid")
_HEX: Final = _shape(r"(?=.*[0-9])(?=.*[A-Fa-f])(?:(?:[0-9A-Fa-f]{32}){1,4}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{56})")
_BASE64: Final = _shape(r"[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==")


def _is_imei(text: str) -> bool:
    """Also one whose first digits no longer are given out: here the field's other values confirm it."""
    return is_imei(re.sub("[ -]", "", text))


def _is_hash(text: str) -> bool:
    """As long as MD5, SHA-1 or SHA-2, in hexadecimal or padded base64."""
    return _HEX(text) or (_BASE64(text) and _is_opaque(text))


def _is_opaque(text: str) -> bool:
    """Letters and digits that alternate as random ones do; with other signs between them only in three cases."""
    if re.fullmatch(r"[A-Za-z0-9_+/-]{16,}={0,2}", text) is None:
        return False
    mixed = all(re.search(part, text) for part in ("[a-z]", "[A-Z]", "[0-9]"))
    switches = len(re.findall(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]", text))
    return (mixed or text.isalnum()) and switches * 8 >= len(text)


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
        "uuid": _is_uuid,
        "hash": _is_hash,
        "mac": _whole("mac"),
        "ip": _whole("ip"),
        "url": _whole("url"),
        "iban": _whole("iban"),
        "imei": _is_imei,
        "card": _whole("card"),
        "position": _is_position,
        "time": _is_time,
        "version": _is_whole_version,
        "phone": _whole("phone"),
        "token": _whole("token"),
        "postal_code": _shape(_POSTAL),
        "path": _whole("path"),
        "opaque": _is_opaque,
    }
)
"""In the order of precedence: the first kind that most values are of counts."""
IDENTIFYING: Final = frozenset({"email", "uuid", "hash", "mac", "iban", "imei", "token", "opaque"})
"""Kinds of values that each point at one person, device or session."""


def kinds_of(text: str) -> frozenset[str]:
    """All kinds that a text may be of.

    >>> sorted(kinds_of("ann@example.com")), sorted(kinds_of("203.0.113.7")), sorted(kinds_of("hello"))
    (['email'], ['ip', 'version'], [])
    """
    return frozenset(name for name, recognize in KINDS.items() if recognize(text))


def holds_personal(text: str) -> bool:
    """Whether something of a person, a device or a place stands anywhere in a text."""
    return any(find(text, name) for name in PATTERNS)
