"""What does not fit into memory while everything must be seen first: a budget, and encrypted space on disk beyond it.

An `Aside` is one run's: its budget, its file without a name, and its keys, none of which leaves the process. An `Accumulator`
puts equal rows together and sets aside what does not fit; whoever reads it sees the same rows, spilled or not.
"""

from __future__ import annotations

from minimize.spill.accumulator import Accumulator
from minimize.spill.aside import Aside
from minimize.spill.budget import DEFAULT, Budget, find_budget
from minimize.spill.hashed import Hasher, Words
from minimize.spill.recent import Recent
from minimize.spill.rows import Rows, places_of
from minimize.spill.vault import Piece, Vault

__all__ = [
    "DEFAULT",
    "Accumulator",
    "Aside",
    "Budget",
    "Hasher",
    "Piece",
    "Recent",
    "Rows",
    "Vault",
    "Words",
    "find_budget",
    "places_of",
]
