"""Which of two forms of one technique leaves less, and whether it can be made of the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

Order = Literal["coarser", "finer"]
_UNITS: Final = ("minute", "hour", "day", "week", "month", "quarter", "year")
_NESTING: Final = ("minute", "hour", "day", "month", "quarter", "year")
"""Units each of which is made of whole ones of those before; weeks are not of months."""


def order(word: str, then: Mapping[str, Any], today: Mapping[str, Any]) -> Order | None:
    """How the second of two forms by one technique compares with the first; None where neither can be made of the other.

    Takes the technique's word, and its parameters then and today.

    >>> order("truncate_time", {"to": "hour", "zone": "UTC"}, {"to": "day", "zone": "UTC"})
    'coarser'
    """
    ranks = [_rank(word, given) for given in (then, today)]
    others = [
        {key: value for key, value in given.items() if key not in _RANKED.get(word, ())} for given in (then, today)
    ]
    if word not in _RANKED or others[0] != others[1]:
        return None
    if all(new <= old for old, new in zip(*ranks, strict=True)):
        return "coarser" if _follows(word, then, today) else None
    return "finer" if all(new >= old for old, new in zip(*ranks, strict=True)) else None


_RANKED: Final[Mapping[str, tuple[str, ...]]] = {
    "truncate_time": ("to",),
    "truncate_ip": ("v4", "v6"),
    "truncate_version": ("parts",),
    "mask": ("keep_last", "keep_first"),
}
"""By technique the parameters that say how much is left, and nothing else."""


def _rank(word: str, given: Mapping[str, Any]) -> list[int]:
    """How much is left, the more the finer."""
    if word == "truncate_time":
        return [-_UNITS.index(given["to"])]
    return [given[name] or 0 for name in _RANKED.get(word, ())]


def _follows(word: str, then: Mapping[str, Any], today: Mapping[str, Any]) -> bool:
    """Whether the coarser form can be made of the finer: the start of a week says nothing of months."""
    if word != "truncate_time":
        return True
    units = (then["to"], today["to"])
    return (
        units == ("week", "week")
        or all(unit in _NESTING for unit in units)
        or (units[1] == "week" and units[0] in ("minute", "hour", "day"))
    )
