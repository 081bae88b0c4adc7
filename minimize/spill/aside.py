"""What a run has beside its memory: a budget, a vault on disk, and a key for hashes that only this process knows."""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import Any

from minimize.spill.budget import DEFAULT, Budget
from minimize.spill.hashed import Hasher
from minimize.spill.vault import Vault


class Aside:
    """One run's budget, vault and hashes. Nothing is made before it is used."""

    def __init__(self, memory: int | None = DEFAULT, key: bytes | None = None) -> None:
        """Takes the bytes that all tallies may hold (None: no limit), and 32 secret bytes for the hashes (random ones)."""
        self.budget = Budget(memory)
        self._key = key

    def anew(self) -> Aside:
        """The same budget and hashes with a vault of its own: the disk is given back when nobody holds what is in it."""
        other = Aside(self.budget.total)
        other.budget, other.hasher = self.budget, self.hasher
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: the budget alone. They have keys and files of their own."""
        return Aside, (self.budget.total,)

    def __repr__(self) -> str:
        return f"Aside({self.budget.total})"

    @cached_property
    def hasher(self) -> Hasher:
        """Hashes under this run's key."""
        return Hasher(secrets.token_bytes(32) if self._key is None else self._key)

    @cached_property
    def vault(self) -> Vault:
        """This run's space on disk."""
        return Vault()
