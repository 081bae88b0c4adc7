"""Who keeps the master keys here: found when they are first needed, so that what is not encrypted needs none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from minimize.errors import KeyringError
from minimize.house import house_file, house_line
from minimize.keys.custody import Custody, KeyringCustody
from minimize.keys.find import find_keyring
from minimize.keys.keyring import KeyLine, Keyring
from minimize.keys.local import KeyringKms
from minimize.keys.masters import Kms, Master
from minimize.keys.transit import Transit

VARIABLE: Final = "MINIMIZE_KMS"
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


def service(start: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> str | None:
    """The address of the key service, where one keeps the master keys: `MINIMIZE_KMS`, else `kms:` of the nearest
    `minimize.yaml`; None where they stand in the keyring. Raises KeyringError where it cannot be read."""
    named = (os.environ if environ is None else environ).get(VARIABLE)
    house = None if named else house_file(start)
    if named or house is None:
        return named or None
    try:
        return house_line(house, "kms")
    except ValueError:
        pass
    raise KeyringError(f"`kms:` cannot be read from {house}", hint="write `kms: vault+https://HOST:PORT/MOUNT`")


def custody_of(keyring: Keyring, start: str | os.PathLike[str] | None = None, *, now: datetime) -> Custody:
    """Who may make and destroy versions of master keys. Raises KeyringError."""
    address = service(start)
    return KeyringCustody(keyring.path, now) if address is None else Transit.at(address, now)


def served(start: str | os.PathLike[str] | None = None) -> Sequence[KeyLine]:
    """The versions of the master keys that a key service keeps; none where there is no such service. Raises KeyringError."""
    address = service(start)
    return () if address is None else Transit.at(address).versions()


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
            address = service(self._start)
            self._kms = self._of_file() if address is None else Transit.at(address, self._now)
        return self._kms

    def _of_file(self) -> Kms:
        keyring = find_keyring(self._keys, self._start)
        if keyring is None:
            raise KeyringError("no keys were given or found", hint="keys=FILE, --keys FILE or MINIMIZE_KEYS")
        return KeyringKms(keyring, self._now)

    def __reduce__(self) -> tuple[Callable[..., Found], tuple[Any, ...]]:
        return (Found, (self._keys, self._start, self._now))
