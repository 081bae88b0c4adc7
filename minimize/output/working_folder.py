"""Working folders: files are assembled there and then renamed. Folders of killed processes are removed.

The name identifies the process: `.PURPOSE-PID-BORN-MACHINE-RANDOM`. The next process that creates a working folder of this
purpose in the same folder removes those of processes that have certainly ended: on this machine, since its last start.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from minimize.stores import file_operations
from minimize.stores.durable_files import ProcessIdentity, remove_tree
from minimize.stores.file_operations import sync_folder

_OWNER: Final = re.compile(r"(\d+)-(\d+)-([0-9a-f]{16})-[0-9a-f]{16}")


def make_working_folder(parent: Path, purpose: str) -> Path:
    """A new folder that only its owner can read. Raises OSError."""
    remove_abandoned_folders(parent, purpose)
    ours = ProcessIdentity.current()
    owner = f"{ours.pid}-{ours.born}-{_machine_digest(ours)}-{secrets.token_hex(8)}"
    folder = parent / f".{purpose}-{owner}"
    file_operations.make_folder(folder, private=True)
    return folder


@contextmanager
def write_new_folder(folder: Path, purpose: str) -> Iterator[Path]:
    """Yields a working folder. It is renamed to the new folder at the end of the block, and removed if the block fails.

    Raises OSError, including FileExistsError.
    """
    if os.path.lexists(folder):
        raise FileExistsError(errno.EEXIST, "it already exists")
    file_operations.make_folders(folder.parent)
    work = make_working_folder(folder.parent, purpose)
    try:
        yield work
        sync_folder(work)
        file_operations.rename(work, folder)
        sync_folder(folder.parent)
    finally:
        remove_tree(work)


def remove_abandoned_folders(parent: Path, purpose: str) -> None:
    """Removes the folders of a purpose whose processes have ended. A folder that cannot be removed is left."""
    with suppress(OSError):
        for folder in sorted(parent.glob(f".{purpose}-*")):
            if _is_abandoned(folder.name.removeprefix(f".{purpose}-")) and not folder.is_symlink():
                with suppress(OSError):
                    remove_tree(folder)


def _is_abandoned(owner: str) -> bool:
    found, ours = _OWNER.fullmatch(owner), ProcessIdentity.current()
    if found is None or found[3] != _machine_digest(ours):
        return False
    return ProcessIdentity(ours.host, ours.machine, int(found[1]), int(found[2])).is_dead()


def _machine_digest(process: ProcessIdentity) -> str:
    return hashlib.sha256(process.machine.encode()).hexdigest()[:16]
