"""What may be wrong in the contacts of tenants, and why a step about an incident is refused, by stable codes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "K021": "who asked or declared would decide alone: it takes a second person",
        "K022": "tenants that are to be told, and were not",
    }
)
