"""Master keys, which wrap the keys of files: names, interface of a key service, life cycle, master keys of a keyring file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol, Self

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from minimize.errors import KeyringError
from minimize.keys.keyring import KeyInfo, Keyring, add_key, destroy_key, ensure_key

MASTER_PREFIX: Final = "encrypt"
FOOTER_KEY: Final = f"{MASTER_PREFIX}.footer"
"""Signs the footers of all encrypted files, independent of their categories."""
_PLAIN_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9_-]{0,36}[a-z0-9])?")
_MASTER_KEY_ID: Final = re.compile(rf"({MASTER_PREFIX}\.[A-Za-z0-9_.-]{{1,56}})/([1-9][0-9]{{0,8}})")


@dataclass(frozen=True, slots=True, order=True)
class MasterKey:
    """One version of a master key."""

    name: str
    version: int

    @property
    def id(self) -> str:
        """The id in files and receipts: `encrypt.pseudonymized/1`."""
        return f"{self.name}/{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The version that an id names. Raises KeyringError if it is not such an id.

        >>> MasterKey.parse("encrypt.pseudonymized/2").version
        2
        """
        found = _MASTER_KEY_ID.fullmatch(text)
        if found is None:
            raise KeyringError("not the id of a version of a master key", hint="Use the form encrypt.pseudonymized/1.")
        return cls(found[1], int(found[2]))


class Kms(Protocol):
    """A key service: stores master keys and wraps the keys of files. Its pickle contains its address, never a key."""

    def newest(self, name: str) -> MasterKey:
        """The version that new files use. Raises KeyringError if there is none or it was destroyed."""
        ...

    def wrap(self, key: bytes, master: MasterKey) -> str:
        """Wraps a key of 16 to 32 bytes, as ASCII. Raises KeyringError."""
        ...

    def unwrap(self, wrapped: str, master: MasterKey) -> bytes:
        """Unwraps a key. Raises KeyringError: no such version, destroyed, or wrapped by another version."""
        ...


def master_key_name(category: str, tenant: str | None = None) -> str:
    """The name of the master key of a category, or of one tenant, by the name of its folder.

    >>> master_key_name("pseudonymized"), master_key_name("identified", "contoso")
    ('encrypt.pseudonymized', 'encrypt.identified.t-contoso')
    """
    name = f"{MASTER_PREFIX}.{category}"
    return name if tenant is None else f"{name}.{_tenant_part(tenant)}"


def is_master_key(name: str) -> bool:
    """Whether the name of a key is that of a master key."""
    return name.startswith(f"{MASTER_PREFIX}.")


def _tenant_part(tenant: str) -> str:
    """A tenant in the name of a key: unchanged if possible, else hashed."""
    if _PLAIN_TENANT.fullmatch(tenant):
        return f"t-{tenant}"
    digest = hashlib.sha256(tenant.encode()).digest()[:16]
    return f"h-{base64.b32encode(digest).decode().lower().rstrip('=')}"


KeyState = Literal["current", "decrypts only", "destroyed"]


class KeyLifecycle(Protocol):
    """Creates and destroys versions of master keys."""

    def versions(self) -> Sequence[KeyInfo]:
        """All versions of all master keys, including destroyed ones, by name and version. Raises KeyringError."""
        ...

    def rotate(self, name: str) -> MasterKey:
        """Creates a version, which new files use from now on. Older versions only decrypt. Raises KeyringError."""
        ...

    def destroy(self, master: MasterKey) -> None:
        """Destroys a version permanently. Its number is never used again. Raises KeyringError."""
        ...

    @property
    def destroys_older(self) -> bool:
        """Whether destroying a version also destroys the versions before it."""
        ...


@dataclass(frozen=True, slots=True)
class KeyringLifecycle:
    """Life cycle of the master keys of a keyring file. Takes its path, and the time that is recorded for changes."""

    path: Path
    now: datetime

    def versions(self) -> Sequence[KeyInfo]:
        """All versions of all master keys. Raises KeyringError."""
        return [line for line in Keyring.load(self.path).listing() if is_master_key(line.name)]

    def rotate(self, name: str) -> MasterKey:
        """Creates a new version. Raises KeyringError."""
        add_key(self.path, name, now=self.now)
        return MasterKey(name, max(line.version for line in self.versions() if line.name == name))

    def destroy(self, master: MasterKey) -> None:
        """Destroys a version. Raises KeyringError."""
        destroy_key(self.path, master.name, master.version, now=self.now)

    @property
    def destroys_older(self) -> bool:
        """Always False: versions are destroyed one by one."""
        return False


def key_state(line: KeyInfo, lines: Sequence[KeyInfo]) -> KeyState:
    """State of a version. New files use the newest one, unless it was destroyed.

    >>> from datetime import UTC
    >>> one, two = (KeyInfo("encrypt.footer", number, datetime(2026, 1, 1, tzinfo=UTC)) for number in (1, 2))
    >>> key_state(one, [one, two]), key_state(two, [one, two])
    ('decrypts only', 'current')
    """
    if line.destroyed is not None:
        return "destroyed"
    newest = max(each.version for each in lines if each.name == line.name)
    return "current" if line.version == newest else "decrypts only"


WRAP_PURPOSE: Final = "parquet/wrap"


class KeyringKms:
    """Wraps keys (AES-256 key wrap, RFC 3394) with keys derived from the master keys of a keyring.

    Takes the keyring, and the time of creation of master keys that a new file needs; without a time none is created. Changes of
    the file by other processes take effect. A pickle contains the path of the file.
    """

    def __init__(self, keyring: Keyring, now: datetime | None = None) -> None:
        self._keyring, self._now = keyring, now
        self._loaded_version: tuple[int, int] | None = None

    def newest(self, name: str) -> MasterKey:
        """The version that new files use. Raises KeyringError if there is none or it was destroyed."""
        self._reload_if_changed()
        if self._now is not None and name not in self._keyring.names():
            self._keyring = ensure_key(self._keyring.path, name, now=self._now)
        return MasterKey(name, self._keyring.version_of(name))

    def wrap(self, key: bytes, master: MasterKey) -> str:
        """Wraps a key, as base64. Raises KeyringError."""
        return base64.b64encode(aes_key_wrap(self._secret(master), key)).decode("ascii")

    def unwrap(self, wrapped: str, master: MasterKey) -> bytes:
        """Unwraps a key. Raises KeyringError: no such version, destroyed, or wrapped by another version."""
        secret, key = self._secret(master), None
        with suppress(InvalidUnwrap, binascii.Error, ValueError):
            key = aes_key_unwrap(secret, base64.b64decode(wrapped, validate=True))
        if key is None:
            raise KeyringError(f"the file key was not wrapped with {master.id} of {self._keyring.path}")
        return key

    def _secret(self, master: MasterKey) -> bytes:
        self._reload_if_changed()
        return self._keyring.subkey(master.name, WRAP_PURPOSE, master.version)

    def _reload_if_changed(self) -> None:
        """Reads the file again if it has changed, so that a destroyed key is not used. Raises KeyringError."""
        version = _file_version(self._keyring.path)
        if version is None or version != self._loaded_version:
            self._keyring, self._loaded_version = Keyring.load(self._keyring.path), version

    def __repr__(self) -> str:
        return f"KeyringKms({str(self._keyring.path)!r})"

    def __reduce__(self) -> tuple[Callable[..., KeyringKms], tuple[Keyring, datetime | None]]:
        return (KeyringKms, (self._keyring, self._now))


def _file_version(path: Path) -> tuple[int, int] | None:
    """Identifies the version of a file, which is replaced with each change."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
