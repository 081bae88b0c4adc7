"""`redact`: simple forms of what must not be found any more. Simpler than the technique's patterns, and not them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from minimize.verification.rules.base import Given, Obeys, Place


def redacted(given: Given, place: Place) -> Obeys:
    """None of the patterns' plain forms."""
    patterns = given.get("patterns") or tuple(_FORMS)
    forms = {**_FORMS, **_NAMED_ONLY}
    searches = [forms[name] for name in patterns if name in forms]
    return lambda value: not any(found(value) for found in searches)


def _search(pattern: str, accept: Callable[[str], bool] = lambda hit: True) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: any(accept(hit.group()) for hit in compiled.finditer(text))


def _is_luhn(hit: str) -> bool:
    digits = [int(each) for each in reversed(hit) if each.isdigit()]
    doubled = [digit if index % 2 == 0 else sum(divmod(2 * digit, 10)) for index, digit in enumerate(digits)]
    return sum(doubled) % 10 == 0


def _is_iban(hit: str) -> bool:
    turned = hit[4:] + hit[:4]
    return int("".join(str(int(each, 36)) for each in turned)) % 97 == 1


def _is_quad(hit: str) -> bool:
    return all(int(part) <= 255 and str(int(part)) == part for part in hit.split("."))


_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "email": _search(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
        "phone": _search(r"(?<![\w+])\+[1-9]\d{9,13}(?!\w)"),
        "ip": _search(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])", _is_quad),
        "mac": _search(r"(?<![\w:-])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![\w:-])"),
        "imei": _search(r"(?<![\w.-])(?:01|35|49|86)\d{13}(?![\w.-])", _is_luhn),
        "uuid": _search(r"(?<![\w-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])"),
        "url": _search(r"(?<!\w)https?://[A-Za-z0-9.-]+"),
        "path": _search(r"(?<!\S)(?:/(?:home|Users)/[\w.-]+/[\w.-]+|[A-Z]:\\Users\\[\w.-]+)"),
        "card": _search(r"(?<![\w.-])(?:4\d{2}|5[1-5]\d|62\d)\d{13}(?![\w.-])", _is_luhn),
        "iban": _search(r"(?<!\w)[A-Z]{2}\d{2}[A-Z0-9]{11,30}(?!\w)", _is_iban),
    }
)
_NAMED_ONLY: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "ssn": _search(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w.-])"),
        "private_key": _search(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
        "token": _search(r"(?<![\w-])(?:eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}|A[KS]IA[A-Z2-7]{16}(?!\w))"),
    }
)
"""Later patterns: outputs written before them, by a policy that names none, are not held to them."""
