"""A Keyring: keys by name and version, that prints, pickles and copies without its bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from minimize.errors import KeyringError
from minimize.keys.signing import derive, is_signed, public_pem, sign_with
from minimize.keys.store import Entry, read_entries

SIGNING: Final = "signing"
DESTROYED: Final = "E210"
"""The code of errors about keys that were destroyed."""


@dataclass(frozen=True, slots=True)
class KeyLine:
    """What may be shown of a key: its name, its version, when it was made, and when it was destroyed."""

    name: str
    version: int
    created: datetime
    destroyed: datetime | None = None


class Keyring:
    """The keys of one keyring file.

    Pickling carries the path alone, and reading the pickle reads the file again; copies are the keyring itself. A technique
    asks it for bytes (`bytes_of`), a receipt for a signature (`sign`).
    """

    def __init__(self, path: Path, entries: Sequence[Entry]) -> None:
        self.path = path
        self._entries = tuple(entries)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The keyring of a file. Raises KeyringError: missing, open to group or others, malformed, a key below 32 bytes."""
        resolved = Path(path).expanduser().absolute()
        return cls(resolved, read_entries(resolved))

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes, ≥ 32; the newest version where none is given. Raises KeyringError."""
        return self._entry(name, version).secret

    def version_of(self, name: str) -> int:
        """The newest version of a key. Raises KeyringError."""
        return self._entry(name, None).version

    def names(self) -> tuple[str, ...]:
        """The names of all keys, sorted."""
        return tuple(sorted({entry.name for entry in self._entries}))

    def listing(self) -> tuple[KeyLine, ...]:
        """Every version of every key, without bytes."""
        return tuple(KeyLine(entry.name, entry.version, entry.created, entry.destroyed) for entry in self._entries)

    def subkey(self, name: str, purpose: str, version: int | None = None) -> bytes:
        """32 bytes derived from a key for one purpose: no purpose gives another's away (HKDF-SHA-256, RFC 5869)."""
        return derive(self._entry(name, version).secret, purpose)

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """The id of the signing key and its Ed25519 signature (RFC 8032) over the content. Raises KeyringError."""
        entry = self._entry(SIGNING, None)
        return entry.id, sign_with(entry.secret, content)

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether the signing key of this id (`signing/1`) made the signature."""
        entries = [entry for entry in self._entries if entry.name == SIGNING and entry.id == key and entry.secret]
        return any(is_signed(public_pem(entry.secret), content, signature) for entry in entries)

    def public_key_pem(self) -> bytes:
        """The public keys of all signing versions, newest first, as PEM: what somebody without the keyring verifies with."""
        self._entry(SIGNING, None)
        entries = [entry for entry in self._entries if entry.name == SIGNING and entry.secret]
        return b"".join(public_pem(entry.secret) for entry in reversed(entries))

    def _entry(self, name: str, version: int | None) -> Entry:
        found = [entry for entry in self._entries if entry.name == name and version in (None, entry.version)]
        if not found:
            wanted = name if version is None else f"{name}/{version}"
            hint = f"minimize keys add {self.path} {name}"
            raise KeyringError(f"key {wanted} is not in the keyring {self.path}", hint=hint)
        if found[-1].destroyed is not None:
            message = f"key {found[-1].id} of the keyring {self.path} was destroyed"
            hint = (
                "what was made with it alone is gone; new files want a new version (minimize keys rotate), unless it was a "
                "tenant's that is gone (minimize events add TENANT tenant_closed)"
            )
            raise KeyringError(message, code=DESTROYED, hint=hint)
        return found[-1]

    def __repr__(self) -> str:
        return f"Keyring({str(self.path)!r}, names={list(self.names())})"

    def __reduce__(self) -> tuple[Callable[[str], Keyring], tuple[str]]:
        return (type(self).load, (str(self.path),))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self
