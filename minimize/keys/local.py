"""Master keys in a keyring file: the KMS of a house that has no other."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
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
    time none is made. What others added to the file or destroyed in it since counts. Pickling carries the path of the file.
    """

    def __init__(self, keyring: Keyring, now: datetime | None = None) -> None:
        self._keyring, self._now = keyring, now
        self._seen: tuple[int, int] | None = None

    def newest(self, name: str) -> Master:
        """The version that new files use. Raises KeyringError where there is none, or it was destroyed."""
        self._look()
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
        self._look()
        return self._keyring.subkey(master.name, PURPOSE, master.version)

    def _look(self) -> None:
        """Reads the file again where it is another: what was destroyed since must open nothing. Raises KeyringError."""
        seen = _seen(self._keyring.path)
        if seen is None or seen != self._seen:
            self._keyring, self._seen = Keyring.load(self._keyring.path), seen

    def __repr__(self) -> str:
        return f"KeyringKms({str(self._keyring.path)!r})"

    def __reduce__(self) -> tuple[Callable[..., KeyringKms], tuple[Keyring, datetime | None]]:
        return (KeyringKms, (self._keyring, self._now))


def _seen(path: Path) -> tuple[int, int] | None:
    """What tells that a file is another: it is replaced whenever it is changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
