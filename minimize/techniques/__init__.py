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
from minimize.techniques.keep import Keep

__all__ = [
    "TECHNIQUES",
    "Context",
    "Family",
    "Leaves",
    "Step",
    "Technique",
    "Treated",
    "TypeRefused",
    "family",
    "plain",
    "treat",
]

TECHNIQUES: dict[str, type[Step]] = {kind.name: kind for kind in (Keep,)}
