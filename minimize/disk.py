"""The disk: whether something stands there, and bringing things to it.

This is the one place that calls fsync, so that each call has a name at which a test can end the process.
"""

from __future__ import annotations

import os
from pathlib import Path

from minimize.failpoints import fail_point


def stands(path: Path) -> bool:
    """Whether something stands at a place. Raises OSError where that cannot be seen: what cannot be seen is not gone."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def sync(handle: int, what: str) -> None:
    """Brings what was written through a handle to the disk. Takes what that is, one of `SYNCED`. Raises OSError."""
    fail_point(f"sync.{what}.before")
    os.fsync(handle)
    fail_point(f"sync.{what}.after")


def sync_folder(folder: Path) -> None:
    """Brings a folder's entries to the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(handle, "folder")
    finally:
        os.close(handle)
