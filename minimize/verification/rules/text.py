"""Rules for texts: keyed tokens; addresses; redacted texts; masks, listed words, labels, presence and sizes.

The patterns for `redact` are simpler than those of the technique, and are not copied from it.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from minimize.stores import is_within
from minimize.verification.rules.base import ColumnContext, Parameters, RuleUnavailable, ValueRule

_PSEUDONYM: Final = re.compile(r"[a-z2-7]{26,}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_+/-]{22,}={0,6}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX_DIGITS: Final = re.compile(r"[0-9a-fA-F]+")


def pseudonyms(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Lower-case base32, at least 26 characters, all of equal length."""
    lengths: set[int] = set()

    def obeys(value: Any) -> bool:
        lengths.add(len(value))
        return _PSEUDONYM.fullmatch(value) is not None and len(lengths) == 1

    return obeys


def tokens(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """At least 16 bytes in base32 or base64; no UUID and no plain hexadecimal digits, which would be values."""
    return lambda value: bool(_TOKEN.fullmatch(value)) and not (_UUID.fullmatch(value) or _HEX_DIGITS.fullmatch(value))


def networks(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Addresses whose host bits are zero, in canonical text; with `as: network` followed by the prefix length."""
    lengths = {4: int(parameters.get("v4", 24)), 6: int(parameters.get("v6", 48))}
    wants_prefix = parameters.get("as", "address") == "network"

    def obeys(value: Any) -> bool:
        text, slash, prefix = value.partition("/")
        address = _parse_address(text)
        if address is None or str(address) != text or bool(slash) != wants_prefix:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return False
        length = lengths[address.version]
        hosts = address.max_prefixlen - length
        return int(address) % (1 << hosts) == 0 and (not wants_prefix or prefix == str(length))

    return obeys


def versions(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """At most `parts` numbers, separated by dots."""
    pattern = re.compile(rf"\d+(?:\.\d+){{0,{int(parameters['parts']) - 1}}}", re.ASCII)
    return lambda value: pattern.fullmatch(value) is not None


def hosts(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Only a host: no scheme, user, port, path or query."""
    pattern = re.compile(r"[^\s/:@?#\\\[\]]+")
    return lambda value: pattern.fullmatch(value) is not None or _parse_address(value.strip("[]")) is not None


def email_domains(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Only a domain, in lower case, without the part before the at sign."""
    pattern = re.compile(r"[^\s@,;:<>()\"/]+")
    return lambda value: pattern.fullmatch(value) is not None and value == value.lower()


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def redacted_texts(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """A text that contains no plain form of the patterns."""
    patterns = parameters.get("patterns") or tuple(_REDACTED_FORMS)
    forms = {**_REDACTED_FORMS, **_LATER_FORMS}
    searches = [forms[name] for name in patterns if name in forms]
    return lambda value: not any(search(value) for search in searches)


def _form_search(pattern: str, accept: Callable[[str], bool] = lambda hit: True) -> Callable[[str], bool]:
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


def _is_ipv6(hit: str) -> bool:
    return isinstance(_parse_address(hit), ipaddress.IPv6Address)


_QUAD_SEARCH: Final = _form_search(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])", _is_quad)
_IPV6_SEARCH: Final = _form_search(r"(?<![\w:.-])[0-9A-Fa-f]{4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:.-])", _is_ipv6)
_REDACTED_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "email": _form_search(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"),
        "phone": _form_search(r"(?<![\w+])\+[1-9]\d{9,13}(?!\w)"),
        "ip": lambda text: _QUAD_SEARCH(text) or _IPV6_SEARCH(text),
        "mac": _form_search(r"(?<![\w:-])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![\w:-])"),
        "imei": _form_search(r"(?<![\w.-])(?:01|35|49|86)\d{13}(?![\w.-])", _is_luhn),
        "uuid": _form_search(r"(?<![\w-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])"),
        "url": _form_search(r"(?<!\w)https?://[A-Za-z0-9.-]+"),
        "path": _form_search(r"(?<!\S)(?:/(?:home|Users)/[\w.-]+/[\w.-]+|[A-Z]:\\Users\\[\w.-]+)"),
        "card": _form_search(r"(?<![\w.-])(?:4\d{2}|5[1-5]\d|62\d)\d{13}(?![\w.-])", _is_luhn),
        "iban": _form_search(r"(?<!\w)[A-Z]{2}\d{2}[A-Z0-9]{11,30}(?!\w)", _is_iban),
    }
)
_LATER_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "ssn": _form_search(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w.-])"),
        "private_key": _form_search(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
        "token": _form_search(r"(?<![\w-])(?:eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}|A[KS]IA[A-Z2-7]{16}(?!\w))"),
    }
)
"""Patterns that were added later. They do not apply to earlier outputs whose policy names no patterns."""


MARK: Final = "****"


def masked_texts(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """The mask character, with at most the permitted number of kept characters."""
    if "keep_first" in parameters:
        first = int(parameters["keep_first"])
        return lambda value: value.endswith(MARK) and len(value) <= len(MARK) + first
    last = int(parameters["keep_last"])
    return lambda value: value.startswith(MARK) and len(value) <= len(MARK) + last


def mapped_words(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """One of the values that the policy lists."""
    listed = [*parameters["values"].values(), parameters.get("otherwise")]
    allowed = frozenset(form for word in listed if word is not None for form in _written_forms(word))
    return lambda value: value in allowed


def top_values(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """At most `keep` distinct values, plus the value for all others."""
    keep, other_label = int(parameters["keep"]), str(parameters.get("other", "other"))
    distinct_values: set[str] = set()

    def obeys(value: Any) -> bool:
        distinct_values.add(value)
        return len(distinct_values - {other_label}) <= keep

    return obeys


def hierarchy_labels(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """Labels of the hierarchy's level, or its root; of any level but the root if a search chose the level."""
    rows = list(_hierarchy_rows(str(parameters["hierarchy"]), place))
    if parameters["level"] == "auto":
        listed = frozenset(label for row in rows for label in row[:-1])
        return lambda value: value in listed
    level = int(parameters["level"])
    allowed = frozenset(label for row in rows for label in (row[min(level, len(row) - 1)], row[-1]))
    return lambda value: value in allowed


def presence_flags(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """True; never false."""
    return lambda value: value is True


def sizes(parameters: Parameters, place: ColumnContext) -> ValueRule:
    """A number of elements."""
    return lambda value: value >= 0


def _hierarchy_rows(name: str, place: ColumnContext) -> Iterator[list[str]]:
    path = next(
        (each for each in (place.folder / name, place.folder / PurePosixPath(name).name) if each.is_file()), None
    )
    if path is None or not is_within(path, place.folder):
        raise RuleUnavailable(PurePosixPath(name).name)
    text = path.read_text(encoding="utf-8-sig")
    delimiter = ";" if text.count(";") >= text.count(",") else ","
    return ([cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter) if row)


def _written_forms(value: Any) -> tuple[Any, ...]:
    return (value, str(value).lower()) if isinstance(value, bool) else (value, str(value))
