"""Keys: keyring file, master keys and key services, signatures, ciphers, encryption of Parquet columns.

keyring             keys by name and version, in a file that only its owner can read; content sealed under `subject`
cryptography        subkeys by purpose, Ed25519 signatures, keyed BLAKE2b, AES-SIV
master_keys         master keys, which wrap the keys of files; those of a keyring file
transit             master keys in Vault's or OpenBao's Transit engine
listing             keys by name, version and state, without their bytes
discovery           which keyring and which key service apply
parquet_footer      encrypted columns of a Parquet footer, read without a key
parquet_encryption  columns of Parquet files under the keys of their categories
"""

from __future__ import annotations

from minimize.keys.cryptography import PublicKeys, Verifier
from minimize.keys.discovery import KeysLike, find_keyring, find_kms, require_keyring
from minimize.keys.keyring import KeyInfo, Keyring, add_key, new_keyring
from minimize.keys.master_keys import Kms, MasterKey

__all__ = [
    "KeyInfo",
    "Keyring",
    "KeysLike",
    "Kms",
    "MasterKey",
    "PublicKeys",
    "Verifier",
    "add_key",
    "find_keyring",
    "find_kms",
    "new_keyring",
    "require_keyring",
]
