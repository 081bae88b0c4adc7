"""Who keeps the master keys here: found when they are first needed, so that what is not encrypted needs none."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

from minimize.errors import KeyringError
from minimize.keys.find import find_keyring
from minimize.keys.keyring import Keyring
from minimize.keys.local import KeyringKms
from minimize.keys.masters import Kms, Master

Keys = Keyring | Kms | str | os.PathLike[str] | None
"""A keyring, its path, or who keeps master keys; None looks where keyrings are found."""


def find_kms(keys: Keys = None, start: str | os.PathLike[str] | None = None, *, now: datetime | None = None) -> Kms:
    """Who keeps the master keys.

    Takes what a flag or argument gave, and the folder to look for `minimize.yaml` from; with a time, master keys that a new file
    wants and that have no version yet are made. Nothing is looked for before a key is asked for; then raises KeyringError where
    none can be had.
    """
    if keys is None or isinstance(keys, Keyring | str | os.PathLike):
        return Found(keys, start, now)
    return keys


class Found:
    """Master keys that are looked for when they are first needed. Pickling carries where to look."""

    def __init__(
        self,
        keys: Keyring | str | os.PathLike[str] | None,
        start: str | os.PathLike[str] | None,
        now: datetime | None,
    ) -> None:
        self._keys, self._start, self._now = keys, start, now
        self._kms: Kms | None = None

    def newest(self, name: str) -> Master:
        """The version that new files use. Raises KeyringError."""
        return self._found().newest(name)

    def wrap(self, key: bytes, master: Master) -> str:
        """A key, wrapped. Raises KeyringError."""
        return self._found().wrap(key, master)

    def unwrap(self, wrapped: str, master: Master) -> bytes:
        """The key that was wrapped. Raises KeyringError."""
        return self._found().unwrap(wrapped, master)

    def _found(self) -> Kms:
        if self._kms is None:
            keyring = find_keyring(self._keys, self._start)
            if keyring is None:
                raise KeyringError("no keys were given or found", hint="keys=FILE, --keys FILE or MINIMIZE_KEYS")
            self._kms = KeyringKms(keyring, self._now)
        return self._kms

    def __reduce__(self) -> tuple[Callable[..., Found], tuple[Any, ...]]:
        return (Found, (self._keys, self._start, self._now))
