"""Master keys, which wrap the keys of files: how they are named, and the seam to whoever keeps them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol, Self

from minimize.errors import KeyringError

PREFIX: Final = "encrypt"
FOOTER: Final = f"{PREFIX}.footer"
"""Signs the footers of encrypted files, whatever their categories."""
_PLAIN: Final = re.compile(r"[a-z0-9]([a-z0-9_-]{0,36}[a-z0-9])?")
_ID: Final = re.compile(rf"({PREFIX}\.[A-Za-z0-9_.-]{{1,56}})/([1-9][0-9]{{0,8}})")


@dataclass(frozen=True, slots=True, order=True)
class Master:
    """One version of a master key."""

    name: str
    version: int

    @property
    def id(self) -> str:
        """How files and receipts name it: `encrypt.pseudonymized/1`."""
        return f"{self.name}/{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The version that an id names. Raises KeyringError where it names none.

        >>> Master.parse("encrypt.pseudonymized/2").version
        2
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise KeyringError("this is no version of a master key", hint="one is written encrypt.pseudonymized/1")
        return cls(found[1], int(found[2]))


class Kms(Protocol):
    """Who keeps master keys and wraps the keys of files with them. Pickling one carries where it is, never a key."""

    def newest(self, name: str) -> Master:
        """The version that new files use. Raises KeyringError where there is none, or it was destroyed."""
        ...

    def wrap(self, key: bytes, master: Master) -> str:
        """A key of 16 to 32 bytes, wrapped, as ASCII. Raises KeyringError."""
        ...

    def unwrap(self, wrapped: str, master: Master) -> bytes:
        """The key that was wrapped. Raises KeyringError: no such version, destroyed, or wrapped by another."""
        ...


def master_name(category: str, tenant: str | None = None) -> str:
    """The name of a category's master key; of one tenant's own, by the text that its folder has.

    >>> master_name("pseudonymized"), master_name("identified", "contoso")
    ('encrypt.pseudonymized', 'encrypt.identified.t-contoso')
    """
    name = f"{PREFIX}.{category}"
    return name if tenant is None else f"{name}.{_word(tenant)}"


def is_master(name: str) -> bool:
    """Whether a key's name is that of a master key."""
    return name.startswith(f"{PREFIX}.")


def _word(tenant: str) -> str:
    """A tenant in a key's name: as it is where that can be, else hashed."""
    if _PLAIN.fullmatch(tenant):
        return f"t-{tenant}"
    digest = hashlib.sha256(tenant.encode()).digest()[:16]
    return f"h-{base64.b32encode(digest).decode().lower().rstrip('=')}"
