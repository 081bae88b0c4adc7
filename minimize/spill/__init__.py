"""Data that exceeds memory before all rows are read: a memory budget, and encrypted spill files.

spill_file     the encrypted spill file, the spill space and the memory budget of a run, and values as keyed 128-bit hashes
accumulator    distinct rows by hash in bounded memory, the others in the spill file

A `SpillSpace` belongs to one run: its budget, its unnamed file and its keys, which stay in the process. An
`Accumulator` merges equal rows and spills those that exceed its budget. A reader gets the same rows, spilled or
not.
"""

from __future__ import annotations

from minimize.spill.accumulator import Accumulator, HashedRows
from minimize.spill.spill_file import (
    DEFAULT_MEMORY,
    UNLIMITED_SPACE,
    HashWords,
    MemoryBudget,
    SpilledPiece,
    SpillFile,
    SpillSpace,
    ValueHasher,
    find_budget,
)

__all__ = [
    "DEFAULT_MEMORY",
    "UNLIMITED_SPACE",
    "Accumulator",
    "HashWords",
    "HashedRows",
    "MemoryBudget",
    "SpillFile",
    "SpillSpace",
    "SpilledPiece",
    "ValueHasher",
    "find_budget",
]
