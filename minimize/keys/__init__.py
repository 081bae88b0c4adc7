"""Keys: a keyring file that only its owner can read, what is derived from it, and where it is found."""

from __future__ import annotations

from minimize.keys.create import add_key, new_keyring
from minimize.keys.find import find_keyring
from minimize.keys.keyring import KeyLine, Keyring
from minimize.keys.signing import PublicKeys, Verifier

__all__ = ["KeyLine", "Keyring", "PublicKeys", "Verifier", "add_key", "find_keyring", "new_keyring"]
