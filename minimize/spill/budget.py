"""How much memory a run's tallies may take: `MINIMIZE_MEMORY`, then `memory:` of the nearest `minimize.yaml`, then 256 MiB."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

from minimize.errors import ConfigurationError
from minimize.house import house_file, house_value

VARIABLE: Final = "MINIMIZE_MEMORY"
DEFAULT: Final = 256 << 20
"""Bytes for all tallies of a run, where nobody says otherwise."""
_SIZE: Final = re.compile(r"([0-9]+) ?([KMGT]i?B|B)?")
_UNITS: Final = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", 1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}


class Budget:
    """Bytes that those who hold a share of them have in equal parts, however many they are at the moment."""

    def __init__(self, total: int | None = DEFAULT) -> None:
        """Takes bytes; None is no limit."""
        self.total = total
        self._lock = threading.Lock()
        self._holders: WeakSet[Share] = WeakSet()

    def share(self) -> Share:
        """A part of the budget, given back when nobody holds it any more."""
        share = Share(self)
        with self._lock:
            self._holders.add(share)
        return share

    def part(self) -> int | None:
        """What each holder may take now."""
        with self._lock:
            holders = len(self._holders)
        return None if self.total is None else self.total // max(holders, 1)


class Share:
    """One holder's part of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    @property
    def bytes(self) -> int | None:
        """How much its holder may take now; None is no limit."""
        return self._budget.part()


def find_budget(start: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """The bytes that the tallies of a run may take.

    Takes the pipeline's folder, and the environment (the process's own where none is given). Raises ConfigurationError for
    what is no size.
    """
    named = (os.environ if environ is None else environ).get(VARIABLE)
    if named:
        return size(named, VARIABLE)
    house = house_file(start)
    said = None if house is None else house_value(house, "memory")
    return DEFAULT if said is None else size(said, "`memory:` of minimize.yaml")


def size(text: Any, where: str) -> int:
    """A number of bytes as people write it.

    >>> size("256MiB", "here"), size(2000000, "here"), size("2 GB", "here")
    (268435456, 2000000, 2000000000)
    """
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ConfigurationError(f"{where} is no size", hint="write a number of bytes, or 256MiB, 2GB")
    return int(match[1]) * int(_UNITS[match[2] or ""])
