"""How changed things are written, and the orders of words that several files use."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from minimize.policy.words import duration

CATEGORIES: Final = ("aggregated", "pseudonymized", "identified", None)
"""What an output may be at most, from the least; None is no promise."""
ENCRYPTED: Final = ("by_category", "none")
"""From the one that protects."""


def arrow(before: str, after: str) -> str:
    """What was and what is; where the words are the same, there is more behind them.

    >>> arrow("keep", "drop"), arrow("map (values of 3 values)", "map (values of 3 values)")
    ('keep → drop', 'map (values of 3 values), of another content')
    """
    return f"{before} → {after}" if before != after else f"{after}, of another content"


def plain(value: object) -> str:
    """A word or number; `nothing` where none is said."""
    return "nothing" if value is None or value == "" else str(value).lower() if isinstance(value, bool) else str(value)


def listed(names: Iterable[object]) -> str:
    """Names in a row.

    >>> listed(["a", "b"]), listed([])
    ('a, b', 'nothing')
    """
    return ", ".join(map(str, names)) or "nothing"


def span(length: timedelta | None) -> str:
    """How long something stays."""
    return "kept without end" if length is None else f"kept for {duration(length)}"
