"""Keys of a recipient's own, derived from ours: what two recipients get cannot be joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from minimize.keys import Keyring

MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class RecipientKeys:
    """A keyring that has, beside its own keys, one for each of them and each recipient (HKDF-SHA-256, RFC 5869)."""

    keys: Keyring

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes. Raises KeyringError."""
        key, mark, recipient = name.partition(MARK)
        if not mark:
            return self.keys.bytes_of(name, version)
        return self.keys.subkey(key, f"recipient/{recipient}", version)

    def version_of(self, name: str) -> int:
        """The newest version of the key that it is derived from. Raises KeyringError."""
        return self.keys.version_of(name.partition(MARK)[0])


def key_for(name: str, recipient: str) -> str:
    """The name of a recipient's own key.

    >>> key_for("device", "apple")
    'device@apple'
    """
    return f"{name}{MARK}{recipient}"
