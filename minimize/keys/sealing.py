"""Content sealed under the `subject` key: it opens only with the keyring, for one purpose and in one place.

Sealed content is a line with the key and its version (`subject/2`), then the sealed bytes.
"""

from __future__ import annotations

from typing import Protocol

from minimize.keys.cryptography import Sealer
from minimize.keys.keyring import SUBJECT_KEY

SealPurposes = tuple[str, str]
"""The purposes of the two subkeys that make up the key of a sealer."""


class Subkeys(Protocol):
    """Source of keys for one purpose (a keyring)."""

    def version_of(self, name: str) -> int:
        """The newest version of a key. Raises KeyringError."""
        ...

    def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
        """32 bytes for one purpose. Raises KeyringError."""
        ...


def subject_sealer(keys: Subkeys, purposes: SealPurposes, version: int) -> Sealer:
    """The sealer of one version of the `subject` key. Raises KeyringError."""
    one, two = (keys.subkey(SUBJECT_KEY, purpose, version) for purpose in purposes)
    return Sealer(one + two)


def seal_content(content: bytes, keys: Subkeys, purposes: SealPurposes, *place: bytes) -> bytes:
    """Sealed content under the newest version of the key. Raises KeyringError."""
    version = keys.version_of(SUBJECT_KEY)
    return f"{SUBJECT_KEY}/{version}\n".encode() + subject_sealer(keys, purposes, version).seal(content, *place)


def open_content(sealed: bytes, keys: Subkeys, purposes: SealPurposes, *place: bytes) -> bytes | None:
    """The content; None if it was not sealed with this key for this place.

    Raises KeyringError if the keyring does not have the version, and ValueError if the first line names no version.
    """
    version, body = sealed_version(sealed), sealed.partition(b"\n")[2]
    return subject_sealer(keys, purposes, version).open(body, *place)


def sealed_version(sealed: bytes) -> int:
    """The version of the `subject` key under which content is sealed. Raises ValueError if the first line names none.

    >>> sealed_version(b"subject/2\\n...")
    2
    """
    key, _, version = sealed.partition(b"\n")[0].decode("ascii", "replace").rpartition("/")
    if key != SUBJECT_KEY or not version.isdecimal():
        raise ValueError("the sealed content names no version of the key `subject`")
    return int(version)
