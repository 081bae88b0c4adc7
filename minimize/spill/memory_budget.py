"""Memory budget of a run: its size, and the share of each tally."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

from minimize.config import load_config
from minimize.errors import ConfigurationError

MEMORY_VARIABLE: Final = "MINIMIZE_MEMORY"
DEFAULT_MEMORY: Final = 256 << 20
"""Default for the bytes of all tallies of a run."""
_SIZE: Final = re.compile(r"([0-9]+) ?([KMGT]i?B|B)?")
_UNITS: Final = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", 1)
    for suffix, base in (("B", 1000), ("iB", 1024))
}


_WORKING_FACTOR: Final = 2
"""Merging rows takes up to this many times their size."""
_PARTITION_FACTOR: Final = 8
"""Merging a partition takes up to five times its size: its pieces, all of them together, and the distinct rows."""
_MIN_BYTES: Final = 1 << 12
"""Bytes that a holder may use in any case."""


class MemoryBudget:
    """A number of bytes for several holders. Who has more than an equal part gives way when all together have too many."""

    def __init__(self, total: int | None = DEFAULT_MEMORY) -> None:
        """Takes the bytes; None means no limit."""
        self.total = total
        self._lock = threading.Lock()
        self._holders: WeakSet[BudgetShare] = WeakSet()

    def share(self) -> BudgetShare:
        """A share of the budget, returned when it is garbage-collected."""
        share = BudgetShare(self)
        with self._lock:
            self._holders.add(share)
        return share

    def part(self) -> int | None:
        """The bytes of an equal part."""
        with self._lock:
            holders = len(self._holders)
        return None if self.total is None else self.total // max(holders, 1)

    def has_room(self, more: int) -> bool:
        """Whether the holders together can merge what they have, and more bytes, within the budget."""
        with self._lock:
            held = sum(share.held for share in self._holders)
        return self.total is None or held + more <= self.total // _WORKING_FACTOR


class BudgetShare:
    """What one holder has of a budget. `held` is set by the holder: the bytes that it has in memory."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.held = 0

    @property
    def bytes(self) -> int | None:
        """The bytes of an equal part; None means no limit."""
        return self._budget.part()

    @property
    def most_bytes(self) -> float:
        """The bytes of rows that can be merged within an equal part."""
        part = self._budget.part()
        return float("inf") if part is None else max(part // _WORKING_FACTOR, _MIN_BYTES)

    @property
    def partition_bytes(self) -> float:
        """The bytes of distinct rows of a partition that can be merged in memory. Partitions are merged one after the other."""
        total = self._budget.total
        return float("inf") if total is None else max(total // _PARTITION_FACTOR, _MIN_BYTES)

    @property
    def is_full(self) -> bool:
        """Whether this holder must give way."""
        return self.held > self.most_bytes and not self._budget.has_room(0)

    def has_room(self, more: int) -> bool:
        """Whether this many more bytes fit into the budget."""
        return self._budget.has_room(more)


def find_budget(start: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """The bytes that the tallies of a run may take.

    Takes the pipeline's folder, and the environment (by default that of the process). Raises ConfigurationError for an invalid
    size.
    """
    named = (os.environ if environ is None else environ).get(MEMORY_VARIABLE)
    if named:
        return parse_size(named, MEMORY_VARIABLE)
    memory = load_config(start).memory
    if memory is None or memory.value is False:
        return DEFAULT_MEMORY
    return parse_size(memory.value, "`memory:` of minimize.yaml")


def parse_size(text: Any, where: str) -> int:
    """A number of bytes from text such as `2 GB`.

    >>> parse_size("256MiB", "here"), parse_size(2000000, "here"), parse_size("2 GB", "here")
    (268435456, 2000000, 2000000000)
    """
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise ConfigurationError(
            f"{where} is not a size", hint="Write a number of bytes, or a size such as 256MiB or 2GB."
        )
    return int(match[1]) * int(_UNITS[match[2] or ""])
