"""The table of techniques: the word a policy uses, and the class behind it. One technique a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from minimize.table import Table
from minimize.techniques.base import (
    Context,
    Family,
    Leaves,
    Step,
    Technique,
    Treated,
    TypeRefused,
    family,
    plain,
    treat,
)
from minimize.techniques.memo import Memo

__all__ = [
    "TECHNIQUES",
    "Context",
    "Family",
    "Leaves",
    "Memo",
    "Step",
    "Technique",
    "Treated",
    "TypeRefused",
    "family",
    "plain",
    "treat",
]

TECHNIQUES: Final[Mapping[str, type[Step]]] = Table(
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
"""In the order of the table in the README. `drop` is a word of the policy and no class: it has nothing to apply."""
