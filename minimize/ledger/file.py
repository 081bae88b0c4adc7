"""The file of a ledger: made whole or not at all, its owner's alone, and never reached through a link."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from minimize import file_operations
from minimize.errors import LedgerError
from minimize.file_operations import sync, sync_folder
from minimize.keys.store import locked
from minimize.ledger.address import Address
from minimize.ledger.engine import prepare_file
from minimize.ledger.failures import unprepared
from minimize.system import name_of, said

_BESIDE: Final = ("-wal", "-shm")
Seen = tuple[int, int]
"""Device and inode of a file."""


def make_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Makes a ledger's file beside its place, filled, and gives it its name; does nothing where another process was faster.

    Raises LedgerError where it cannot be made there.
    """
    half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    trouble: LedgerError | None = None
    try:
        _make_folder(path.parent)
        file_operations.create(half, private=True).close()
        prepare_file(half)
        fill(half)
        _name(half, path)
    except OSError as error:
        trouble = LedgerError(f"the ledger {path} cannot be made ({name_of(error)})", hint=said(error)[1])
    except sqlite3.Error as error:
        trouble = unprepared(error, path)
    finally:
        for each in (half, *(half.with_name(half.name + end) for end in _BESIDE)):
            with contextlib.suppress(OSError):
                file_operations.remove(each)
    if trouble is not None:
        raise trouble


def check_file(address: Address) -> None:
    """Raises LedgerError where the ledger's file is missing, a link, no file, or open to group or others."""
    assert address.path is not None
    path = address.path
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = None
    if mode is None:
        hint = "a run makes one, or `minimize settings set`; or name another with --ledger or MINIMIZE_LEDGER"
        raise LedgerError(f"there is no ledger: looked for {path} ({address.named_by})", hint=hint)
    if stat.S_ISLNK(mode) or not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "no file"
        raise LedgerError(f"the ledger {path} is {what}", hint="name the file itself")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LedgerError(f"the ledger {path} is open to group or others", hint=f"chmod 600 {path}")


def seen(address: Address) -> Seen | None:
    """Which file stands at a ledger's place; None where none does, or where the ledger is a server."""
    try:
        found = None if address.path is None else os.lstat(address.path)
    except OSError:
        found = None
    return None if found is None else (found.st_dev, found.st_ino)


def same_file(address: Address, before: Seen | None) -> None:
    """Raises LedgerError where another file stands at a ledger's place than when it was opened, or none: what is written to the
    one that is open would be lost."""
    if seen(address) != before:
        hint = "put it back; `minimize runs --rebuild` brings what receipts know"
        raise LedgerError(f"the ledger {address} is gone, or another file stands in its place", hint=hint)


def _make_folder(folder: Path) -> None:
    """A folder that is made here is its owner's alone."""
    if not folder.exists():
        file_operations.make_folders(folder.parent)
        file_operations.make_folder(folder, private=True)


def _name(half: Path, path: Path) -> None:
    """Gives the file its name where no other has it: both are a ledger, and the first counts.

    What a ledger that was deleted left beside it goes first: SQLite would play its journal into the new one.
    """
    with half.open("rb") as file:
        sync(file.fileno(), "ledger")
    with locked(path.parent):
        if os.path.lexists(path):
            return
        for end in _BESIDE:
            file_operations.remove(path.with_name(path.name + end), missing=True)
        try:
            file_operations.link(half, path)
        except OSError:  # a file system without links
            file_operations.rename(half, path)
        sync_folder(path.parent)
