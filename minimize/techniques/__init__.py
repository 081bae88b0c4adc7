"""The table of techniques: the word a policy uses, and the class behind it. One technique a file."""

from __future__ import annotations

from minimize.techniques.age import Age
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
from minimize.techniques.bin import Bin
from minimize.techniques.clip import Clip
from minimize.techniques.email_domain import EmailDomain
from minimize.techniques.generalize import Generalize
from minimize.techniques.grid import Grid
from minimize.techniques.h3 import H3
from minimize.techniques.keep import Keep
from minimize.techniques.keep_host import KeepHost
from minimize.techniques.map import Map
from minimize.techniques.mask import Mask
from minimize.techniques.memo import Memo
from minimize.techniques.presence import Presence
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.techniques.redact import Redact
from minimize.techniques.round import Round
from minimize.techniques.shift_dates import ShiftDates
from minimize.techniques.size import Size
from minimize.techniques.tokenize import Tokenize
from minimize.techniques.top import Top
from minimize.techniques.truncate_ip import TruncateIp
from minimize.techniques.truncate_time import TruncateTime
from minimize.techniques.truncate_version import TruncateVersion

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

TECHNIQUES: dict[str, type[Step]] = {
    kind.name: kind
    for kind in (
        Keep,
        Pseudonymize,
        Tokenize,
        Mask,
        Round,
        Bin,
        Clip,
        TruncateTime,
        Age,
        ShiftDates,
        TruncateIp,
        TruncateVersion,
        Generalize,
        Map,
        Top,
        Grid,
        H3,
        KeepHost,
        EmailDomain,
        Redact,
        Presence,
        Size,
    )
}
"""In the order of the table in the README. `drop` is a word of the policy and no class: it has nothing to apply."""
