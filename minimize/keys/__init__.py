"""Keys: a keyring file that only its owner can read, what is derived from it, and where it is found."""

from __future__ import annotations

from minimize.keys.create import add_key, new_keyring
from minimize.keys.find import find_keyring
from minimize.keys.keyring import KeyLine, Keyring
from minimize.keys.kms import Keys, find_kms
from minimize.keys.masters import Kms, Master
from minimize.keys.signing import PublicKeys, Verifier

__all__ = [
    "KeyLine",
    "Keyring",
    "Keys",
    "Kms",
    "Master",
    "PublicKeys",
    "Verifier",
    "add_key",
    "find_keyring",
    "find_kms",
    "new_keyring",
]
