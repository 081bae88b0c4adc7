"""What does not fit into memory while all rows must be seen first: a memory budget, and encrypted spill files.

hashing      values as keyed 128-bit hashes, and a filter for hashes seen recently
memory_budget memory budget of a run, its arrays, and the encrypted spill file
accumulator  distinct rows by hash in bounded memory, the rest in the spill file

A `SpillSpace` belongs to one run: its budget, its file without a name, and its keys, none of which leaves the
process. An `Accumulator` merges equal rows and spills what does not fit. A reader sees the same rows, spilled or
not.
"""

from __future__ import annotations

from minimize.spill.accumulator import Accumulator, HashedRows, find_hashes
from minimize.spill.hashing import HashWords, RecentHashes, ValueHasher
from minimize.spill.memory_budget import DEFAULT_MEMORY, MemoryBudget, SpilledPiece, SpillFile, SpillSpace, find_budget

__all__ = [
    "DEFAULT_MEMORY",
    "Accumulator",
    "HashWords",
    "HashedRows",
    "MemoryBudget",
    "RecentHashes",
    "SpillFile",
    "SpillSpace",
    "SpilledPiece",
    "ValueHasher",
    "find_budget",
    "find_hashes",
]
