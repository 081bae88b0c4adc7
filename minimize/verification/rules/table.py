"""The table of rules: a technique's word, and how its values are judged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from minimize.verification.rules.base import Given, Obeys, Place, Rule
from minimize.verification.rules.keyed import pseudonyms, tokens
from minimize.verification.rules.network import hosts, mail_domains, networks, versions
from minimize.verification.rules.numbers import binned, clipped, rounded
from minimize.verification.rules.places import grid_centres, h3_cells
from minimize.verification.rules.redacted import redacted
from minimize.verification.rules.text import few, labels, mapped, masked, sizes, true
from minimize.verification.rules.times import ages, time_starts


def anything(given: Given, place: Place) -> Obeys:
    """Every value: `keep`, and `shift_dates`, of which only the receipt's counts tell."""
    return _always


def _always(value: Any) -> bool:
    return True


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "keep": anything,
        "pseudonymize": pseudonyms,
        "tokenize": tokens,
        "mask": masked,
        "round": rounded,
        "bin": binned,
        "clip": clipped,
        "truncate_time": time_starts,
        "age": ages,
        "shift_dates": anything,
        "truncate_ip": networks,
        "truncate_version": versions,
        "generalize": labels,
        "map": mapped,
        "top": few,
        "grid": grid_centres,
        "h3": h3_cells,
        "keep_host": hosts,
        "email_domain": mail_domains,
        "redact": redacted,
        "presence": true,
        "size": sizes,
    }
)
