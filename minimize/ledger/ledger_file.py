"""The SQLite file of a ledger: its creation, its permissions, and whether it was replaced while open."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from minimize.errors import LedgerError, describe_os_error, errno_name
from minimize.keys.keyring import folder_lock
from minimize.ledger.address import Address
from minimize.ledger.database_errors import database_error
from minimize.stores import file_operations
from minimize.stores.file_operations import sync, sync_folder

_WAL_SUFFIXES: Final = ("-wal", "-shm")
FileIdentity = tuple[int, int]
"""Device and inode of a file."""


def enable_wal(path: Path) -> None:
    """Switches a new SQLite file to WAL mode: readers and a writer can use it at the same time."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def create_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Creates the file of a ledger under a temporary name, fills it and renames it. Does nothing if it exists by then.

    Raises LedgerError if it cannot be created.
    """
    half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    trouble: LedgerError | None = None
    try:
        _create_folder(path.parent)
        file_operations.create(half, private=True).close()
        enable_wal(half)
        fill(half)
        _link_into_place(half, path)
    except OSError as error:
        trouble = LedgerError(
            f"the ledger {path} cannot be created ({errno_name(error)})", hint=describe_os_error(error)[1]
        )
    except sqlite3.Error as error:
        trouble = database_error(error, path)
    finally:
        for each in (half, *(half.with_name(half.name + end) for end in _WAL_SUFFIXES)):
            with contextlib.suppress(OSError):
                file_operations.remove(each)
    if trouble is not None:
        raise trouble


def check_file(address: Address) -> None:
    """Raises LedgerError if the file is missing, a link, not a regular file, or accessible to group or others."""
    assert address.path is not None
    path = address.path
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        mode = None
    if mode is None:
        hint = "Create it with `minimize settings import` or `settings set`, or pass --ledger or set MINIMIZE_LEDGER."
        raise LedgerError(f"no ledger found at {path} ({address.named_by})", hint=hint)
    if stat.S_ISLNK(mode) or not stat.S_ISREG(mode):
        what = "a link" if stat.S_ISLNK(mode) else "not a regular file"
        raise LedgerError(f"the ledger {path} is {what}", hint="Pass the path of the file itself.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise LedgerError(f"the ledger {path} is accessible to group or others", hint=f"Run: chmod 600 {path}")


def file_identity(address: Address) -> FileIdentity | None:
    """Identity of the file at the path of a ledger; None if there is none, or if the ledger is a server."""
    try:
        found = None if address.path is None else os.lstat(address.path)
    except OSError:
        found = None
    return None if found is None else (found.st_dev, found.st_ino)


def check_same_file(address: Address, before: FileIdentity | None) -> None:
    """Raises LedgerError if the file was removed or replaced since it was opened. Writes to the open file would be lost."""
    if file_identity(address) != before:
        hint = "Put the file back, or run `minimize runs --rebuild` to add the receipts to a new ledger."
        raise LedgerError(f"the ledger {address} was removed or replaced while it was open", hint=hint)


def _create_folder(folder: Path) -> None:
    """Creates the folder with access for its owner only."""
    if not folder.exists():
        file_operations.make_folders(folder.parent)
        file_operations.make_folder(folder, private=True)


def _link_into_place(half: Path, path: Path) -> None:
    """Renames the new file, unless a ledger exists by then.

    Journals of a deleted ledger are removed first: SQLite would apply them to the new one.
    """
    with half.open("rb") as file:
        sync(file.fileno(), "ledger")
    with folder_lock(path.parent):
        if os.path.lexists(path):
            return
        for end in _WAL_SUFFIXES:
            file_operations.remove(path.with_name(path.name + end), missing=True)
        try:
            file_operations.link(half, path)
        except OSError:  # a file system without links
            file_operations.rename(half, path)
        sync_folder(path.parent)
