"""Registry of techniques: the name that a policy uses, and its class. One technique per file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from minimize.registry import Registry
from minimize.techniques.base import (
    Context,
    Family,
    Leaves,
    Technique,
    TechniqueResult,
    TechniqueStep,
    UnsupportedType,
    treat,
    type_family,
)
from minimize.techniques.cache import TechniqueCache

__all__ = [
    "PSEUDONYM_TECHNIQUES",
    "TECHNIQUES",
    "Context",
    "Family",
    "Leaves",
    "Technique",
    "TechniqueCache",
    "TechniqueResult",
    "TechniqueStep",
    "UnsupportedType",
    "treat",
    "type_family",
]

TECHNIQUES: Final[Mapping[str, type[TechniqueStep]]] = Registry(
    "minimize.techniques",
    {
        "keep": "keep.Keep",
        "pseudonymize": "pseudonymize.Pseudonymize",
        "tokenize": "tokenize.Tokenize",
        "mask": "mask.Mask",
        "round": "round.Round",
        "bin": "bin.Bin",
        "clip": "clip.Clip",
        "truncate_time": "truncate_time.TruncateTime",
        "age": "age.Age",
        "shift_dates": "shift_dates.ShiftDates",
        "truncate_ip": "truncate_ip.TruncateIp",
        "truncate_version": "truncate_version.TruncateVersion",
        "generalize": "generalize.Generalize",
        "map": "map.Map",
        "top": "top.Top",
        "grid": "grid.Grid",
        "h3": "h3.H3",
        "keep_host": "keep_host.KeepHost",
        "email_domain": "email_domain.EmailDomain",
        "redact": "redact.Redact",
        "presence": "presence.Presence",
        "size": "size.Size",
    },
)
"""In the order of the table in the README. `drop` is a keyword of the policy without a class."""
PSEUDONYM_TECHNIQUES: Final = frozenset({"pseudonymize", "tokenize"})
"""The techniques that leave a linkable or reversible value, by their names in the metadata of columns."""
