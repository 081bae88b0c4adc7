"""The life of master keys: what versions there are, a new one, the end of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from minimize.keys.create import add_key, destroy_key
from minimize.keys.keyring import KeyLine, Keyring
from minimize.keys.masters import Master, is_master

State = Literal["current", "decrypts only", "destroyed"]


class Custody(Protocol):
    """Who may make and destroy versions of master keys."""

    def versions(self) -> Sequence[KeyLine]:
        """Every version of every master key, those that were destroyed, too; by name and version. Raises KeyringError."""
        ...

    def rotate(self, name: str) -> Master:
        """A new version, which new files use from now on; the others only decrypt. Raises KeyringError."""
        ...

    def destroy(self, master: Master) -> None:
        """Destroys a version for good; its number is never used again. Raises KeyringError."""
        ...

    @property
    def older_too(self) -> bool:
        """Whether the versions before it go with one that is destroyed."""
        ...


@dataclass(frozen=True, slots=True)
class KeyringCustody:
    """The master keys of a keyring file. Takes its path, and the time that stands beside what is done."""

    path: Path
    now: datetime

    def versions(self) -> Sequence[KeyLine]:
        """Every version of every master key. Raises KeyringError."""
        return [line for line in Keyring.load(self.path).listing() if is_master(line.name)]

    def rotate(self, name: str) -> Master:
        """A new version. Raises KeyringError."""
        add_key(self.path, name, now=self.now)
        return Master(name, max(line.version for line in self.versions() if line.name == name))

    def destroy(self, master: Master) -> None:
        """Destroys a version. Raises KeyringError."""
        destroy_key(self.path, master.name, master.version, now=self.now)

    @property
    def older_too(self) -> bool:
        """Each version goes alone."""
        return False


def state_of(line: KeyLine, lines: Sequence[KeyLine]) -> State:
    """What a version is good for: the newest is for new files, unless it was destroyed.

    >>> from datetime import UTC
    >>> one, two = (KeyLine("encrypt.footer", number, datetime(2026, 1, 1, tzinfo=UTC)) for number in (1, 2))
    >>> state_of(one, [one, two]), state_of(two, [one, two])
    ('decrypts only', 'current')
    """
    if line.destroyed is not None:
        return "destroyed"
    newest = max(each.version for each in lines if each.name == line.name)
    return "current" if line.version == newest else "decrypts only"
