"""The table of techniques: the word a policy uses, and the class behind it. One technique a file."""

from __future__ import annotations

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
from minimize.techniques.keep import Keep
from minimize.techniques.keep_host import KeepHost
from minimize.techniques.mask import Mask
from minimize.techniques.memo import Memo
from minimize.techniques.presence import Presence
from minimize.techniques.round import Round
from minimize.techniques.size import Size
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
        Mask,
        Round,
        Bin,
        Clip,
        TruncateVersion,
        KeepHost,
        EmailDomain,
        Presence,
        Size,
    )
}
