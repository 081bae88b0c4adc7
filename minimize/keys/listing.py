"""Listing of keys: names, versions and states, never bytes; creation and extension of a keyring file, with its listing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from minimize.json_form import JsonResult, json_member
from minimize.keys.discovery import key_service_versions
from minimize.keys.keyring import KeyInfo, Keyring, add_key, new_keyring
from minimize.keys.master_keys import KeyState, key_state
from minimize.results import Line
from minimize.stores import PathText
from minimize.times import seconds_text


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
    made = new_keyring(file, names, now=now)
    change = f"created {file} with {', '.join(made.names())}. Keep it secret, and back it up."
    return KeyListing(str(file), _listed_keys(made.listing()), change)


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
