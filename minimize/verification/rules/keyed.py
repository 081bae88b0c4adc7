"""`pseudonymize`, `tokenize`: tokens by their look; nothing that could be the value itself."""

from __future__ import annotations

import re
from typing import Any, Final

from minimize.verification.rules.base import Given, Obeys, Place

_PSEUDONYM: Final = re.compile(r"[a-z2-7]{26,}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_+/-]{22,}={0,6}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS: Final = re.compile(r"[0-9a-fA-F]+")


def pseudonyms(given: Given, place: Place) -> Obeys:
    """Lower-case base32, at least 26 characters, all of equal length."""
    lengths: set[int] = set()

    def obeys(value: Any) -> bool:
        lengths.add(len(value))
        return _PSEUDONYM.fullmatch(value) is not None and len(lengths) == 1

    return obeys


def tokens(given: Given, place: Place) -> Obeys:
    """At least 16 bytes in base32 or base64; no UUID and no plain hexadecimal digits, which are values."""
    return lambda value: bool(_TOKEN.fullmatch(value)) and not (_UUID.fullmatch(value) or _DIGITS.fullmatch(value))
