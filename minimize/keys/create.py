"""Making a keyring, and adding keys to one: never over another, never half, never open to others."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from minimize import file_operations
from minimize.errors import KeyringError
from minimize.file_operations import sync_folder
from minimize.keys.keyring import SIGNING, Keyring
from minimize.keys.store import NAME, SHORTEST, Entry, as_bytes, locked, read_entries, write_new

SUBJECT: Final = "subject"
_LEFTOVER: Final = re.compile(r"[0-9a-f]{16}")
Entries = tuple[Entry, ...]


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

    def added(entries: Entries) -> Entries:
        version = 1 + max((entry.version for entry in entries if entry.name == name), default=0)
        return (*entries, _fresh(name, version, now))

    return _changed(path, added)


def ensure_key(path: str | os.PathLike[str], name: str, *, now: datetime) -> Keyring:
    """Adds a key where the file has no version of it, destroyed ones included. Raises KeyringError."""

    def added(entries: Entries) -> Entries:
        known = any(entry.name == name for entry in entries)
        return entries if known else (*entries, _fresh(name, 1, now))

    return _changed(path, added)


def destroy_key(path: str | os.PathLike[str], name: str, version: int, *, now: datetime) -> Keyring:
    """Destroys the bytes of one version of a key; that there was one stays, so that its number is never used again.

    Raises KeyringError where there is no such version, or it was destroyed before.
    """

    def destroyed(entries: Entries) -> Entries:
        found = [each for each in entries if (each.name, each.version) == (name, version) and each.destroyed is None]
        if not found:
            raise KeyringError(f"there is no key {name}/{version} to destroy", hint="minimize keys list")
        return tuple(replace(each, secret=b"", destroyed=now) if each in found else each for each in entries)

    return _changed(path, destroyed)


def _changed(path: str | os.PathLike[str], change: Callable[[Entries], Entries]) -> Keyring:
    target = Path(path).expanduser().absolute().resolve()
    reason: str | None = None
    try:
        with locked(target.parent):
            _remove_leftovers(target)
            before = read_entries(target)
            after = change(before)
            if after != before:
                _replace(target, as_bytes(after))
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
        file_operations.remove(beside, missing=True)
    sync_folder(target.parent)


def _link(beside: Path, target: Path, content: bytes) -> None:
    try:
        file_operations.link(beside, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        write_new(target, content)


def _replace(target: Path, content: bytes) -> None:
    beside = _beside(target)
    try:
        write_new(beside, content)
        file_operations.rename(beside, target)
    finally:
        file_operations.remove(beside, missing=True)
    sync_folder(target.parent)


def _remove_leftovers(target: Path) -> None:
    """Removes what processes that were killed left beside a keyring. It may hold keys that are destroyed later."""
    start = f".{target.name}."
    for path in target.parent.iterdir():
        if path.name.startswith(start) and _LEFTOVER.fullmatch(path.name.removeprefix(start)):
            file_operations.remove(path, missing=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}")
