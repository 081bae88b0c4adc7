"""Discovery of the keyring and the key service that apply: argument, environment, nearest `minimize.yaml`.

Master keys are searched when they are first needed, so that an output without encryption needs none.

The keys of a keyring file are listed by name, version and state, never by bytes, also after it was created or extended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from minimize.config import Config
from minimize.config_search import ConfigStart, load_config
from minimize.errors import KeyringError
from minimize.keys.keyring import KeyInfo, Keyring, add_key, new_keyring
from minimize.keys.master_keys import KeyLifecycle, KeyringKms, KeyringLifecycle, KeyState, Kms, MasterKey, key_state
from minimize.keys.transit import TransitKms
from minimize.results import JsonResult, Line, json_member
from minimize.stores import PathText
from minimize.times import seconds_text

KEYS_VARIABLE: Final = "MINIMIZE_KEYS"


def find_keyring(
    explicit: Keyring | PathText | None = None,
    start: ConfigStart = None,
    environ: Mapping[str, str] | None = None,
) -> Keyring | None:
    """The keyring in force, or None if none is configured.

    Takes the value of a flag or argument, the configuration or the folder of the pipeline, and the environment (default: that
    of the process).
    Raises KeyringError if the configured keyring cannot be used.
    """
    if isinstance(explicit, Keyring):
        return explicit
    named = explicit or (os.environ if environ is None else environ).get(KEYS_VARIABLE)
    if named:
        return Keyring.load(named)
    config = load_config(start).checked("keys", KeyringError)
    return None if config.keys is None else Keyring.load(config.folder / Path(config.keys).expanduser())


def require_keyring(keys: Keyring | str | os.PathLike[str] | None, start: ConfigStart, message: str) -> Keyring:
    """The keyring in force. Raises KeyringError, with this message if none is configured."""
    keyring = find_keyring(keys, start)
    if keyring is None:
        raise KeyringError(message, hint="Pass --keys FILE or set MINIMIZE_KEYS.")
    return keyring


KMS_VARIABLE: Final = "MINIMIZE_KMS"
KeysLike = Keyring | Kms | PathText | None
"""A keyring, its path, or a key service; None for discovery."""


def find_kms(keys: KeysLike = None, start: ConfigStart = None, *, now: datetime | None = None) -> Kms:
    """The key service with the master keys.

    Takes the value of a flag or argument, and the configuration or the folder from which it is searched. With a time, master keys
    that a new file needs and that have no version yet are created. Nothing is searched before a key is needed; then KeyringError
    is raised if there is none.
    """
    if keys is None or isinstance(keys, Keyring | str | os.PathLike):
        return LazyKms(keys, start, now)
    return keys


def key_service_address(start: ConfigStart = None, environ: Mapping[str, str] | None = None) -> str | None:
    """The address of the key service with the master keys: `MINIMIZE_KMS`, else `kms:` of the nearest `minimize.yaml`.

    None if the master keys are in the keyring. Raises KeyringError if the configuration cannot be read.
    """
    named = (os.environ if environ is None else environ).get(KMS_VARIABLE)
    return named or load_config(start).checked("kms", KeyringError).kms


def key_lifecycle(keyring: Keyring, start: ConfigStart = None, *, now: datetime) -> KeyLifecycle:
    """The service that creates and destroys versions of master keys. Raises KeyringError."""
    address = key_service_address(start)
    return KeyringLifecycle(keyring.path, now) if address is None else TransitKms.from_address(address, now)


def key_service_versions(start: ConfigStart = None) -> Sequence[KeyInfo]:
    """The versions of master keys in a key service; none without such a service. Raises KeyringError."""
    address = key_service_address(start)
    return () if address is None else TransitKms.from_address(address).versions()


class LazyKms:
    """A key service that is searched when it is first needed. A pickle contains the places to search."""

    def __init__(
        self,
        keys: Keyring | PathText | None,
        start: ConfigStart,
        now: datetime | None,
    ) -> None:
        self._keys, self._start, self._now = keys, start, now
        self._kms: Kms | None = None

    def newest(self, name: str) -> MasterKey:
        """The version that new files use. Raises KeyringError."""
        return self._resolved_kms().newest(name)

    def wrap(self, key: bytes, master: MasterKey) -> str:
        """Wraps a key. Raises KeyringError."""
        return self._resolved_kms().wrap(key, master)

    def unwrap(self, wrapped: str, master: MasterKey) -> bytes:
        """Unwraps a key. Raises KeyringError."""
        return self._resolved_kms().unwrap(wrapped, master)

    def _resolved_kms(self) -> Kms:
        if self._kms is None:
            address = key_service_address(self._start)
            self._kms = self._keyring_kms() if address is None else TransitKms.from_address(address, self._now)
        return self._kms

    def _keyring_kms(self) -> Kms:
        keyring = find_keyring(self._keys, self._start)
        if keyring is None:
            raise KeyringError("no keys found", hint="Pass --keys FILE or keys=FILE, or set MINIMIZE_KEYS.")
        return KeyringKms(keyring, self._now)

    def __reduce__(self) -> tuple[Callable[..., LazyKms], tuple[Any, ...]]:
        start = self._start
        if isinstance(start, Config):  # it can contain a password; another process reads it again
            start = start.start if start.path is None else start.path.parent
        return (LazyKms, (self._keys, start, self._now))


@dataclass(frozen=True, slots=True)
class ListedKey(JsonResult):
    """A version of a key and its state."""

    id: str
    created: datetime = field(metadata=json_member(convert=seconds_text))
    state: KeyState
    destroyed: datetime | None = field(metadata=json_member(convert=seconds_text, omit_none=True))


@dataclass(frozen=True, slots=True)
class KeyListing(JsonResult):
    """The keys of a keyring file, and of a key service if all keys are listed. `change` describes a change that was made."""

    json_names = "file keys"

    file: str
    keys: tuple[ListedKey, ...]
    change: str | None = None

    def lines(self) -> Iterator[Line]:
        """The change; without one, the id, time of creation and state of each key."""
        if self.change is not None:
            yield self.change
        else:
            yield from ((key.id, seconds_text(key.created), key.state) for key in self.keys)


@dataclass(frozen=True, slots=True)
class PublicKey(JsonResult):
    """The public keys of all versions of the signing key, as PEM."""

    public_key: str

    def lines(self) -> Sequence[str]:
        """The lines of the PEM text."""
        return self.public_key.splitlines()


def create_keyring(file: PathText, names: Iterable[str], now: datetime) -> KeyListing:
    """Creates a keyring file, as `new_keyring` does, and lists its keys."""
    keyring = new_keyring(file, names, now=now)
    change = f"created {file} with {', '.join(keyring.names())}. Keep it secret, and back it up."
    return KeyListing(str(file), _listed_keys(keyring.listing()), change)


def add_listed_key(file: PathText, name: str, now: datetime) -> KeyListing:
    """Adds a key or a new version of it, as `add_key` does, and lists the keys of the file."""
    keyring = add_key(file, name, now=now)
    return KeyListing(str(file), _listed_keys(keyring.listing()), f"added {name}/{keyring.version_of(name)} to {file}")


def list_keys(keyring: Keyring, file: PathText | None = None) -> KeyListing:
    """Lists the keys of a keyring, under the name of its file, and of the key service. Raises KeyringError."""
    keys = (*_listed_keys(keyring.listing()), *_listed_keys(key_service_versions()))
    return KeyListing(str(file or keyring.path), keys)


def _listed_keys(versions: Sequence[KeyInfo]) -> tuple[ListedKey, ...]:
    return tuple(
        ListedKey(f"{each.name}/{each.version}", each.created, key_state(each, versions), each.destroyed)
        for each in versions
    )
