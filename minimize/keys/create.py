"""Making a keyring, and adding keys to one: never over another, never half, never open to others."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from minimize.disk import sync_folder
from minimize.errors import KeyringError
from minimize.keys.keyring import SIGNING, Keyring
from minimize.keys.store import NAME, SHORTEST, Entry, as_bytes, locked, read_entries, write_new

SUBJECT: Final = "subject"


def new_keyring(path: str | os.PathLike[str], names: Iterable[str] = (), *, now: datetime) -> Keyring:
    """A new file with these keys at version 1, and a `signing` and a `subject` key.

    Raises KeyringError where the file exists (it is never overwritten) or a name cannot be a key's.
    """
    target = Path(path).expanduser().absolute()
    wanted = sorted({*names, SIGNING, SUBJECT})
    content = as_bytes([_fresh(name, 1, now) for name in wanted])
    reason: str | None = None
    try:
        _name(target, content)
    except FileExistsError:
        reason = "it exists, and a keyring is never overwritten"
    except OSError as error:
        reason = error.strerror or "it cannot be written"
    if reason is not None:
        raise KeyringError(f"the keyring {target} was not made: {reason}", hint="choose another file")
    return Keyring.load(target)


def add_key(path: str | os.PathLike[str], name: str, *, now: datetime) -> Keyring:
    """Adds a key, or a new version of one; the file is replaced in one step. Raises KeyringError."""
    target = Path(path).expanduser().absolute().resolve()
    reason: str | None = None
    try:
        with locked(target.parent):
            entries = read_entries(target)
            version = 1 + max((entry.version for entry in entries if entry.name == name), default=0)
            _replace(target, as_bytes([*entries, _fresh(name, version, now)]))
    except OSError as error:
        reason = error.strerror or "it cannot be written"
    if reason is not None:
        raise KeyringError(f"the keyring {target} was not changed: {reason}")
    return Keyring.load(target)


def _fresh(name: str, version: int, now: datetime) -> Entry:
    if not NAME.fullmatch(name):
        raise KeyringError(
            "a key's name starts with a letter or underscore and has up to 64 letters, digits, `_`, `.`, `-`"
        )
    return Entry(name, version, now, secrets.token_bytes(SHORTEST))


def _name(target: Path, content: bytes) -> None:
    """A new file, whole from its first moment on."""
    beside = _beside(target)
    try:
        write_new(beside, content)
        _link(beside, target, content)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(target.parent)


def _link(beside: Path, target: Path, content: bytes) -> None:
    try:
        os.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        write_new(target, content)


def _replace(target: Path, content: bytes) -> None:
    beside = _beside(target)
    try:
        write_new(beside, content)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(target.parent)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}")
