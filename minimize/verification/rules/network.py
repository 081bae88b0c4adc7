"""`truncate_ip`, `truncate_version`, `keep_host`, `email_domain`: what is left of addresses."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from minimize.verification.rules.base import Given, Obeys, Place


def networks(given: Given, place: Place) -> Obeys:
    """Addresses whose host bits are zero, in their canonical text; with `as: network` the prefix behind them."""
    lengths = {4: int(given.get("v4", 24)), 6: int(given.get("v6", 48))}
    wants_prefix = given.get("as", "address") == "network"

    def obeys(value: Any) -> bool:
        text, slash, prefix = value.partition("/")
        address = _address(text)
        if address is None or str(address) != text or bool(slash) != wants_prefix:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return False
        length = lengths[address.version]
        hosts = address.max_prefixlen - length
        return int(address) % (1 << hosts) == 0 and (not wants_prefix or prefix == str(length))

    return obeys


def versions(given: Given, place: Place) -> Obeys:
    """No more than so many numbers with dots between them."""
    pattern = re.compile(rf"\d+(?:\.\d+){{0,{int(given['parts']) - 1}}}", re.ASCII)
    return lambda value: pattern.fullmatch(value) is not None


def hosts(given: Given, place: Place) -> Obeys:
    """A host alone: no scheme, user, port, path or query."""
    pattern = re.compile(r"[^\s/:@?#\\\[\]]+")
    return lambda value: pattern.fullmatch(value) is not None or _address(value.strip("[]")) is not None


def mail_domains(given: Given, place: Place) -> Obeys:
    """A domain alone, in lower case: nothing of what stood before the at sign."""
    pattern = re.compile(r"[^\s@,;:<>()\"/]+")
    return lambda value: pattern.fullmatch(value) is not None and value == value.lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
