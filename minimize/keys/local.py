"""Master keys in a keyring file: the KMS of a house that has no other."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from minimize.errors import KeyringError
from minimize.keys.create import ensure_key
from minimize.keys.keyring import Keyring
from minimize.keys.masters import Master

PURPOSE: Final = "parquet/wrap"


class KeyringKms:
    """Wraps keys (AES-256 key wrap, RFC 3394) with what is derived from the keyring's master keys.

    Takes the keyring, and the time that stands beside master keys which are made because a new file wants one; without a
    time none is made. A master key that others added to the file since is found. Pickling carries the path of the file.
    """

    def __init__(self, keyring: Keyring, now: datetime | None = None) -> None:
        self._keyring, self._now = keyring, now

    def newest(self, name: str) -> Master:
        """The version that new files use. Raises KeyringError where there is none, or it was destroyed."""
        self._keyring = Keyring.load(self._keyring.path)
        if self._now is not None and name not in self._keyring.names():
            self._keyring = ensure_key(self._keyring.path, name, now=self._now)
        return Master(name, self._keyring.version_of(name))

    def wrap(self, key: bytes, master: Master) -> str:
        """A key, wrapped, as base64. Raises KeyringError."""
        return base64.b64encode(aes_key_wrap(self._secret(master), key)).decode("ascii")

    def unwrap(self, wrapped: str, master: Master) -> bytes:
        """The key that was wrapped. Raises KeyringError: no such version, destroyed, or wrapped by another."""
        secret, key = self._secret(master), None
        with suppress(InvalidUnwrap, binascii.Error, ValueError):
            key = aes_key_unwrap(secret, base64.b64decode(wrapped, validate=True))
        if key is None:
            raise KeyringError(f"{master.id} of {self._keyring.path} is not the key that this was wrapped with")
        return key

    def _secret(self, master: Master) -> bytes:
        lines = {(line.name, line.version) for line in self._keyring.listing()}
        if (master.name, master.version) not in lines:
            self._keyring = Keyring.load(self._keyring.path)
        return self._keyring.subkey(master.name, PURPOSE, master.version)

    def __repr__(self) -> str:
        return f"KeyringKms({str(self._keyring.path)!r})"

    def __reduce__(self) -> tuple[Callable[..., KeyringKms], tuple[Keyring, datetime | None]]:
        return (KeyringKms, (self._keyring, self._now))
