"""Values as dense integer codes that stay the same over batches, and codes in pairs."""

from __future__ import annotations

from minimize.codebook.book import Codebook, settled
from minimize.codebook.inorder import InOrder
from minimize.codebook.integers import Integers
from minimize.codebook.packed import Codes, are_same, ascending, changes, pack, unpack

__all__ = ["Codebook", "Codes", "InOrder", "Integers", "are_same", "ascending", "changes", "pack", "settled", "unpack"]
