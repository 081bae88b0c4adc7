"""What may be wrong in the contacts of tenants, and why a step about an incident is refused, by stable codes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "K001": "contacts that cannot be read",
        "K002": "a contact of no tenant, or with a word that is not known",
        "K003": "a role that contacts do not have",
        "K004": "an address to which nothing can be sent",
        "K005": "contacts that stand twice",
        "K006": "tenants that name nobody for privacy",
        "K021": "who asked or declared would decide alone: it takes a second person",
        "K022": "tenants that are to be told, and were not",
    }
)
